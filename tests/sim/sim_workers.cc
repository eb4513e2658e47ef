#include "tests/sim/sim_workers.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace ostraka::sim {
namespace {

using std::chrono::microseconds;

constexpr Duration kLockPoll = microseconds(20);
constexpr std::uint64_t kMaxHop = 60;  // us until a thread has woken
FiberScheduler* scheduler_of_the_process = nullptr;

}  // namespace

FiberScheduler::FiberScheduler(SimClock& clock, SimRandom& random) : clock_(clock), random_(random) {
  CHECK(scheduler_of_the_process == nullptr);
  scheduler_of_the_process = this;
}

FiberScheduler::~FiberScheduler() {
  scheduler_of_the_process = nullptr;
}

FiberScheduler* FiberScheduler::current() noexcept {
  return scheduler_of_the_process;
}

void FiberScheduler::wait(Duration delay) {
  if (!may_wait()) return;
  Fiber* fiber = Fiber::current();
  SimWorkers* pool = pool_;
  pool->wake_ = pool->line_.after(delay, [pool, fiber] { pool->go_on(fiber); });
  Fiber::stop();
}

bool FiberScheduler::may_wait() const noexcept {
  return Fiber::current() != nullptr && !pool_->ending_;
}

void FiberScheduler::wait_for_lock() {
  if (Fiber::current() == nullptr) {
    const TimePoint begin = clock_.now();
    CHECK(clock_.step());
    loop_waited_ += clock_.now() - begin;
    return;
  }
  if (pool_->ending_) {
    Fiber::stop();  // the pool's destructor goes on with another
  } else {
    wait(kLockPoll);
  }
}

SimWorkers::SimWorkers(FiberScheduler& scheduler, SimTimeline& line, unsigned threads)
    : scheduler_(scheduler), line_(line), threads_(threads) {}

SimWorkers::~SimWorkers() {
  ending_ = true;
  for (const SimClock::Place& event : events_) line_.cancel(event);
  while (!jobs_.empty() || !stopped_.empty()) {
    if (!jobs_.empty() && stopped_.size() < threads_) {
      begin();
      continue;
    }
    std::vector<Fiber*> fibers;
    for (const Stopped& stopped : stopped_) fibers.push_back(stopped.fiber.get());
    for (Fiber* fiber : fibers) go_on(fiber);
    // All wait for locks of jobs elsewhere.
    if (stopped_.size() == fibers.size()) CHECK(scheduler_.clock_.step());
  }
}

void SimWorkers::post(Job job) {
  jobs_.push_back(std::move(job));
  if (ending_ || active_ >= threads_) return;
  ++active_;
  take();
}

void SimWorkers::post_after(Duration delay, Job job) {
  if (ending_ || delay >= std::chrono::hours(24 * 365)) return;
  const auto place = std::make_shared<SimClock::Place>();
  *place = line_.after(delay, [this, place, job = std::move(job)] {
    events_.erase(*place);
    post(job);
  });
  events_.insert(*place);
}

void SimWorkers::take() {
  if (ending_) return;  // the destructor does it
  const auto place = std::make_shared<SimClock::Place>();
  const Duration delay = microseconds(1 + scheduler_.random_.below(kMaxHop));
  *place = line_.after(delay, [this, place] {
    events_.erase(*place);
    begin();
  });
  events_.insert(*place);
}

void SimWorkers::begin() {
  if (jobs_.empty()) {
    --active_;
    return;
  }
  std::unique_ptr<Fiber> fiber;
  if (scheduler_.idle_.empty()) {
    fiber = std::make_unique<Fiber>();
  } else {
    fiber = std::move(scheduler_.idle_.back());
    scheduler_.idle_.pop_back();
  }
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  SimWorkers* outer = std::exchange(scheduler_.pool_, this);
  const bool ended = fiber->begin(std::move(job));
  scheduler_.pool_ = outer;
  entered(std::move(fiber), ended);
}

void SimWorkers::go_on(Fiber* fiber) {
  const auto at = std::find_if(stopped_.begin(), stopped_.end(),
                               [&](const Stopped& stopped) { return stopped.fiber.get() == fiber; });
  CHECK(at != stopped_.end());
  Stopped stopped = std::move(*at);
  stopped_.erase(at);
  if (stopped.wake) line_.cancel(*stopped.wake);
  SimWorkers* outer = std::exchange(scheduler_.pool_, this);
  const bool ended = fiber->go_on();
  scheduler_.pool_ = outer;
  entered(std::move(stopped.fiber), ended);
}

void SimWorkers::entered(std::unique_ptr<Fiber> fiber, bool ended) {
  if (!ended) {
    stopped_.push_back({std::move(fiber), std::exchange(wake_, std::nullopt)});
    return;
  }
  scheduler_.idle_.push_back(std::move(fiber));
  if (jobs_.empty()) {
    --active_;
  } else {
    take();
  }
}

void SimWorkers::for_each(std::size_t count, const std::function<void(std::size_t)>& fn) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[scheduler_.random_.below(i)]);
  for (const std::size_t i : order) fn(i);
}

}  // namespace ostraka::sim
