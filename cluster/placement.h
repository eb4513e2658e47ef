// Placement: which drives hold which placement group. A versioned table in the control store, made at the
// first start.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/limits.h"
#include "base/placement_group.h"
#include "base/result.h"
#include "cluster/spread.h"

namespace ostraka::cluster {

struct GroupPlacement {
  std::uint64_t epoch = 1;
  std::vector<DriveId> drives;  // n of them; shard i lies on drives[i]
};

class Placement {
 public:
  // Spreads kPlacementGroups groups of `set_drives` drives as spread.h says, each drive's and each node's
  // part exact to a group or two. With exactly set_drives drives every group is the same set in another
  // rotation; with more, there are about as many sets as drives, of which many help to fill one. drives:
  // distinct, at least set_drives of them, in a stable order. parity: shards of a group that may be lost.
  static Placement make(const DeploymentId& deployment, const std::vector<PlacementDrive>& drives,
                        unsigned set_drives, unsigned parity);
  // The form of to_json(); cluster/FORMAT.md, "Placement table". Errors: malformed, unsupported_version.
  static Result<Placement> from_json(const DeploymentId& deployment, std::string_view json);
  std::string to_json() const;

  // The drive lost its data: every group that it is in gets a new epoch. Gives them, by group; 0: not in it.
  std::vector<std::uint64_t> raise_epochs(const DriveId& drive);
  // The group gets a new epoch, newer than `known` too.
  void raise_epoch(std::uint16_t group, std::uint64_t known);

  // The slot goes from one drive to another. False, and nothing is changed: it is not on that drive, or the
  // other has a slot of the group already.
  bool move_slot(std::uint16_t group, unsigned slot, const DriveId& from, const DriveId& to);

  std::uint16_t group_of(BucketId bucket, std::string_view key) const noexcept {
    return placement_group(deployment_, bucket, key);
  }
  const GroupPlacement& group(std::uint16_t group) const noexcept { return groups_[group]; }
  unsigned set_drives() const noexcept { return static_cast<unsigned>(groups_.front().drives.size()); }

 private:
  DeploymentId deployment_;
  std::vector<GroupPlacement> groups_;
};

}  // namespace ostraka::cluster
