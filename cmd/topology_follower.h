// TopologyFollower: what is added to the cluster, or removed from it, while this node runs: it calls the
// drives of other nodes from then on, or no longer, and counts the nodes that there are now.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "cluster/remote_drive.h"
#include "cluster/topology.h"
#include "control/control_store.h"
#include "disk/drive_roster.h"

namespace ostraka::cmd {

// Thread safe.
class TopologyFollower {
 public:
  // All of it outlives the follower, and the roster the drives that are made here.
  struct Deps {
    cluster::NodeName self;
    DeploymentId deployment;
    // By slot, as the topology was at the start. Those that say that they are remote are RemoteDrives.
    std::shared_ptr<disk::DriveRoster> roster;
    std::function<std::unique_ptr<cluster::RemoteDrive>(cluster::RemoteDriveSpec spec)> remote;
    std::function<void(const cluster::Topology& now)> meet;  // the nodes are these now
    std::function<void()> grown;                             // the roster has more drives
  };
  explicit TopologyFollower(Deps deps) : deps_(std::move(deps)) {}

  // Follows the document, from what it is now; the store is closed before the follower.
  void watch(control::ControlStore& control);
  // Of the drives that were made here. No call may be running.
  Task<> close();

 private:
  void take(const control::DocumentPtr& document);
  // With the lock held.
  bool add_drives(const cluster::Topology& now);
  void remove_drive(std::size_t slot);

  const Deps deps_;
  std::mutex mutex_;
  std::uint64_t revision_ = 0;
  std::vector<std::unique_ptr<cluster::RemoteDrive>> drives_;
};

}  // namespace ostraka::cmd
