// Which rules of base/sabotage.h this process breaks: none at first.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/sabotage.h"

namespace ostraka::sim {

void choose_sabotage(Sabotage rule);
// Several: joined by ','. False: there is no such rule.
bool choose_sabotage(std::string_view names);
// How often the rule made a difference: it is asked for only where it does.
std::uint64_t times_asked(std::string_view name);
std::string_view name_of(Sabotage rule);
std::vector<std::string_view> all_sabotages();  // names

}  // namespace ostraka::sim
