// The rules for bucket names. Source: S3 user guide, "General purpose bucket naming rules".
#pragma once

#include <string_view>

#include "base/result.h"

namespace ostraka::object {

// May it be created: all rules. invalid_argument, says which rule.
Result<> check_bucket_name(std::string_view name);
// May a request name it at all: those for length and characters.
bool is_bucket_name(std::string_view name) noexcept;

}  // namespace ostraka::object
