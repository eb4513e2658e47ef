// The release this binary is, from the project's CMakeLists.txt.
#pragma once

#include <string_view>

namespace ostraka::cmd {

std::string_view version() noexcept;

}  // namespace ostraka::cmd
