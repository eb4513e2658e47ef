#include "runtime/task.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>

#include "runtime/event.h"
#include "runtime/fan_out.h"
#include "runtime/gate.h"
#include "runtime/shard.h"
#include "runtime/worker_pool.h"

namespace ostraka {
namespace {

using namespace std::chrono_literals;

class RuntimeTest : public testing::Test {
 protected:
  SystemClock clock_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1}};
};

class NoDefault {
 public:
  explicit NoDefault(int v) : value(v) {}
  int value;
};

Task<NoDefault> make(int value) {
  co_return NoDefault(value);
}
Task<int> throwing() {
  throw std::runtime_error("as libraries do");
  co_return 0;
}

TEST_F(RuntimeTest, RunToEndGivesTheValueAndThrowsWhatWasThrown) {
  EXPECT_EQ(run_to_end(shard_, make(5)).value, 5);
  EXPECT_THROW(run_to_end(shard_, throwing()), std::runtime_error);
  EXPECT_EQ(run_to_end(shard_, make(6)).value, 6);
}

Task<bool> set_before_wait() {
  Event event;
  event.set();
  co_await event.wait();
  event.reset();
  co_return !event.is_set();
}
TEST_F(RuntimeTest, EventMayBeSetBeforeTheWait) {
  EXPECT_TRUE(run_to_end(shard_, set_before_wait()));
}

Task<> set_later(Clock* clock, Event* event, Duration after) {
  co_await sleep_for(*clock, after);
  event->set();
}
Task<bool> wait_for_event(Clock* clock, IoExecutor executor, Duration set_after, Duration limit) {
  Event event;
  Gate gate;
  gate.spawn(executor, set_later(clock, &event, set_after));
  const TimePoint deadline = clock->now() + limit;
  const bool in_time = co_await event.wait_until(*clock, deadline);
  co_await gate.close();
  co_return in_time;
}
TEST_F(RuntimeTest, EventTellsWhichCameFirst) {
  EXPECT_TRUE(run_to_end(shard_, wait_for_event(&clock_, shard_.executor(), 1ms, 10s)));
  EXPECT_FALSE(run_to_end(shard_, wait_for_event(&clock_, shard_.executor(), 100ms, 1ms)));
}

Task<bool> timer_fires(Clock* clock, IoExecutor executor, bool destroy) {
  bool fired = false;
  auto timer = clock->arm(executor, clock->now(), [&fired] { fired = true; });
  if (destroy) timer.reset();
  co_await sleep_for(*clock, 5ms);
  co_return fired;
}
TEST_F(RuntimeTest, ADestroyedTimerNeverFires) {
  EXPECT_TRUE(run_to_end(shard_, timer_fires(&clock_, shard_.executor(), false)));
  EXPECT_FALSE(run_to_end(shard_, timer_fires(&clock_, shard_.executor(), true)));
}

// The callback destroys its own timer, and one whose callback is already due on the same turn of the loop.
Task<int> timers_that_destroy_timers(Clock* clock, IoExecutor executor) {
  std::unique_ptr<Clock::Timer> first;
  std::unique_ptr<Clock::Timer> second;
  int fired = 0;
  const TimePoint at = clock->now() + 1ms;
  auto wake = [&] {
    ++fired;
    first.reset();
    second.reset();
  };
  first = clock->arm(executor, at, wake);
  second = clock->arm(executor, at, wake);
  co_await sleep_for(*clock, 20ms);
  co_return fired;
}
TEST_F(RuntimeTest, ATimerMayBeDestroyedFromItsCallback) {
  EXPECT_EQ(run_to_end(shard_, timers_that_destroy_timers(&clock_, shard_.executor())), 1);
}

Task<> count_after(Clock* clock, Duration wait, int* count) {
  co_await sleep_for(*clock, wait);
  ++*count;
}
Task<int> spawn_and_close(Clock* clock, IoExecutor executor) {
  Gate gate;
  int count = 0;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(gate.spawn(executor, count_after(clock, i * 1ms, &count)));
  EXPECT_EQ(gate.inside(), 10U);
  co_await gate.close();
  EXPECT_EQ(gate.inside(), 0U);
  EXPECT_FALSE(gate.spawn(executor, count_after(clock, 0ms, &count)));
  co_return count;
}
TEST_F(RuntimeTest, GateWaitsForAllAndThenRefuses) {
  EXPECT_EQ(run_to_end(shard_, spawn_and_close(&clock_, shard_.executor())), 10);
}
Task<> close_empty() {
  Gate gate;
  co_await gate.close();
}
TEST_F(RuntimeTest, AnEmptyGateClosesAtOnce) {
  run_to_end(shard_, close_empty());
}

void destroy_a_gate_with_a_task_inside() {
  SystemClock clock;
  const ShardSpec small{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1};
  Shard shard(0, clock, small);
  int count = 0;
  Gate gate;
  gate.spawn(shard.executor(), count_after(&clock, 1h, &count));
}
TEST(GateDeathTest, DestroyingAGateWithATaskInsideDies) {
  EXPECT_DEATH(destroy_a_gate_with_a_task_inside(), "inside_");
}

Task<int> on_worker(WorkerPool* pool, int value) {
  auto work = [owned = std::make_unique<int>(value)] { return *owned * 2; };  // move-only
  co_return co_await pool->run(std::move(work));
}
TEST_F(RuntimeTest, WorkerPoolRunsMoveOnlyJobs) {
  WorkerPool pool("test-workers", 2);
  EXPECT_EQ(run_to_end(shard_, on_worker(&pool, 21)), 42);
}

Task<> many_on_worker(WorkerPool* pool, std::atomic<int>* sum) {
  for (int i = 0; i < 200; ++i) {
    const int twice = co_await on_worker(pool, 1);
    sum->fetch_add(twice);
  }
}
// Completions cross threads both ways, from several shards at once.
TEST(ShardPoolTest, CoroutinesOfManyShardsShareAWorkerPool) {
  SystemClock clock;
  const ShardSpec small{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1};
  WorkerPool pool("workers", 3);
  std::atomic<int> sum{0};
  Gate gate;
  Shard main_shard(9, clock, small);
  ShardPool shards(3, clock, small);
  shards.start();
  for (std::size_t i = 0; i < 12; ++i) {
    gate.spawn(shards[i % shards.size()].executor(), many_on_worker(&pool, &sum));
  }
  run_to_end(main_shard, gate.close());
  shards.stop();
  EXPECT_EQ(sum.load(), 12 * 200 * 2);
}

Task<Result<int>> answer_after(Clock* clock, Duration wait, int value) {
  if (wait > 0ms) co_await sleep_for(*clock, wait);
  if (value < 0) co_return fail(Errc::io);
  co_return value;
}

struct QuorumOutcome {
  std::size_t answered;
  std::size_t running;
  std::size_t answered_at_the_end;
};
struct QuorumCase {
  std::vector<std::pair<Duration, int>> answers;
  QuorumSpec spec;
};
Task<QuorumOutcome> run_quorum(Clock* clock, IoExecutor executor, QuorumCase what) {
  Gate gate;
  auto fan = std::make_shared<FanOut<Result<int>>>(what.answers.size());
  for (std::size_t i = 0; i < what.answers.size(); ++i) {
    const auto [wait, value] = what.answers[i];
    fan->start(executor, gate, i, answer_after(clock, wait, value));
  }
  auto counts = [](const Result<int>& answer) { return answer.has_value(); };
  co_await quorum(fan, *clock, what.spec, counts);
  QuorumOutcome out{};
  for (const auto& answer : fan->answers()) out.answered += answer ? 1 : 0;
  out.running = fan->running();
  co_await gate.close();
  for (const auto& answer : fan->answers()) out.answered_at_the_end += answer ? 1 : 0;
  co_return out;
}

TEST_F(RuntimeTest, QuorumDoesNotWaitForLaggardsButTheirAnswersArrive) {
  QuorumCase what{.answers = {{0ms, 1}, {1ms, 2}, {50ms, 3}}, .spec = {.need = 2}};
  const auto out = run_to_end(shard_, run_quorum(&clock_, shard_.executor(), what));
  EXPECT_EQ(out.answered, 2U);
  EXPECT_EQ(out.running, 1U);
  EXPECT_EQ(out.answered_at_the_end, 3U);
}
TEST_F(RuntimeTest, QuorumWaitsTheGraceTimeForTheRest) {
  QuorumCase what{.answers = {{0ms, 1}, {1ms, 2}, {20ms, 3}}, .spec = {.need = 2, .grace = 10s}};
  const auto out = run_to_end(shard_, run_quorum(&clock_, shard_.executor(), what));
  EXPECT_EQ(out.answered, 3U);
}
TEST_F(RuntimeTest, QuorumEndsWhenAllAnsweredThoughTooFewCount) {
  QuorumCase what{.answers = {{0ms, -1}, {1ms, -1}, {2ms, 3}}, .spec = {.need = 2}};
  const auto out = run_to_end(shard_, run_quorum(&clock_, shard_.executor(), what));
  EXPECT_EQ(out.answered, 3U);
  EXPECT_EQ(out.running, 0U);
}
TEST_F(RuntimeTest, QuorumEndsAtTheDeadline) {
  QuorumCase what{.answers = {{0ms, 1}, {80ms, 2}},
                  .spec = {.need = 2, .grace = 0ms, .deadline = clock_.now() + 5ms}};
  const auto out = run_to_end(shard_, run_quorum(&clock_, shard_.executor(), what));
  EXPECT_EQ(out.answered, 1U);
  EXPECT_EQ(out.answered_at_the_end, 2U);
}

}  // namespace
}  // namespace ostraka
