// WritePermit: which writes of which nodes may still be under way when a document has changed.
//
// A node that has its membership lease is waited for: nobody goes on before it has confirmed the change. One
// without a lease, cut off from etcd, serves what it knows; it may write
//   - for kWriteGrace after its lease has ended,
//   - and for kPermitLife after it has asked, when a majority of all nodes (it is one of them) knew of no
//     change that it does not know. It asks every kPermitPeriod.
// Whoever has made a change that writes must go by (wait_until_known) waits until all members have confirmed,
// and these have to be a majority of all nodes. From then on nobody else finds a majority that knows as
// little as he does. So what a node that has not confirmed may still write rests on its lease, or on an
// answer from before: both end in a known time, and a write lasts kWriteLife at most. When the lease of a
// node ended is seen by the watch; whether it was given answers is asked of those who could have given them.
//
// A process that is displaced, since another one is the member of its node's name, may write nothing. One
// that is cut off from etcd and cannot know it is told so by the peers that it asks.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/transport.h"
#include "control/membership.h"
#include "control/write_fence.h"
#include "runtime/event.h"
#include "runtime/fan_out.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

// All of it outlives the permit; the membership is closed before it.
struct WritePermitDeps {
  Transport& transport;
  control::Membership& membership;
  Clock& clock;
  Shard& home;               // where it is asked for
  std::string process = {};  // Member::process of this node
};

// Thread safe. Serves the calls "control.*".
class WritePermit final : public control::WriteFence, public PeerService {
 public:
  // nodes: all of the cluster, this one among them.
  WritePermit(const WritePermitDeps& deps, NodeName self, std::vector<NodeName> nodes);
  WritePermit(const WritePermit&) = delete;
  WritePermit& operator=(const WritePermit&) = delete;
  ~WritePermit() override;
  void start();
  Task<> close();

  // From now on these are all nodes of the cluster, this one among them in any case.
  void set_nodes(std::vector<NodeName> nodes);
  // At a start: until it may write, or the time has come.
  Task<> wait_for_one(TimePoint until);
  bool may_write() const noexcept override;
  Task<Result<>> wait_until_known(Ctx& ctx, std::uint64_t revision) override;
  Task<Result<PeerAnswer>> serve(Ctx& ctx, const NodeName& from, PeerCall call) override;

 private:
  struct Said {
    std::uint64_t revision = 0;
    bool somebody_asked = false;
  };
  // What is seen of the members outlives the permit in the membership's list of watchers.
  struct Seen {
    std::mutex mutex;
    std::map<NodeName, TimePoint> gone;   // nodes that are no members: since when
    std::map<NodeName, TimePoint> asked;  // for a permit, and knew as much as this node: when last
  };
  using Answers = FanOut<Result<Said>>;

  static std::size_t majority_of(const std::vector<NodeName>& nodes) noexcept { return nodes.size() / 2 + 1; }
  std::vector<NodeName> nodes() const;
  // Also when this node looks next: so a permit is there when the lease ends, with or without the grace.
  bool will_have_lease() const noexcept;
  static Task<> renew_regularly(WritePermit* self);
  static Task<> stop(WritePermit* self);
  Task<> ask_for_permit();
  static Task<Result<Said>> ask(WritePermit* self, Ctx ctx, NodeName node, std::uint64_t revision,
                                bool for_permit);
  Task<std::shared_ptr<Answers>> ask_all(Ctx& ctx, std::vector<NodeName> nodes, std::uint64_t revision,
                                         bool for_permit);
  bool is_another(const NodeName& node, const std::string& process) const;
  bool was_asked_by_other(const NodeName& than) const;
  TimePoint lease_writes_end(const std::vector<NodeName>& nodes) const;

  const WritePermitDeps deps_;
  const NodeName self_;
  mutable std::mutex nodes_mutex_;
  std::vector<NodeName> nodes_;  // ascending
  const TimePoint started_;
  const std::shared_ptr<Seen> seen_;
  std::atomic<TimePoint::rep> permitted_until_;
  std::atomic<bool> stopping_ = false;
  Event wake_;  // belongs to the home shard, as does the next
  bool wrote_ = true;
  Gate gate_;
};

}  // namespace ostraka::cluster
