// A one-shot event of one shard: set() may come before or after wait; at most one coroutine waits. Not thread
// safe.
#pragma once

#include <memory>

#include "runtime/clock.h"
#include "runtime/task.h"

namespace ostraka {

// Must outlive the wait.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  bool is_set() const noexcept { return set_; }
  void set();
  void reset() noexcept { set_ = false; }
  Task<> wait();
  // True when the event was set, even when the deadline came between set() and the resumption; false: the
  // deadline came first.
  Task<bool> wait_until(Clock& clock, TimePoint deadline);

 private:
  void wake();
  bool set_ = false;
  Completion<bool> waiter_;
};

}  // namespace ostraka
