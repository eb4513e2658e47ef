// MovePacer: how fast slots of groups are moved, so that clients hardly notice: by the same rules as healing
// (object/heal_pace.h), one move at a time being its greatest width. Every node judges by its own clients.
// The one that leads in moving asks the others, goes by the one that leaves least, and rests for all of them;
// so a rest holds nothing anywhere. Where one wants to see how long requests take without moves, all look at
// the same time, so that there are not as many pauses as nodes.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "cluster/other_paces.h"
#include "object/heal_pace.h"
#include "runtime/clock.h"
#include "runtime/task.h"

namespace ostraka::cmd {

class MovePacer {
 public:
  using Clients = std::function<object::ClientLoad()>;  // thread safe
  // others: outlives this. null: there are none, or they do not matter.
  MovePacer(Clock& clock, Clients clients, cluster::OtherPaces* others = nullptr);
  // Rests for as long as clients want it, after so many bytes were copied by this node: 2 s at most, so that
  // it always gets on. 0: it copies nothing; call it about once a second then. On one shard, one at a time.
  Task<> keep(std::uint64_t bytes);
  // Another node moves, has done so much work since it asked last, and asks what share of the time it may
  // take. resting: it copies nothing just now. Thread safe.
  double asked(std::uint64_t work, bool resting);

 private:
  double tick(double work, bool wanted);
  double share_now(TimePoint now);
  Clock& clock_;
  const Clients clients_;
  cluster::OtherPaces* const others_;
  std::optional<TimePoint> pause_until_;  // all look at their clients until then
  double copied_ = 0;                     // by this node
  TimePoint went_on_;
  std::mutex mutex_;  // guards what follows
  object::HealPace pace_;
  double work_ = 0;  // of all that moved
  std::optional<TimePoint> ticked_, asked_at_;
};

}  // namespace ostraka::cmd
