// The rules for bucket names. Source: S3 user guide, "General purpose bucket naming rules".
#pragma once

#include <string_view>

#include "base/result.h"

namespace ostraka::object {

Result<> check_bucket_name(std::string_view name);  // invalid_argument, says which rule

}  // namespace ostraka::object
