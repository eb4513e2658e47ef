// MovePacer: how fast slots of groups are moved, so that clients hardly notice: by the same rules as healing
// (object/heal_pace.h), one move at a time being its greatest width. It goes by the clients of this node.
#pragma once

#include <cstdint>
#include <functional>

#include "object/heal_pace.h"
#include "runtime/clock.h"
#include "runtime/task.h"

namespace ostraka::cmd {

// Belongs to one shard.
class MovePacer {
 public:
  using Clients = std::function<object::ClientLoad()>;
  MovePacer(Clock& clock, Clients clients);
  // Rests for as long as clients want it, after so many bytes were copied. 0: nothing is being copied; call
  // it about once a second then.
  Task<> keep(std::uint64_t bytes);

 private:
  double tick(bool wanted);
  Clock& clock_;
  const Clients clients_;
  object::HealPace pace_;
  double work_ = 0;
  TimePoint ticked_{}, went_on_{};
};

}  // namespace ostraka::cmd
