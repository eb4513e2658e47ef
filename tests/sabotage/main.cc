// erasure_sabotage_test: the named schedules as GoogleTest cases. With --rule it hunts instead: random
// schedules with that rule broken, until a seed notices.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/log.h"
#include "tests/sim/sabotage.h"
#include "tests/unit/erasure/random_schedule.h"

namespace ostraka::erasure {
namespace {

// 0: some seed noticed.
int hunt(Geometry geometry, std::uint64_t first, std::uint64_t last) {
  log::set_level(log::Level::error);
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const RandomRun run = run_random_schedule(geometry, seed);
    if (run.ending.well()) continue;
    std::printf("seed %llu: %s\n%s", static_cast<unsigned long long>(seed), describe(run.ending).c_str(),
                describe(run.history).c_str());
    return 0;
  }
  std::printf("no seed noticed\n");
  return 1;
}

int run_main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  CLI::App app("Rules broken on purpose");
  std::string rule, shape = "2+2", seeds = "0..499";
  app.add_option("--rule", rule, "of base/sabotage.h: hunt for a random schedule that notices it broken");
  app.add_option("--geometry", shape, "k+m");
  app.add_option("--seeds", seeds, "A..B, both included");
  CLI11_PARSE(app, argc, argv);
  if (rule.empty()) return RUN_ALL_TESTS();
  const std::size_t plus = shape.find('+');
  const std::size_t dots = seeds.find("..");
  if (plus == std::string::npos || dots == std::string::npos) return 2;
  const auto number = [](const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); };
  const auto geometry = make_geometry(static_cast<unsigned>(number(shape)),
                                      static_cast<unsigned>(number(shape.substr(plus + 1))));
  if (!geometry || !sim::choose_sabotage(rule)) return 2;
  return hunt(*geometry, number(seeds), number(seeds.substr(dots + 2)));
}

}  // namespace
}  // namespace ostraka::erasure

int main(int argc, char** argv) {
  return ostraka::erasure::run_main(argc, argv);
}
