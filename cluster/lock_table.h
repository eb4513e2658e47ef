// LockTable: what one lock server knows: who holds which name, who waits for it, and until when either is
// believed to be alive. Pure logic on a clock.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cluster/limits.h"
#include "cluster/transport.h"
#include "runtime/clock.h"

namespace ostraka::cluster {

// One claim. The ids of a node grow, also when it starts again: a node has one claim on a name at most, and a
// newer one ends the one before.
struct LockOwner {
  NodeName node;
  std::uint64_t id = 0;
  bool operator==(const LockOwner&) const = default;
};

enum class LockVerdict : std::uint8_t {
  granted = 1,  // the name is the owner's, for kLockLease from now
  waits = 2,    // it has a place in the line, for kLockPlace from now
  refused = 3,  // somebody else has the name; or the claim has ended
  full = 4,     // a limit is reached
};

struct LockLimits {
  std::size_t claims = kMaxLocks;
  std::size_t peer = kMaxPeerLocks;
  std::size_t line = kMaxLockLine;
  std::size_t parked = kMaxLockPolls;
  std::size_t ended = kMaxLocksEnded;
};

// Thread safe.
class LockTable {
 public:
  // Called once, outside of the table's lock, when the claim has been granted or has ended.
  using Wake = std::function<void()>;
  explicit LockTable(Clock& clock, LockLimits limits = {}) : clock_(clock), limits_(limits) {}
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;

  // queue: whether a new claim takes a place in the line. One that is known is renewed and keeps its place.
  LockVerdict claim(const LockOwner& owner, const std::string& name, bool queue);
  // What has become of it; refused: it has ended.
  LockVerdict look(const LockOwner& owner) const;
  // Ends the claim, also one that comes later, held up on the way.
  void release(const LockOwner& owner);
  // False when it does not wait (any more), or too many are parked.
  bool park(const LockOwner& owner, Wake wake);
  Wake unpark(const LockOwner& owner);  // empty: it is not parked
  // Ends what has not been renewed. claim() does so by itself for the name that it is about.
  void sweep();
  // Nodes that have what others wait for, and have said nothing about it for kLockDoubt.
  std::set<NodeName> doubted() const;
  // Ends the node's claims with ids below `below` of which it was last heard before `told`.
  void end_of(const NodeName& node, std::uint64_t below, TimePoint told);
  // Ends all there is, and refuses from now on.
  void shut();

  struct Size {
    std::size_t held = 0, waiting = 0, ended = 0;
  };
  Size size() const;

 private:
  struct Claim {
    LockOwner owner;
    TimePoint expires;
    TimePoint told;         // when its node was last heard of it
    bool repeated = false;  // so that another call for it may still be on its way when it ends
    Wake parked = nullptr;
  };
  struct Lock {
    Claim holder;
    std::list<Claim> line;
  };
  using Locks = std::unordered_map<std::string, Lock>;
  using Named = Locks::value_type;  // its address stays while the map grows
  struct OwnerHash {
    std::size_t operator()(const LockOwner& owner) const noexcept {
      return std::hash<std::string>()(owner.node) ^ std::hash<std::uint64_t>()(owner.id);
    }
  };
  using Woken = std::vector<Wake>;

  // With mutex_ held. Those with a Named return whether anybody has it now; if not, it is gone.
  LockVerdict claim_again(Named& named, const LockOwner& owner, const std::string& name, TimePoint now,
                          Woken& woken);
  LockVerdict claim_anew(const LockOwner& owner, const std::string& name, bool queue, TimePoint now,
                         Woken& woken);
  bool pass_on(Named& named, TimePoint now, Woken& woken);
  bool settle(Named& named, TimePoint now, Woken& woken);
  bool end(Named& named, const LockOwner& owner, TimePoint now, Woken& woken);
  void remember(const LockOwner& owner, TimePoint now);
  void forget(const LockOwner& owner);
  void take_wake(Claim& claim, Woken& woken);
  static const Claim& claim_of(const Lock& lock, const LockOwner& owner);
  static const Claim* of_node(const Lock& lock, const NodeName& node);

  Clock& clock_;
  const LockLimits limits_;
  mutable std::mutex mutex_;
  Locks locks_;
  std::unordered_map<LockOwner, Named*, OwnerHash> claims_;
  std::unordered_map<NodeName, std::size_t> peers_;            // claims of each
  std::unordered_map<LockOwner, TimePoint, OwnerHash> ended_;  // until when it is remembered
  std::size_t parked_ = 0;
  bool shut_ = false;
};

}  // namespace ostraka::cluster
