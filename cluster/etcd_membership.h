// EtcdMembership: the members of a cluster as keys under their leases in etcd (FORMAT.md).
//
// A name is one process's. A node's key is put only where there is none, where it is under this process's own
// lease, or where the process that put it has certainly ended: an earlier lease of this process itself, or
// one whose drives this process has locked now under the same boot of the machine (Member::locks). Whoever
// finds the key of another is displaced: it has no lease, says so, and goes on trying until the other's lease
// ends.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "cluster/etcd_follower.h"
#include "cluster/etcd_session.h"
#include "control/membership.h"
#include "runtime/gate.h"

namespace ostraka::cluster {

std::string encode_member(const control::Member& member);
// Errors: malformed, unsupported_version. facts: an object; its numbers and names may be any.
Result<control::Member> decode_member(std::string_view name, std::string_view value);
// Whether self, with what it has locked now, shows that the process of the same name has ended.
bool has_ended(const control::Member& process, const control::Member& self);

class EtcdMembership final : public control::Membership, private EtcdFollower::Listener {
 public:
  // What this process has locked for itself now, see Member::locks.
  using Locks = std::function<std::vector<std::string>()>;
  using LeaseWatcher = std::function<void(std::uint64_t lease)>;

  // Registers itself with the follower. self: of this node; its since_ms and locks are set here. The other
  // arguments outlive it. The follower is also that of the control store: who has been told of a member has
  // been told of all documents that were changed before it joined, and the other way round.
  EtcdMembership(EtcdClient& client, EtcdFollower& follower, EtcdSession& session, control::Member self,
                 Locks locks = {});
  ~EtcdMembership() override;

  // On the client's shard, after the follower has loaded: joins as soon as the session has a lease.
  void join();
  // On the client's shard, after join(), by one at a time: until this node is a member. Errors: unavailable
  // (displaced, and by whom; or etcd gives no lease until the deadline), closed.
  Task<Result<>> wait_until_joined(TimePoint deadline);
  // On the client's shard, before the session ends and after the follower was closed.
  Task<> close();
  // On the client's shard: Locks has something else to say.
  void say_locks() { publish_soon(); }
  // The lease that this node is a member by; 0: it is none. Watchers are told of each change on the client's
  // shard, until close() has returned.
  std::uint64_t lease() const noexcept;
  void watch_lease(LeaseWatcher watcher) { lease_watchers_.push_back(std::move(watcher)); }
  std::string key() const { return prefix_ + self_.name; }
  const std::string& name() const noexcept { return self_.name; }

  std::vector<control::MemberPtr> members() const override;
  TimePoint lease_until() const noexcept override;
  bool displaced() const noexcept override { return displaced_; }
  Task<Result<>> wait_until_known(Ctx& ctx, std::uint64_t revision) override;
  Hold hold(std::uint64_t revision) override;
  std::uint64_t known_revision() const override;
  void set_facts(std::string facts) override;
  void set_revision(std::uint64_t revision) override;
  void watch(Watcher watcher) override;

 private:
  // Whose this node's key is.
  struct Holder {
    control::Member member;      // with a name alone where what it says is not understood
    std::uint64_t revision = 0;  // the key's
    std::uint64_t lease = 0;     // 0: nobody's
  };

  void changed(std::string_view key, EtcdEvent event) override;
  void own_key_changed(const EtcdKeyValue& entry, const control::MemberPtr& now);
  void publish_soon();
  Task<> publish();
  Task<bool> put_own();
  EtcdCompare absent() const;
  std::optional<EtcdCompare> claim() const;
  void see_holder(std::uint64_t revision, std::optional<Holder> now);
  void become_displaced();
  std::string whose_it_is() const;
  void tell_lease();
  void let_go(std::uint64_t revision);
  static Task<> say_more(EtcdMembership* self);
  Task<Result<>> wait_here(std::uint64_t revision, TimePoint deadline);
  bool all_know(std::uint64_t revision) const;

  EtcdClient& client_;
  EtcdFollower& follower_;
  EtcdSession& session_;
  const Locks locks_;
  const std::string prefix_;
  std::atomic<std::uint64_t> joined_ = 0;  // the lease under which the follower has told of this node
  std::atomic<bool> displaced_ = false;
  Gate gate_;
  control::Member self_;
  std::optional<Holder> holder_;       // nullopt: there is no key
  std::uint64_t holder_revision_ = 0;  // of etcd, when that was so
  std::string complained_of_;          // the log says who has the name
  std::uint64_t told_lease_ = 0;
  std::vector<LeaseWatcher> lease_watchers_;
  bool unpublished_ = true;
  bool stopping_ = false;
  Event changed_;
  Event settled_;  // a member, or displaced

  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, control::MemberPtr> members_;
  std::vector<Watcher> watchers_;
  std::uint64_t applied_ = 0;           // what set_revision() has come to
  std::uint64_t known_ = 0;             // what is said
  std::multiset<std::uint64_t> holds_;  // what keeps it from being said
};

}  // namespace ostraka::cluster
