// Fan-out: n tasks started at once on the current shard, and a wait that says how many answers it needs. What
// has not answered when the wait ends goes on inside the gate, and its answer still arrives in the shared
// state.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.h"
#include "runtime/clock.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/task.h"

namespace ostraka {

// Held by shared_ptr, since laggards write into it. All of it belongs to one shard.
template <class T>
class FanOut : public std::enable_shared_from_this<FanOut<T>> {
 public:
  using Answers = std::vector<std::optional<T>>;

  explicit FanOut(std::size_t slots) : answers_(slots) {}

  // Starts the task whose answer goes into `slot`. False when the gate is closed. Call it on the executor's
  // thread.
  bool start(IoExecutor executor, Gate& gate, std::size_t slot, Task<T> task) {
    CHECK(slot < answers_.size());
    ++running_;  // first: spawn runs the task up to its first suspension, perhaps to its end
    if (gate.spawn(executor, run(this->shared_from_this(), slot, std::move(task)))) return true;
    --running_;
    return false;
  }
  // Waits until enough(answers) or nothing runs any more (true), or the deadline has passed (false). One
  // waiter at a time. The caller keeps a shared_ptr to this while it waits.
  Task<bool> wait(Clock& clock, TimePoint deadline, std::function<bool(const Answers&)> enough) {
    for (;;) {
      if (running_ == 0 || enough(answers_)) co_return true;
      changed_.reset();
      const bool in_time = co_await changed_.wait_until(clock, deadline);
      if (!in_time) co_return false;
    }
  }
  // Waits for all that was started, or the deadline.
  Task<bool> wait_all(Clock& clock, TimePoint deadline) {
    while (running_ > 0) {
      changed_.reset();
      const bool in_time = co_await changed_.wait_until(clock, deadline);
      if (!in_time) co_return false;
    }
    co_return true;
  }
  std::size_t running() const noexcept { return running_; }
  Answers& answers() noexcept { return answers_; }

 private:
  static Task<> run(std::shared_ptr<FanOut> self, std::size_t slot, Task<T> task) {
    T answer = co_await std::move(task);
    self->answers_[slot].emplace(std::move(answer));
    --self->running_;
    self->changed_.set();
  }

  Answers answers_;
  std::size_t running_ = 0;
  Event changed_;
};

struct QuorumSpec {
  std::size_t need;   // answers for which `counts` holds
  Duration grace{0};  // how long to wait for the others once `need` are there
  TimePoint deadline = kNoDeadline;
};

// Waits until `need` answers count and all others answered or the grace time is over; or until all answered;
// or until the deadline.
template <class T, class Counts>
Task<> quorum(std::shared_ptr<FanOut<T>> fan, Clock& clock, QuorumSpec spec, Counts counts) {
  std::function<bool(const typename FanOut<T>::Answers&)> enough =
      [need = spec.need, counts](const typename FanOut<T>::Answers& answers) {
        std::size_t have = 0;
        for (const auto& answer : answers) have += answer.has_value() && counts(*answer) ? 1 : 0;
        return have >= need;
      };
  const bool in_time = co_await fan->wait(clock, spec.deadline, enough);
  if (!in_time || fan->running() == 0 || spec.grace <= Duration::zero()) co_return;
  const TimePoint grace_end = std::min(spec.deadline, deadline_after(clock.now(), spec.grace));
  co_await fan->wait_all(clock, grace_end);
}

}  // namespace ostraka
