// What the metrics tell of a node's place in its cluster: whether it hears of the others, and may write.
#pragma once

#include "base/metrics.h"
#include "cluster/quorum_lock_service.h"
#include "cluster/write_permit.h"
#include "control/membership.h"

namespace ostraka::cmd {

class ClusterGauges {
 public:
  explicit ClusterGauges(MetricRegistry& metrics)
      : members_(metrics.gauge("ostraka_cluster_members",
                               "Nodes that hold a membership lease, as this one sees it")),
        lease_(
            metrics.gauge("ostraka_cluster_lease", "1 while this node holds its membership lease in etcd")),
        writes_(metrics.gauge(
            "ostraka_cluster_writes_permitted",
            "0 while this node refuses writes, since it cannot know whether it has missed a change")),
        locks_(metrics.gauge("ostraka_cluster_locks", "Commit leases that this node holds or waits for")) {}

  void set(const control::Membership& membership, TimePoint now, const cluster::WritePermit& permit,
           const cluster::QuorumLockService& locks) {
    members_.set(static_cast<std::int64_t>(membership.members().size()));
    lease_.set(membership.lease_until() > now ? 1 : 0);
    writes_.set(permit.may_write() ? 1 : 0);
    locks_.set(static_cast<std::int64_t>(locks.held()));
  }

 private:
  Gauge &members_, &lease_, &writes_, &locks_;
};

}  // namespace ostraka::cmd
