// The only source of time. Monotonic points for deadlines and latencies, unix milliseconds for what people
// and records see.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "runtime/task.h"

namespace ostraka {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
inline constexpr TimePoint kNoDeadline = TimePoint::max();

class Clock {
 public:
  // Destroying an armed timer disarms it; its callback never runs afterwards. Destroy it on the executor's
  // thread. The callback may destroy its own timer.
  class Timer {
   public:
    virtual ~Timer() = default;
  };
  virtual ~Clock() = default;
  virtual TimePoint now() const noexcept = 0;
  virtual std::int64_t unix_ms() const noexcept = 0;
  // Runs `wake` once on `executor` when `at` is reached; at kNoDeadline never. Call it on the executor's
  // thread.
  virtual std::unique_ptr<Timer> arm(IoExecutor executor, TimePoint at, std::function<void()> wake) = 0;
};

// The kernel's clocks. Thread safe.
class SystemClock final : public Clock {
 public:
  TimePoint now() const noexcept override;
  std::int64_t unix_ms() const noexcept override;
  std::unique_ptr<Timer> arm(IoExecutor executor, TimePoint at, std::function<void()> wake) override;
};

// now + duration, or kNoDeadline where that would overflow.
inline TimePoint deadline_after(TimePoint now, Duration duration) noexcept {
  return duration >= kNoDeadline - now ? kNoDeadline : now + duration;
}

Task<> sleep_for(Clock& clock, Duration duration);

}  // namespace ostraka
