// Which slots of which groups should move to which drives, so that the placement table is as spread.h says:
// after drives or nodes were added, or are to go. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "cluster/placement.h"
#include "cluster/spread.h"

namespace ostraka::cluster {

struct RebalanceDrive {
  PlacementDrive drive;
  bool in_service = true;  // false: it neither gives nor takes now, but it is expected back
  bool draining = false;   // it is to give all that it has
};

struct SlotMove {
  std::uint16_t group = 0;
  std::uint16_t slot = 0;
  DriveId from, to;
  bool operator==(const SlotMove&) const = default;
};

struct RebalancePlan {
  std::vector<SlotMove> moves;  // by group; in any order, but of one group one after the other
  // What no move could bring about: slots on drives that drain, shards too many on a node.
  std::size_t stuck = 0;
};

// First what has to go goes, then no node has more shards of a group than spread.h allows, then each drive
// has its share within kRebalanceSlack; with as few slots moved as that takes, each at most once. A drive in
// the table that is not among `drives` was removed: it gives all. Afterwards a new plan would be empty.
// Errors: invalid_argument (fewer drives stay than a group needs).
Result<RebalancePlan> plan_rebalance(const Placement& placement, const std::vector<RebalanceDrive>& drives,
                                     unsigned parity);

}  // namespace ostraka::cluster
