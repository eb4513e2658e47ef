// LockLink: one node's lock server as this node sees it: asked over the network, or, its own, directly.
// Releases need no answer: they ride along with the next claim that goes there, or go at once, together with
// what is let go of while the last ones are on their way.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/limits.h"
#include "cluster/lock_message.h"
#include "cluster/lock_server.h"
#include "cluster/transport.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

// All of it outlives the links.
struct LockLinkDeps {
  Transport& transport;
  LockServer& own;
  Clock& clock;
  Shard& home;
  Gate& gate;
  const std::atomic<bool>& stopping;  // nothing is tried again
};

// Thread safe. Held by shared_ptr, since what is under way needs it.
class LockLink final {
 public:
  LockLink(const LockLinkDeps& deps, NodeName self, NodeName node);
  const NodeName& node() const noexcept { return node_; }
  bool is_own() const noexcept { return own_; }

  // As LockServer::claim(). patience: for the node to answer, beyond `wait`. Errors: those of
  // Transport::call; unavailable: it was not asked.
  static Task<Result<LockVerdict>> claim(std::shared_ptr<LockLink> self, Ctx ctx, std::uint64_t id,
                                         std::string name, Duration wait, Duration patience = kLockCall);
  static void release(const std::shared_ptr<LockLink>& self, std::uint64_t id);
  static Task<> renew(std::shared_ptr<LockLink> self, std::vector<LockRenewalOne> claims);
  // Ends what this node's lock server has of processes of the node that are gone, as far as can be found out.
  static Task<> ask_after(std::shared_ptr<LockLink> self);

 private:
  struct Release {
    std::uint64_t id;
    TimePoint since;
  };
  std::vector<Release> take_releases();
  void put_back(std::vector<Release> releases);
  static void send_soon(const std::shared_ptr<LockLink>& self);
  static Task<> send_releases(std::shared_ptr<LockLink> self);

  const LockLinkDeps deps_;
  const NodeName self_;
  const NodeName node_;
  const bool own_;
  std::mutex mutex_;  // guards what follows
  std::vector<Release> releases_;
  bool sending_ = false;
  bool asking_ = false;
};

}  // namespace ostraka::cluster
