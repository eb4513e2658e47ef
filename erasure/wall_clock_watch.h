// Notices when the system clock was set: forward, times that drives took by it look older than they are from
// then on, and what has to wait a while would go too early; back, versions written before are dated ahead.
// Thread safe.
#pragma once

#include <mutex>

#include "base/encoding.h"
#include "base/log.h"
#include "base/metrics.h"
#include "runtime/clock.h"

namespace ostraka::erasure {

class WallClockWatch {
 public:
  // `distrust`: for so long after it was set forward, what it says about ages is not believed.
  explicit WallClockWatch(Duration distrust) : distrust_(distrust) {}
  // From the first call on: has it kept step with the monotonic clock for long enough? Says in the log when
  // it was set, and counts that.
  bool steady(Clock& clock, Counter& times_set) {
    const std::lock_guard lock(mutex_);
    const TimePoint now = clock.now();
    const std::int64_t wall_ms = clock.unix_ms();
    if (begun_) {
      const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - now_);
      const std::int64_t step_ms = wall_ms - wall_ms_ - passed.count();
      if (step_ms > kStepMs || step_ms < -kStepMs) {
        times_set.add();
        tell(step_ms, wall_ms);
      }
      if (step_ms > kStepMs) distrusted_until_ = now + distrust_;
    }
    begun_ = true;
    now_ = now;
    wall_ms_ = wall_ms;
    return now >= distrusted_until_;
  }

 private:
  void tell(std::int64_t step_ms, std::int64_t wall_ms) const {
    if (step_ms > 0) {
      log::warn(
          "the system clock went forward by {} s to {}, against the time that has passed: nothing is purged "
          "for {} s. "
          "If it is wrong now, set it right soon: what is written meanwhile stays dated ahead",
          step_ms / 1000, iso8601(wall_ms),
          std::chrono::duration_cast<std::chrono::seconds>(distrust_).count());
      return;
    }
    log::error(
        "the system clock was set back by {} s to {}. New versions follow it at once; keys written while it "
        "was ahead "
        "are dated up to {}, and until then their next versions are dated just after those and may be "
        "answered with "
        "503 while drives are away. Keep the clock right by NTP (docs/operations.md)",
        -step_ms / 1000, iso8601(wall_ms), iso8601(wall_ms - step_ms));
  }

  static constexpr std::int64_t kStepMs = 1000;  // less is how a clock is kept right
  const Duration distrust_;
  std::mutex mutex_;
  bool begun_ = false;
  TimePoint now_{};
  std::int64_t wall_ms_ = 0;
  TimePoint distrusted_until_{};
};

}  // namespace ostraka::erasure
