// Which rule of base/sabotage.h this process breaks.
#pragma once

#include <string_view>

namespace ostraka::sim {

bool choose_sabotage(std::string_view name);  // false: there is no such rule

}  // namespace ostraka::sim
