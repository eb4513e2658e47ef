#include "object/heal_pace.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ostraka::object {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr double kMax = 16;

// A machine: clients send so many requests a second, whose latency grows with the width of the heal, and the
// heal's rate is proportional to its width up to the greatest.
struct Machine {
  TimePoint now{seconds(1000)};
  ClientLoad load;
  double work = 0;
  double requests = 0;         // a second
  double base_us = 2000;       // of each without healing
  double us_a_width = 1000;    // more of it for each key that is healed at a time
  double rate_a_width = 10e6;  // work a second
  double least_width = kMax, most_width = 0, healed_width = 0;
  HealPace pace{now, kMax};
  double carry = 0;
  bool writing = false;
  std::uint64_t easy_reads = 0;  // a second

  static std::size_t bucket(double us) {
    const auto& bounds = Histogram::kBoundsUs;
    return static_cast<std::size_t>(
        std::lower_bound(bounds.begin(), bounds.end(), static_cast<std::uint64_t>(us)) - bounds.begin());
  }
  void run(Duration duration, bool wanted = true) {
    const TimePoint end = now + duration;
    least_width = kMax, most_width = 0;
    while (now < end) {
      const double width = pace.tick(now, load, work, wanted);
      least_width = std::min(least_width, width);
      most_width = std::max(most_width, width);
      now += kPaceTick;
      const double busy = wanted ? width : 0;
      const double us = base_us + us_a_width * busy;
      carry += requests / 10;
      const auto finished = static_cast<std::uint64_t>(carry);
      carry -= static_cast<double>(finished);
      load.in_flight = requests > 0 ? 4 : 0;
      ClientLoad::Latencies& kind = writing ? load.writes : load.reads;
      kind.finished += finished;
      kind.sum_us += finished * static_cast<std::uint64_t>(us);
      kind.buckets[bucket(us)] += finished;
      // Reads that feel nothing.
      load.reads.finished += easy_reads / 10;
      load.reads.sum_us += easy_reads / 10 * 300;
      load.reads.buckets[bucket(300)] += easy_reads / 10;
      work += busy * rate_a_width / 10;
    }
  }
  double latency() const { return base_us + us_a_width * pace.width(); }
};

TEST(HealPace, RunsAtFullWidthWithoutClients) {
  Machine machine;
  machine.run(seconds(5));
  EXPECT_EQ(machine.pace.width(), kMax);
  EXPECT_NEAR(machine.pace.idle_rate(), kMax * machine.rate_a_width, 1e6);
}

TEST(HealPace, KeepsTheLatencyOfClientsBelowTwice) {
  Machine machine;
  machine.us_a_width = 500;
  machine.run(seconds(5));
  machine.requests = 1000;
  machine.run(seconds(120));
  EXPECT_LT(machine.latency(), 2 * machine.base_us);
  // but a seventh of the rate is left to the heal
  const double before = machine.work;
  machine.run(seconds(60));
  EXPECT_GT((machine.work - before) / 60, 0.15 * machine.pace.idle_rate());
}

TEST(HealPace, SeesTheFewWritesThatSufferAmongManyReadsThatDoNot) {
  Machine machine;
  machine.us_a_width = 500;
  machine.writing = true;
  machine.run(seconds(5));
  machine.requests = 100;
  machine.easy_reads = 10000;
  machine.run(seconds(120));
  EXPECT_LT(machine.latency(), 2 * machine.base_us);
}

TEST(HealPace, UsesWhatClientsDoNotFeel) {
  Machine machine;
  machine.us_a_width = 10;
  machine.run(seconds(5));
  machine.requests = 1000;
  machine.run(seconds(120));
  EXPECT_GT(machine.pace.width(), kMax / 2);
}

TEST(HealPace, NeverFallsBelowASeventhHoweverItHurts) {
  Machine machine;
  machine.us_a_width = 50000;
  machine.run(seconds(5));
  machine.requests = 500;
  machine.run(seconds(60));
  const double before = machine.work;
  machine.run(seconds(200));
  EXPECT_GT((machine.work - before) / 200, 0.15 * machine.pace.idle_rate());
}

TEST(HealPace, PausesToMeasureWhenClientsWereThereFromTheStart) {
  Machine machine;
  machine.requests = 1000;
  machine.run(seconds(3));
  EXPECT_EQ(machine.least_width, 0) << "no pause";
  machine.run(seconds(60));
  EXPECT_LT(machine.latency(), 2 * machine.base_us);
}

TEST(HealPace, KnowsTheLatencyFromTheTimeWhenNothingWasHealed) {
  Machine machine;
  machine.requests = 1000;
  machine.run(seconds(10), false);
  machine.run(seconds(5));
  EXPECT_GT(machine.least_width, 0) << "a pause, though the latency is known";
}

TEST(HealPace, GoesBackToFullWidthWhenClientsLeave) {
  Machine machine;
  machine.run(seconds(5));
  machine.requests = 1000;
  machine.run(seconds(30));
  ASSERT_LT(machine.pace.width(), kMax);
  machine.requests = 0;
  machine.run(seconds(2));
  EXPECT_EQ(machine.pace.width(), kMax);
}

TEST(HealPace, TakesOneLongUploadForAClient) {
  Machine machine;
  machine.run(seconds(5));
  machine.load.in_flight = 1;
  const TimePoint end = machine.now + seconds(10);
  double last = 0;
  while (machine.now < end) {
    last = machine.pace.tick(machine.now, machine.load, machine.work, true);
    machine.now += kPaceTick;
    machine.work += last * machine.rate_a_width / 10;
  }
  EXPECT_GT(last, 0);
}

TEST(HealPace, PrioritiesChangeItWhileItRuns) {
  Machine machine;
  machine.run(seconds(5));
  machine.requests = 1000;
  machine.run(seconds(10));
  machine.pace.set_priority(HealPriority::high);
  machine.run(seconds(1));
  EXPECT_EQ(machine.least_width, kMax);
  machine.pace.set_priority(HealPriority::idle);
  machine.run(seconds(30));
  EXPECT_GT(machine.least_width, 0);
  EXPECT_LT(machine.most_width, 0.1);
  machine.requests = 0;
  machine.run(seconds(3));
  EXPECT_EQ(machine.pace.width(), kMax) << "nobody is there to be disturbed";
}

TEST(HealPace, ReadsLatenciesFromHistograms) {
  ClientLoad::Latencies before, after;
  EXPECT_EQ(p99_us(before, after), 0);
  EXPECT_EQ(mean_us(before, after), 0);
  after.finished = 100;
  after.sum_us = 100 * 700;
  after.buckets[3] = 98;  // up to 1 ms
  after.buckets[6] = 2;   // 5 to 10 ms
  EXPECT_EQ(mean_us(before, after), 700);
  EXPECT_GT(p99_us(before, after), 5000);
  EXPECT_LE(p99_us(before, after), 10000);
  after.buckets.back() = 100;
  EXPECT_EQ(p99_us(before, after), 30000000);
}

}  // namespace
}  // namespace ostraka::object
