// Simulated time and the loop that drives it: whenever no shard has anything left to do, time jumps to the
// next event.
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/clock.h"

namespace ostraka::sim {

// Belongs to the one thread.
class SimClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return now_; }
  std::int64_t unix_ms() const noexcept override {
    return kEpochMs + wall_offset_ms_ +
           std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count();
  }
  std::unique_ptr<Timer> arm(IoExecutor, TimePoint at, std::function<void()> wake) override {
    if (at == kNoDeadline) return std::make_unique<Timer>();
    const Place place = after(at - now_, std::move(wake));
    return std::make_unique<Armed>(*this, place);
  }
  using Place = std::pair<TimePoint, std::uint64_t>;
  // An event of the world itself; it runs on the loop.
  Place after(Duration delay, std::function<void()> event) {
    const Place place{deadline_after(now_, std::max(delay, Duration::zero())), ++made_};
    events_.emplace(place, std::move(event));
    return place;
  }
  void cancel(Place place) { events_.erase(place); }
  // Runs the next event. False when there is none.
  bool step() {
    if (events_.empty()) return false;
    const auto first = events_.begin();
    now_ = std::max(now_, first->first.first);
    const std::function<void()> event = std::move(first->second);
    events_.erase(first);
    ++steps_;
    event();
    return true;
  }
  std::uint64_t steps() const noexcept { return steps_; }
  // Somebody sets the wall clock.
  void shift_wall_clock(std::int64_t ms) noexcept { wall_offset_ms_ += ms; }
  std::int64_t wall_offset_ms() const noexcept { return wall_offset_ms_; }

 private:
  class Armed final : public Timer {
   public:
    Armed(SimClock& clock, Place place) : clock_(clock), place_(place) {}
    ~Armed() override { clock_.events_.erase(place_); }

   private:
    SimClock& clock_;
    const Place place_;
  };
  static constexpr std::int64_t kEpochMs = 1'700'000'000'000;

  TimePoint now_{std::chrono::seconds(1000)};
  std::int64_t wall_offset_ms_ = 0;
  std::map<Place, std::function<void()>> events_;
  std::uint64_t made_ = 0, steps_ = 0;
};

}  // namespace ostraka::sim
