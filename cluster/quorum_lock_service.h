// QuorumLockService: commit leases in a cluster, each held on a majority of the lock servers of its name and
// renewed as long as it is held. It serves progress, safety does not rest on it: a node that pauses loses its
// leases without noticing, and what it does then is refused by the drives.
//
// Within the node, claims on one name wait for each other first (LocalLockService), so at most one of them is
// about on the network. It asks all servers at once: nobody else about, it has the lease after one round
// trip. If it gets no majority, somebody else is about, and two such might hold a part each forever. So it
// lets go of what it got, as dsync (MinIO) and Redlock (antirez) do, but does not try its luck again: it
// takes its turn at one server, the first of an order that all nodes agree on, where claims stand in line.
// Whose turn it is has a place in the line of every server, and is given the lease by whoever lets go of it,
// at once; and the next turn comes. Two that cannot reach the same server may both believe to have the turn;
// then what has less than a majority for a while is let go of, after a random time.
//
// A claim carries an id that grows, by which a server tells a newer claim of a node from one that was held up
// on the way. A node that is lost loses its leases after kLockLease. Where somebody waits for one of which
// nothing was heard for kLockDoubt, each server asks the holder since when its process runs: what older ones
// claimed ends at once, as does all of it when the holder's host says that nobody listens there.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/local_lock_service.h"
#include "cluster/lock_link.h"
#include "control/lock_service.h"
#include "runtime/event.h"
#include "runtime/random.h"

namespace ostraka::cluster {

// All of it outlives the service.
struct QuorumLockDeps {
  Transport& transport;
  LockServer& own;  // of this node; asked without the network
  Clock& clock;
  Random& random;
  Shard& home;  // where leases are renewed
};

// Thread safe. Must outlive its leases.
class QuorumLockService final : public control::LockService {
 public:
  // At first this node is the only one, and leases are had as from a LocalLockService.
  QuorumLockService(const QuorumLockDeps& deps, NodeName self);
  QuorumLockService(const QuorumLockService&) = delete;
  QuorumLockService& operator=(const QuorumLockService&) = delete;
  ~QuorumLockService() override;

  void start();
  // From now on these have lock servers, this node among them in any case. For claims from now on; all nodes
  // should know the same, but need not.
  void set_nodes(std::vector<NodeName> nodes);
  // Before the transport and the lock server are closed. No acquire may be under way, and no lease be held.
  Task<> close();

  // Errors: deadline; unavailable (no majority of the servers answers: told after kLockCall at most, or a few
  // times that where others wait for the name); too_large (a name of kMaxLockNameBytes or more).
  Task<Result<std::unique_ptr<control::Lease>>> acquire(Ctx& ctx, std::string name) override;
  std::size_t held() const;  // over the network, and claims that wait in a line there
  std::size_t held_here() const {
    return here_.held();
  }  // all, and those that this node's next claim waits for

 private:
  class HeldLease;
  class Claimed;
  struct Hold;
  struct Contest;
  using Links = std::vector<std::shared_ptr<LockLink>>;
  using LinksPtr = std::shared_ptr<const Links>;
  using HoldPtr = std::shared_ptr<Hold>;

  LinksPtr servers_of(const std::string& name) const;
  static LinksPtr ranked(const LinksPtr& links, const std::string& name);
  HoldPtr begin(std::string name, LinksPtr links);
  void enroll(const HoldPtr& hold);
  void end(Hold& hold) noexcept;
  Duration jittered(Duration most) const;

  Task<Result<HoldPtr>> win(Ctx& ctx, std::string name, LinksPtr links);
  Task<Result<HoldPtr>> try_at_once(Ctx& ctx, std::string name, LinksPtr links);
  Task<Result<std::unique_ptr<Claimed>>> take_turn(Ctx& ctx, std::string name, LinksPtr links);
  Task<Result<HoldPtr>> stand_in_line(Ctx& ctx, std::string name, LinksPtr links);
  static Task<> keep_asking(QuorumLockService* self, std::shared_ptr<Contest> contest, std::size_t slot,
                            Ctx ctx);
  static Task<> renew_regularly(QuorumLockService* self);
  void renew();
  static Task<> doubt_regularly(QuorumLockService* self);
  static Task<> stop(QuorumLockService* self);

  const QuorumLockDeps deps_;
  const NodeName self_;
  LocalLockService here_;
  std::atomic<std::uint64_t> last_id_;
  std::atomic<bool> stopping_ = false;
  Event wake_, stopped_;  // belong to the home shard
  Gate gate_;

  mutable std::mutex mutex_;  // guards what follows
  std::map<NodeName, std::shared_ptr<LockLink>> known_;
  LinksPtr links_;
  std::unordered_map<std::uint64_t, HoldPtr> holds_;  // to be renewed, by id
};

}  // namespace ostraka::cluster
