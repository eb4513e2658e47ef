#include "tests/sim/sabotage.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <utility>

namespace ostraka {
namespace {

constexpr std::size_t kMostRules = 64;
std::bitset<kMostRules> broken;
std::array<std::uint64_t, kMostRules> asked{};  // by rule

constexpr std::array kNames{
    std::pair{"nosync", Sabotage::nosync},     std::pair{"early", Sabotage::early},
    std::pair{"few", Sabotage::few},           std::pair{"retire", Sabotage::retire},
    std::pair{"withdraw", Sabotage::withdraw}, std::pair{"read", Sabotage::read},
    std::pair{"amnesia", Sabotage::amnesia},   std::pair{"purge", Sabotage::purge},
    std::pair{"epoch", Sabotage::epoch},       std::pair{"birth", Sabotage::birth},
    std::pair{"final", Sabotage::final},       std::pair{"fence", Sabotage::fence},
    std::pair{"expect", Sabotage::expect},     std::pair{"bare", Sabotage::bare},
    std::pair{"certain", Sabotage::certain},   std::pair{"split", Sabotage::split},
    std::pair{"decree", Sabotage::decree},     std::pair{"readmit", Sabotage::readmit},
    std::pair{"untold", Sabotage::untold},     std::pair{"oblivion", Sabotage::oblivion},
    std::pair{"newborn", Sabotage::newborn},   std::pair{"unlocked", Sabotage::unlocked},
    std::pair{"permit", Sabotage::permit}};

Sabotage rule_named(std::string_view name) {
  for (const auto& [known, rule] : kNames)
    if (name == known) return rule;
  return Sabotage::none;
}

}  // namespace

#ifdef OSTRAKA_SABOTAGE
bool sabotaged(Sabotage rule) noexcept {
  ++asked[static_cast<std::size_t>(rule)];
  return broken[static_cast<std::size_t>(rule)];
}
#endif

namespace sim {

void choose_sabotage(Sabotage rule) {
  broken.reset();
  if (rule != Sabotage::none) broken.set(static_cast<std::size_t>(rule));
}

bool choose_sabotage(std::string_view names) {
  std::bitset<kMostRules> rules;
  while (!names.empty()) {
    const std::size_t comma = std::min(names.find(','), names.size());
    const Sabotage rule = rule_named(names.substr(0, comma));
    if (rule == Sabotage::none) return false;
    rules.set(static_cast<std::size_t>(rule));
    names.remove_prefix(std::min(comma + 1, names.size()));
  }
  broken = rules;
  return broken.any();
}

std::uint64_t times_asked(std::string_view name) {
  const Sabotage rule = rule_named(name);
  return rule == Sabotage::none ? 0 : asked[static_cast<std::size_t>(rule)];
}

std::string_view name_of(Sabotage rule) {
  for (const auto& [name, known] : kNames)
    if (known == rule) return name;
  return "none";
}

std::vector<std::string_view> all_sabotages() {
  std::vector<std::string_view> names;
  for (const auto& [name, rule] : kNames) names.push_back(name);
  return names;
}

}  // namespace sim
}  // namespace ostraka
