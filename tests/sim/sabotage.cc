#include "tests/sim/sabotage.h"

#include <array>
#include <utility>

namespace ostraka {
namespace {

Sabotage chosen = Sabotage::none;
std::array<std::uint64_t, 64> asked{};  // by rule

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
    std::pair{"newborn", Sabotage::newborn}};

}  // namespace

#ifdef OSTRAKA_SABOTAGE
bool sabotaged(Sabotage rule) noexcept {
  ++asked[static_cast<std::size_t>(rule)];
  return rule == chosen;
}
#endif

namespace sim {

void choose_sabotage(Sabotage rule) {
  chosen = rule;
}

bool choose_sabotage(std::string_view name) {
  for (const auto& [known, rule] : kNames) {
    if (name != known) continue;
    chosen = rule;
    return true;
  }
  return false;
}

std::uint64_t times_asked(std::string_view name) {
  for (const auto& [known, rule] : kNames)
    if (name == known) return asked[static_cast<std::size_t>(rule)];
  return 0;
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
