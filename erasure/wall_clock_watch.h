// Notices when the system clock was set forward: times that drives took by it look older than they are from
// then on, and what has to wait a while would go too early. Thread safe.
#pragma once

#include <mutex>

#include "runtime/clock.h"

namespace ostraka::erasure {

class WallClockWatch {
 public:
  // `distrust`: for so long after it was set forward, what it says about ages is not believed.
  explicit WallClockWatch(Duration distrust) : distrust_(distrust) {}
  // From the first call on: has it kept step with the monotonic clock for long enough?
  bool steady(Clock& clock) {
    const std::lock_guard lock(mutex_);
    const TimePoint now = clock.now();
    const std::int64_t wall_ms = clock.unix_ms();
    if (begun_) {
      const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - now_);
      if (wall_ms - wall_ms_ > passed.count() + kStepMs) distrusted_until_ = now + distrust_;
    }
    begun_ = true;
    now_ = now;
    wall_ms_ = wall_ms;
    return now >= distrusted_until_;
  }

 private:
  static constexpr std::int64_t kStepMs = 1000;  // less is how a clock is kept right
  const Duration distrust_;
  std::mutex mutex_;
  bool begun_ = false;
  TimePoint now_{};
  std::int64_t wall_ms_ = 0;
  TimePoint distrusted_until_{};
};

}  // namespace ostraka::erasure
