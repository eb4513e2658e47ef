#include "tests/sim/sabotage.h"

#include <array>
#include <utility>

#include "base/sabotage.h"

namespace ostraka {
namespace {

Sabotage chosen = Sabotage::none;

constexpr std::array kNames{std::pair{"nosync", Sabotage::nosync},     std::pair{"early", Sabotage::early},
                            std::pair{"few", Sabotage::few},           std::pair{"retire", Sabotage::retire},
                            std::pair{"withdraw", Sabotage::withdraw}, std::pair{"read", Sabotage::read},
                            std::pair{"amnesia", Sabotage::amnesia},   std::pair{"purge", Sabotage::purge},
                            std::pair{"epoch", Sabotage::epoch},       std::pair{"birth", Sabotage::birth},
                            std::pair{"final", Sabotage::final},       std::pair{"fence", Sabotage::fence},
                            std::pair{"expect", Sabotage::expect},     std::pair{"bare", Sabotage::bare},
                            std::pair{"certain", Sabotage::certain},   std::pair{"split", Sabotage::split}};

}  // namespace

#ifdef OSTRAKA_SABOTAGE
bool sabotaged(Sabotage rule) noexcept {
  return rule == chosen;
}
#endif

bool sim::choose_sabotage(std::string_view name) {
  for (const auto& [known, rule] : kNames) {
    if (name != known) continue;
    chosen = rule;
    return true;
  }
  return false;
}

}  // namespace ostraka
