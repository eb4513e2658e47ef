// How operators change the topology: drives are added, drained, taken back and removed. What is refused is
// refused with the cause and the next step, for people.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/drive_register.h"
#include "cluster/move_document.h"
#include "cluster/placement.h"
#include "cluster/topology.h"
#include "control/control_store.h"
#include "control/membership.h"

namespace ostraka::cluster {

// How a drive of the topology does just now, as far as it is known.
struct DriveLook {
  bool online = false;
  std::uint64_t total_bytes = 0, used_bytes = 0;  // 0: not known
  bool unused = false;                            // no group is on it, and none is on its way to or from it
};

// Pure. Each gives the topology as it would be then; errors: invalid_argument (it makes no sense), not_found
// (there is no such drive), conflict (not now).
//
// Drives of one node; of one that is new only when it comes with them.
Result<Topology> add_drives(const Topology& before, const std::vector<DriveUrl>& drives, Random& random);
// Nodes join one at a time: conflict where the drives are of a new node, and one that was added before has
// never been started, so that none of its drives is registered.
Result<> check_all_started(const Topology& before, const DriveRegister& known,
                           const std::vector<DriveUrl>& drives);
// looks: by slot. bears_less: the operator knows that losing a node may then cost more than parity makes
// good. What drains already goes on doing so.
Result<Topology> drain_drives(const Topology& before, const std::vector<DriveUrl>& drives,
                              const std::vector<DriveLook>& looks, bool bears_less);
Result<Topology> take_drives_back(const Topology& before, const std::vector<DriveUrl>& drives);
// conflict: groups are on a drive, or move from or to it.
Result<Topology> remove_drives(const Topology& before, const std::vector<DriveUrl>& drives,
                               const Placement& placement, const MoveDocument& moves);

// All drives of the node that are not removed. not_found: it has none, or there is no such node.
Result<std::vector<DriveUrl>> drives_of_node(const Topology& topology, const NodeName& node);

// Changes the document, again when somebody else was faster. Majorities of all nodes before and after it must
// meet, so it waits first until every member knows the topology that is changed. change: may be called more
// than once. Gives the new topology's revision. Errors: those of change, ControlStore::put,
// decode_topology(); unavailable (a member does not know the last change yet; there is no topology).
Task<Result<std::uint64_t>> change_topology(control::ControlStore& control, control::Membership& membership,
                                            Ctx& ctx,
                                            std::function<Result<Topology>(const Topology& before)> change);

}  // namespace ostraka::cluster
