// HealLanes: who may heal a key now. The width (heal_pace.h) is shared by those that have something to heal.
// HealCrew: jobs of one of them, each in a lane.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>

#include "runtime/clock.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/shard.h"
#include "runtime/task.h"

namespace ostraka::object {

// Waits that end when the service stops. Belongs to one shard.
class HealStop {
 public:
  explicit HealStop(Clock& clock) : clock_(clock) {}
  bool stopping() const noexcept { return stopping_; }
  void stop();
  // Ends everybody's wait().
  void wake_all();
  // Until the time, stop() or wake_all().
  Task<> wait(TimePoint until);

 private:
  Clock& clock_;
  bool stopping_ = false;
  std::list<Event*> waiting_;
};

enum class HealWork : std::uint8_t { queue, refill, run };

// Belongs to one shard.
class HealLanes {
 public:
  HealLanes(Clock& clock, HealStop& stop, double width)
      : clock_(clock), stop_(stop), wake_(clock), width_(width) {}
  void set_width(double width);
  double width() const noexcept { return width_; }
  // Waits for a lane; one at a time of each kind. False: the service stops.
  Task<bool> enter(HealWork work);
  void leave(HealWork work, Duration took);
  unsigned in_flight() const noexcept;
  bool wanted() const noexcept;  // somebody is in a lane, or waits for one
  void stop() { wake_.stop(); }

 private:
  static constexpr std::size_t kKinds = 3;
  bool may_enter(std::size_t kind) const;
  Clock& clock_;
  HealStop& stop_;
  HealStop wake_;  // those that wait for a lane
  double width_;
  TimePoint not_before_{};  // with a width below 1: the pause after the last heal
  std::array<unsigned, kKinds> inside_{};
  std::array<std::uint64_t, kKinds> ticket_{};  // of who waits, in order of arrival; 0: nobody
  std::uint64_t tickets_ = 0;
};

// Belongs to one shard. drain() before it is destroyed.
class HealCrew {
 public:
  HealCrew(Shard& shard, Gate& gate, HealLanes& lanes, HealWork work)
      : shard_(shard), gate_(gate), lanes_(lanes), work_(work) {}
  HealCrew(const HealCrew&) = delete;
  HealCrew& operator=(const HealCrew&) = delete;
  ~HealCrew();
  // Waits for a lane and starts the job in it. False: the service stops, and the job was dropped.
  Task<bool> start(Task<> job);
  Task<> drain();  // until all jobs have ended
  unsigned running() const noexcept { return running_; }

 private:
  static Task<> run(HealCrew* crew, Task<> job);
  Shard& shard_;
  Gate& gate_;
  HealLanes& lanes_;
  const HealWork work_;
  unsigned running_ = 0;
  Event ended_;
};

}  // namespace ostraka::object
