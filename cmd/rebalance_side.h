// RebalanceSide: the moving of data in a cluster, as a node has it: its rebalancer, what belongs to a group
// beside its rows, and how fast it goes.
#pragma once

#include <functional>
#include <memory>

#include "base/metrics.h"
#include "cluster/other_paces.h"
#include "cluster/rebalancer.h"
#include "cmd/move_pacer.h"
#include "control/control_store.h"
#include "disk/drive_roster.h"

namespace ostraka::cmd {

class RebalanceSide {
 public:
  // All of it outlives this.
  struct Deps {
    Clock& clock;
    Random& random;
    MetricRegistry& metrics;
    control::ControlStore& control;
    control::Membership& membership;
    control::Election& election;
    cluster::Transport& transport;
    cluster::NodeName self;
    DeploymentId deployment;
    disk::RosterPtr drives;
    MovePacer::Clients clients;
  };
  explicit RebalanceSide(const Deps& deps);
  void start(Shard& shard);
  Task<> close();
  cluster::Rebalancer& rebalancer() noexcept { return rebalancer_; }
  MovePacer& pacer() noexcept { return pacer_; }

 private:
  cluster::OtherPaces others_;
  MovePacer pacer_;
  cluster::Rebalancer rebalancer_;
};

}  // namespace ostraka::cmd
