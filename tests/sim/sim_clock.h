// Simulated time and the loop that drives it: whenever no shard has anything left to do, time jumps to the
// next event.
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/clock.h"

namespace ostraka::sim {

class SimTimeline;

// Belongs to the one thread. Itself the clock of whoever lives outside of the nodes.
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
  // An event of the world itself; it runs on the loop. `line`: it is one of that machine.
  Place after(Duration delay, std::function<void()> event, SimTimeline* line = nullptr) {
    const Place place{deadline_after(now_, std::max(delay, Duration::zero())), ++made_};
    events_.emplace(place, Pending{std::move(event), line});
    return place;
  }
  void cancel(Place place) { events_.erase(place); }
  // Runs the next event. False when there is none.
  bool step();
  std::uint64_t steps() const noexcept { return steps_; }
  // Somebody sets the wall clock.
  void shift_wall_clock(std::int64_t ms) noexcept { wall_offset_ms_ += ms; }
  std::int64_t wall_offset_ms() const noexcept { return wall_offset_ms_; }

  static constexpr TimePoint kBegin{std::chrono::seconds(1000)};
  static constexpr std::int64_t kEpochMs = 1'700'000'000'000;

 private:
  friend class SimTimeline;
  struct Pending {
    std::function<void()> event;
    SimTimeline* line;
  };
  class Armed final : public Timer {
   public:
    Armed(SimClock& clock, Place place) : clock_(clock), place_(place) {}
    ~Armed() override { clock_.events_.erase(place_); }

   private:
    SimClock& clock_;
    const Place place_;
  };

  TimePoint now_{kBegin};
  std::int64_t wall_offset_ms_ = 0;
  std::map<Place, Pending> events_;
  std::uint64_t made_ = 0, steps_ = 0;
};

// What happens on one machine: as long as its processes are stopped, it waits, and then happens all at once
// and too late.
class SimTimeline {
 public:
  using Place = SimClock::Place;
  explicit SimTimeline(SimClock& world) : world_(world) {}
  SimTimeline(const SimTimeline&) = delete;
  SimTimeline& operator=(const SimTimeline&) = delete;
  SimClock& world() noexcept { return world_; }
  Place after(Duration delay, std::function<void()> event) {
    return world_.after(delay, std::move(event), this);
  }
  void cancel(Place place) {
    world_.cancel(place);
    waiting_.erase(place);
  }
  bool stopped() const noexcept { return stopped_; }
  void stop() noexcept { stopped_ = true; }
  void go_on() {
    stopped_ = false;
    for (auto& [place, event] : waiting_)
      world_.events_.emplace(place, SimClock::Pending{std::move(event), this});
    waiting_.clear();
  }

 private:
  friend class SimClock;
  SimClock& world_;
  bool stopped_ = false;
  std::map<Place, std::function<void()>> waiting_;
};

inline bool SimClock::step() {
  if (events_.empty()) return false;
  const auto first = events_.begin();
  const Place place = first->first;
  Pending pending = std::move(first->second);
  events_.erase(first);
  now_ = std::max(now_, place.first);
  ++steps_;
  if (pending.line != nullptr && pending.line->stopped()) {
    pending.line->waiting_.emplace(place, std::move(pending.event));
  } else {
    pending.event();
  }
  return true;
}

// The clocks of one machine, which say another time of day than those of others, and run at another pace.
class MachineClock final : public Clock {
 public:
  explicit MachineClock(SimTimeline& line) : line_(line) {}
  TimePoint now() const noexcept override {
    const Duration passed = line_.world().now() - SimClock::kBegin;
    return SimClock::kBegin + passed + passed / kMillion * ppm_;
  }
  std::int64_t unix_ms() const noexcept override {
    return SimClock::kEpochMs + line_.world().wall_offset_ms() + offset_ms_ +
           std::chrono::duration_cast<std::chrono::milliseconds>(now().time_since_epoch()).count();
  }
  std::unique_ptr<Timer> arm(IoExecutor, TimePoint at, std::function<void()> wake) override {
    if (at == kNoDeadline) return std::make_unique<Timer>();
    const Duration left = at - now();
    // A clock that is ahead comes there sooner; never before its time.
    const Duration delay = ppm_ == 0 ? left : left - left / kMillion * ppm_ + std::chrono::microseconds(1);
    auto armed = std::make_unique<Armed>(line_);
    armed->place = line_.after(delay, [this, at, armed = armed.get(), wake = std::move(wake)]() mutable {
      fire(armed, at, std::move(wake));
    });
    return armed;
  }
  void set_offset_ms(std::int64_t ms) noexcept { offset_ms_ = ms; }
  std::int64_t offset_ms() const noexcept { return offset_ms_; }
  void set_pace(std::int64_t ppm) noexcept { ppm_ = ppm; }  // once, before anything runs

 private:
  static constexpr std::int64_t kMillion = 1'000'000;
  struct Armed final : Timer {
    explicit Armed(SimTimeline& timeline) : line(timeline) {}
    ~Armed() override { line.cancel(place); }
    SimTimeline& line;
    SimTimeline::Place place;
  };
  void fire(Armed* armed, TimePoint at, std::function<void()> wake) {
    const Duration left = at - now();
    if (left <= Duration::zero()) {
      wake();
      return;
    }
    armed->place = line_.after(
        left + std::chrono::microseconds(1),
        [this, at, armed, wake = std::move(wake)]() mutable { fire(armed, at, std::move(wake)); });
  }
  SimTimeline& line_;
  std::int64_t offset_ms_ = 0;
  std::int64_t ppm_ = 0;
};

}  // namespace ostraka::sim
