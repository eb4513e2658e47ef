// LockServer: this node's part in the commit leases of the cluster; the other end of LockLink. Calls "lock.*"
// of cluster/FORMAT.md. It has no memory beyond its process: what it granted before it was restarted is with
// the other servers of that key, and comes back with the holder's next renewal.
#pragma once

#include <string>

#include "cluster/lock_table.h"
#include "cluster/transport.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

// Ids of claims that a node begins from now on are greater: they grow over restarts, as long as its clock
// does, since it begins fewer than a million claims in a millisecond.
std::uint64_t lock_ids_from(const Clock& clock);

struct LockServerDeps {
  Clock& clock;
  Shard& home;  // where expiry is looked after
};

// Thread safe.
class LockServer final : public PeerService {
 public:
  explicit LockServer(const LockServerDeps& deps, LockLimits limits = {});
  LockServer(const LockServer&) = delete;
  LockServer& operator=(const LockServer&) = delete;
  void start();
  // Wakes all that wait and refuses whatever comes. Before it goes; no call may be running afterwards.
  Task<> close();

  // Waits up to `wait`, at most kLockPoll, for the name to be free; zero: takes no place in the line. Comes
  // back early, with `waits`, when too many wait here.
  Task<LockVerdict> claim(Ctx& ctx, LockOwner owner, std::string name, Duration wait);
  LockVerdict try_claim(const LockOwner& owner, const std::string& name) {
    return table_.claim(owner, name, false);
  }
  void release(const LockOwner& owner) { table_.release(owner); }
  // Holders that may be gone, and what was found out about them: LockTable.
  std::set<NodeName> doubted() const { return table_.doubted(); }
  void end_of(const NodeName& node, std::uint64_t below, TimePoint told) { table_.end_of(node, below, told); }
  LockTable::Size size() const { return table_.size(); }

  // Errors: unsupported_version (no such call), malformed, deadline.
  Task<Result<PeerAnswer>> serve(Ctx& ctx, const NodeName& from, PeerCall call) override;

 private:
  Task<Result<PeerAnswer>> serve_claim(Ctx& ctx, const NodeName& from, const std::string& head);
  Result<PeerAnswer> serve_release(const NodeName& from, const std::string& head);
  Result<PeerAnswer> serve_renewal(const NodeName& from, const std::string& head);
  static Task<> sweep_regularly(LockServer* self);
  static Task<> stop(LockServer* self);

  Clock& clock_;
  Shard& home_;
  const std::uint64_t first_id_;  // of this process
  LockTable table_;
  bool stopping_ = false;  // belongs to the home shard, as does wake_
  Event wake_;
  Gate gate_;
};

}  // namespace ostraka::cluster
