// EtcdMembership: the members of a cluster as keys under their leases in etcd (FORMAT.md).
#pragma once

#include <map>
#include <mutex>
#include <set>

#include "cluster/etcd_follower.h"
#include "cluster/etcd_session.h"
#include "control/membership.h"
#include "runtime/gate.h"

namespace ostraka::cluster {

std::string encode_member(const control::Member& member);
// Errors: malformed, unsupported_version. facts: an object; its numbers and names may be any.
Result<control::Member> decode_member(std::string_view name, std::string_view value);

class EtcdMembership final : public control::Membership, private EtcdFollower::Listener {
 public:
  // Registers itself with the follower. self: of this node; its since_ms is set here. The other arguments
  // outlive it. The follower is also that of the control store: who has been told of a member has been told
  // of all documents that were changed before it joined, and the other way round.
  EtcdMembership(EtcdClient& client, EtcdFollower& follower, EtcdSession& session, control::Member self);
  ~EtcdMembership() override;

  // On the client's shard, after the follower has loaded: joins as soon as the session has a lease.
  void join();
  // On the client's shard, before the session ends and after the follower was closed.
  Task<> close();

  std::vector<control::MemberPtr> members() const override;
  TimePoint lease_until() const noexcept override;
  Task<Result<>> wait_until_known(Ctx& ctx, std::uint64_t revision) override;
  Hold hold(std::uint64_t revision) override;
  std::uint64_t known_revision() const override;
  void set_facts(std::string facts) override;
  void set_revision(std::uint64_t revision) override;
  void watch(Watcher watcher) override;

 private:
  void changed(std::string_view key, EtcdEvent event) override;
  void publish_soon();
  Task<> publish();
  void let_go(std::uint64_t revision);
  static Task<> say_more(EtcdMembership* self);
  Task<Result<>> wait_here(std::uint64_t revision, TimePoint deadline);
  bool all_know(std::uint64_t revision) const;

  EtcdClient& client_;
  EtcdFollower& follower_;
  EtcdSession& session_;
  const std::string prefix_;
  std::atomic<std::uint64_t> joined_ = 0;  // the lease under which the follower has told of this node
  Gate gate_;
  control::Member self_;
  bool unpublished_ = true;
  bool stopping_ = false;
  Event changed_;

  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, control::MemberPtr> members_;
  std::vector<Watcher> watchers_;
  std::uint64_t applied_ = 0;           // what set_revision() has come to
  std::uint64_t known_ = 0;             // what is said
  std::multiset<std::uint64_t> holds_;  // what keeps it from being said
};

}  // namespace ostraka::cluster
