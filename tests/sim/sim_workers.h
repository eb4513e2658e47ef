// Workers as fibers of the one loop: jobs begin after small random delays, stop wherever the simulated device
// lets them wait, and so interleave in any order that the threads of a real pool would allow.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/workers.h"
#include "tests/sim/fiber.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_random.h"

namespace ostraka::sim {

class SimWorkers;

// Lets fibers wait, and keeps those that are not in use. One at a time in a process: a lock that is taken
// anywhere in it (lock_seam.cc) asks here how to wait.
class FiberScheduler {
 public:
  FiberScheduler(SimClock& clock, SimRandom& random);
  FiberScheduler(const FiberScheduler&) = delete;
  FiberScheduler& operator=(const FiberScheduler&) = delete;
  ~FiberScheduler();

  // The current fiber goes on after the delay; on the loop itself, and in a pool that is coming to its end,
  // at once.
  void wait(Duration delay);
  bool may_wait() const noexcept;
  // Somebody else holds a lock, and waits for his device meanwhile: lets others go on for a moment.
  void wait_for_lock();
  static FiberScheduler* current() noexcept;

  SimClock& clock() noexcept { return clock_; }
  SimRandom& random() noexcept { return random_; }
  // How long the loop itself, that is a shard's thread, has waited for locks.
  Duration loop_waited() const noexcept { return loop_waited_; }

 private:
  friend class SimWorkers;
  SimClock& clock_;
  SimRandom& random_;
  SimWorkers* pool_ = nullptr;  // of the current fiber
  std::vector<std::unique_ptr<Fiber>> idle_;
  Duration loop_waited_{};
};

class SimWorkers final : public Workers {
 public:
  SimWorkers(FiberScheduler& scheduler, SimTimeline& line, unsigned threads);
  SimWorkers(const SimWorkers&) = delete;
  SimWorkers& operator=(const SimWorkers&) = delete;
  ~SimWorkers() override;
  void post(Job job) override;
  void post_after(Duration delay, Job job) override;
  std::size_t queued() const noexcept override { return jobs_.size(); }
  void for_each(std::size_t count, const std::function<void(std::size_t)>& fn) override;

 private:
  friend class FiberScheduler;
  struct Stopped {
    std::unique_ptr<Fiber> fiber;
    std::optional<SimClock::Place> wake;
  };
  void take();  // an idle thread takes the next job, in a moment
  void begin();
  void go_on(Fiber* fiber);
  void entered(std::unique_ptr<Fiber> fiber, bool ended);
  FiberScheduler& scheduler_;
  SimTimeline& line_;
  const unsigned threads_;
  unsigned active_ = 0;  // threads that run a job, or are about to
  bool ending_ = false;
  std::deque<Job> jobs_;
  std::vector<Stopped> stopped_;
  std::optional<SimClock::Place> wake_;  // of the fiber that has just stopped
  std::set<SimClock::Place> events_;     // of begin() and post_after()
};

class SimWorkersFactory final : public WorkersFactory {
 public:
  SimWorkersFactory(FiberScheduler& scheduler, SimTimeline& line) : scheduler_(scheduler), line_(line) {}
  std::unique_ptr<Workers> make(std::string, unsigned threads) override {
    return std::make_unique<SimWorkers>(scheduler_, line_, threads);
  }

 private:
  FiberScheduler& scheduler_;
  SimTimeline& line_;
};

}  // namespace ostraka::sim
