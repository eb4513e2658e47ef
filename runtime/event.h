// A one-shot event of one shard: set() may come before or after wait; at most one coroutine waits. Not thread safe.
#pragma once

#include "runtime/clock.h"
#include "runtime/task.h"

namespace ostraka {

class Event {
 public:
  bool is_set() const noexcept { return set_; }
  void set();
  void reset() noexcept { set_ = false; }
  Task<> wait();
  Task<bool> wait_until(Clock& clock, TimePoint deadline);  // false: the deadline came first

 private:
  bool set_ = false;
  Completion<bool> waiter_;
  std::unique_ptr<Clock::Timer> timer_;
};

}  // namespace ostraka
