// TableFollower: the sets of a running node, as the placement table says now. When a slot of a group has gone
// to another drive the group gets a new set; requests that began with the one before go on with it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "cluster/placement.h"
#include "control/control_store.h"
#include "disk/drive.h"
#include "erasure/erasure_set.h"
#include "object/object_sets.h"

namespace ostraka::cmd {

// Thread safe, but for begin().
class TableFollower {
 public:
  // All of it outlives the follower.
  struct Deps {
    DeploymentId deployment;
    erasure::Geometry geometry;
    object::StorageClasses classes;
    erasure::SetContext& sets;
    std::function<disk::Drive*(const DriveId& id)> find;  // nullptr: there is none. Thread safe
    std::function<void()> changed;                        // the table is another. Thread safe; may be empty
  };
  explicit TableFollower(Deps deps) : deps_(std::move(deps)) {}

  // Makes the sets. corrupt: the table names a drive that there is none of.
  Result<> begin(cluster::Placement table);
  // Follows the documents, from what they are now; the store is closed before the follower goes.
  void watch(control::ControlStore& control);
  // There are more drives: a table that named one too early can be followed now.
  void look_again();
  object::ObjectSets& sets() noexcept { return *sets_; }

 private:
  void take_table(const control::DocumentPtr& document);
  void take_moves(const control::DocumentPtr& document);
  // With the lock held.
  void follow(cluster::Placement table);
  object::SetPtr make_set(std::uint16_t group, const cluster::GroupPlacement& where) const;

  const Deps deps_;
  std::unique_ptr<object::ObjectSets> sets_;
  std::mutex mutex_;
  control::DocumentPtr table_, moves_;  // taken last
  bool incomplete_ = false;             // the table names drives that are not there yet
};

}  // namespace ostraka::cmd
