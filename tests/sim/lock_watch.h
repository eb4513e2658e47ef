// LockWatch: stands before a node's lock server and sees when a commit lease goes from a node that was not
// heard of any more to another.
#pragma once

#include <map>
#include <string>

#include "cluster/lock_message.h"
#include "cluster/transport.h"
#include "tests/sim/probes.h"

namespace ostraka::sim {

class LockWatch final : public cluster::PeerService {
 public:
  // Both outlive it.
  LockWatch(cluster::PeerService& server, Probes& probes) : server_(server), probes_(probes) {}
  Task<Result<cluster::PeerAnswer>> serve(Ctx& ctx, const cluster::NodeName& from,
                                          cluster::PeerCall call) override;

 private:
  void released(const cluster::NodeName& from, const std::vector<std::uint64_t>& ids);

  cluster::PeerService& server_;
  Probes& probes_;
  std::map<std::string, cluster::LockOwner> holders_;  // by name; those whose release has not come
};

}  // namespace ostraka::sim
