// A random schedule of one key, from one seed: many coordinators at once and no leases, messages that are
// late or lost, answers that are lost, coordinators that die in the middle, drives that go away and come back
// stale, drives that are emptied or lose their row of the key (within the fault budget) and are refilled by
// heals, clocks that disagree.
#pragma once

#include "tests/unit/erasure/key_world.h"

namespace ostraka::erasure {

struct RandomRun {
  std::vector<HistoryOp> history;
  Ending ending;
  unsigned emptied = 0;  // drives
  unsigned rows_lost = 0;
};

RandomRun run_random_schedule(Geometry geometry, std::uint64_t seed);

}  // namespace ostraka::erasure
