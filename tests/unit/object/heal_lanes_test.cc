#include "object/heal_lanes.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "tests/unit/erasure/manual_clock.h"

namespace ostraka::object {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Lanes {
  erasure::ManualClock clock;
  Shard shard{0, clock, ShardSpec{4096, 1, 0}};
  Gate gate;
  HealStop stop{clock};
  HealLanes lanes{clock, stop, 1};
  std::array<int, 3> done{};
  int at_once = 0, most_at_once = 0;

  static Task<> job(Lanes* self, std::size_t kind, Duration duration) {
    self->most_at_once = std::max(self->most_at_once, ++self->at_once);
    co_await sleep_for(self->clock, duration);
    --self->at_once;
    ++self->done[kind];
  }
  // Jobs without end, until the service stops.
  static Task<> busy(Lanes* self, HealWork work, Duration duration) {
    HealCrew crew(self->shard, self->gate, self->lanes, work);
    for (;;) {
      auto starting = crew.start(job(self, static_cast<std::size_t>(work), duration));
      const bool started = co_await std::move(starting);
      if (!started) break;
    }
    co_await crew.drain();
  }
  void spawn(HealWork work, Duration duration) { gate.spawn(shard.executor(), busy(this, work, duration)); }
  void pass(Duration duration) {
    const TimePoint end = clock.now() + duration;
    for (;;) {
      while (shard.io().poll() > 0) shard.io().restart();
      shard.io().restart();
      if (clock.next() > end || !clock.step()) break;
    }
  }
  void end() {
    stop.stop();
    lanes.stop();
    pass(seconds(100));
    EXPECT_EQ(gate.inside(), 0U);
  }
};

TEST(HealLanes, LetInAsManyAsTheWidthSays) {
  Lanes l;
  l.lanes.set_width(4);
  l.spawn(HealWork::refill, seconds(1));
  l.pass(seconds(10));
  EXPECT_EQ(l.most_at_once, 4);
  EXPECT_NEAR(l.done[1], 40, 8);
  l.lanes.set_width(2);
  l.pass(seconds(2));
  l.most_at_once = l.at_once;
  l.pass(seconds(10));
  EXPECT_EQ(l.most_at_once, 2);
  l.end();
}

TEST(HealLanes, GiveEverybodyAPart) {
  Lanes l;
  l.lanes.set_width(6);
  for (const HealWork work : {HealWork::queue, HealWork::refill, HealWork::run}) l.spawn(work, seconds(1));
  l.pass(seconds(20));
  for (const int done : l.done) EXPECT_NEAR(done, 40, 8);
  l.end();
}

TEST(HealLanes, TakeTurnsInASingleLane) {
  for (const double width : {1.0, 0.5}) {
    Lanes l;
    l.lanes.set_width(width);
    for (const HealWork work : {HealWork::queue, HealWork::refill, HealWork::run})
      l.spawn(work, milliseconds(100));
    l.pass(seconds(30));
    EXPECT_EQ(l.most_at_once, 1);
    const int all = l.done[0] + l.done[1] + l.done[2];
    EXPECT_NEAR(all, 300 * width, 20);
    for (const int done : l.done) EXPECT_NEAR(done, all / 3, 2);
    l.end();
  }
}

TEST(HealLanes, LetNobodyInWithoutWidth) {
  Lanes l;
  l.lanes.set_width(0);
  l.spawn(HealWork::queue, seconds(1));
  l.pass(seconds(20));
  EXPECT_EQ(l.done[0], 0);
  EXPECT_TRUE(l.lanes.wanted());
  l.lanes.set_width(1);
  l.pass(milliseconds(1500));
  EXPECT_EQ(l.done[0], 1) << "a wider way is noticed at once";
  l.end();
}

}  // namespace
}  // namespace ostraka::object
