// EtcdElection: the leader of a matter is the member who could create its key under its lease in etcd
// (FORMAT.md). The token is the key's create_revision.
#pragma once

#include <map>
#include <mutex>
#include <set>

#include "cluster/etcd_follower.h"
#include "cluster/etcd_membership.h"
#include "control/election.h"
#include "runtime/gate.h"

namespace ostraka::cluster {

class EtcdElection final : public control::Election, private EtcdFollower::Listener {
 public:
  // Registers itself with the follower. membership: the node's own. All arguments outlive it.
  EtcdElection(EtcdClient& client, EtcdFollower& follower, EtcdMembership& membership);
  ~EtcdElection() override;

  void start();  // on the client's shard, after the follower has loaded
  // On the client's shard, before the session ends and after the follower was closed.
  Task<> close();

  std::optional<control::Leadership> leading(std::string_view matter) const override;
  std::string leader(std::string_view matter) const override;
  std::uint64_t token(std::string_view matter) const override;
  void stand(std::string matter) override;
  void resign(std::string matter) override;
  void depose(std::string matter, std::uint64_t token) override;
  void watch(Watcher watcher) override;

 private:
  struct Leader {
    std::string member;
    std::uint64_t token = 0;
    std::uint64_t lease = 0;
  };
  void changed(std::string_view key, EtcdEvent event) override;
  Task<> campaign();
  Task<bool> create(std::string matter);
  Task<bool> end(std::string matter, std::uint64_t token);
  std::optional<std::string> vacant() const;  // a matter that this node stands for, without a leader
  // A leader that is to lead no more: of what this node does not stand for any more, or deposed.
  std::optional<std::pair<std::string, std::uint64_t>> unwanted() const;
  void tell_changes();

  EtcdClient& client_;
  EtcdMembership& membership_;
  const std::string prefix_;
  Gate gate_;
  std::set<std::string, std::less<>> standing_;
  std::map<std::string, std::uint64_t, std::less<>> deposed_;  // tokens
  std::map<std::string, std::uint64_t> told_;  // tokens, of what watchers believe that this node leads
  std::vector<Watcher> watchers_;
  bool stopping_ = false;
  Event changed_;

  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, Leader, std::less<>> leaders_;
  std::uint64_t lease_ = 0;  // as a member
};

}  // namespace ostraka::cluster
