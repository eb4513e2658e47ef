// Conditional writes of one key through several nodes at the same moment. With the locks as they are they
// come one after the other; without them only the drives keep them apart.
#include "tests/sim/scenario.h"

namespace ostraka::sim {

using Kind = HistoryOp::Kind;

namespace {

constexpr unsigned kRivals = 2;

}  // namespace

Task<> Scenario::rival(std::string key, Kind kind) {
  co_await put(std::move(key), kind);
  --working_;
}

Task<> Scenario::race(std::string key) {
  const Kind kind = world_.random.chance(0.3) ? Kind::create : Kind::match;
  if (kind == Kind::create) co_await erase(key, Kind::erase);
  for (unsigned i = 0; i < kRivals; ++i) {
    ++working_;
    world_.tasks.spawn(world_.shard.executor(), rival(key, kind));
  }
  co_await put(key, kind);
}

}  // namespace ostraka::sim
