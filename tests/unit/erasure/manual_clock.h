// A clock that stands still until it is told to go on: ten seconds of waiting cost nothing, and nothing
// depends on the machine's speed.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "runtime/clock.h"

namespace ostraka::erasure {

// Belongs to one thread, that of the only executor.
class ManualClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return now_; }
  std::int64_t unix_ms() const noexcept override {
    return kEpochMs + set_ms_ +
           std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count();
  }
  std::unique_ptr<Timer> arm(IoExecutor, TimePoint at, std::function<void()> wake) override {
    if (at == kNoDeadline) return std::make_unique<Timer>();
    const auto place = std::pair(at, ++armed_);
    timers_.emplace(place, std::move(wake));
    return std::make_unique<Armed>(*this, place);
  }
  // Goes on to the next timer and runs it. False when there is none.
  bool step() {
    if (timers_.empty()) return false;
    const auto first = timers_.begin();
    now_ = std::max(now_, first->first.first);
    const std::function<void()> wake = std::move(first->second);
    timers_.erase(first);
    wake();
    return true;
  }
  TimePoint next() const { return timers_.empty() ? kNoDeadline : timers_.begin()->first.first; }
  void advance(Duration duration) { now_ += duration; }
  // Somebody sets the wall clock.
  void set_wall(Duration forward) {
    set_ms_ += std::chrono::duration_cast<std::chrono::milliseconds>(forward).count();
  }

 private:
  using Place = std::pair<TimePoint, std::uint64_t>;
  class Armed final : public Timer {
   public:
    Armed(ManualClock& clock, Place place) : clock_(clock), place_(place) {}
    ~Armed() override { clock_.timers_.erase(place_); }

   private:
    ManualClock& clock_;
    const Place place_;
  };
  static constexpr std::int64_t kEpochMs = 1'700'000'000'000;

  TimePoint now_{std::chrono::seconds(1000)};
  std::int64_t set_ms_ = 0;
  std::map<Place, std::function<void()>> timers_;
  std::uint64_t armed_ = 0;
};

// The same time, but the wall clock is off by some milliseconds: another machine's.
class SkewedClock final : public Clock {
 public:
  SkewedClock(Clock& base, std::int64_t skew_ms) : base_(base), skew_ms_(skew_ms) {}
  TimePoint now() const noexcept override { return base_.now(); }
  std::int64_t unix_ms() const noexcept override { return base_.unix_ms() + skew_ms_; }
  std::unique_ptr<Timer> arm(IoExecutor executor, TimePoint at, std::function<void()> wake) override {
    return base_.arm(std::move(executor), at, std::move(wake));
  }

 private:
  Clock& base_;
  const std::int64_t skew_ms_;
};

}  // namespace ostraka::erasure
