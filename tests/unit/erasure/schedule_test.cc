// Random schedules of one key, with the real ErasureSet over drives in memory. Each history must be
// linearizable, and with the faults off, and the key healed, no drive is refilling any more and the key has
// an answer and takes a conditional write. One seed, one schedule.
#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/unit/erasure/random_schedule.h"

namespace ostraka::erasure {
namespace {

using Kind = HistoryOp::Kind;
using State = HistoryOp::State;

void run_many(Geometry geometry, std::uint64_t first, std::uint64_t count) {
  log::set_level(log::Level::error);
  std::uint64_t acknowledged = 0;
  std::uint64_t doubtful = 0;
  std::uint64_t gave_up = 0;
  std::uint64_t emptied = 0, rows_lost = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const RandomRun run = run_random_schedule(geometry, seed);
    ASSERT_TRUE(run.ending.well()) << describe(run.ending) << ": seed " << seed << "\n"
                                   << describe(run.history);
    emptied += run.emptied;
    rows_lost += run.rows_lost;
    gave_up += run.ending.linear == Answer::gave_up ? 1U : 0U;
    for (const HistoryOp& op : run.history) {
      acknowledged += op.kind != Kind::read && op.state == State::ok ? 1U : 0U;
      doubtful += op.state == State::doubt ? 1U : 0U;
    }
  }
  EXPECT_GT(acknowledged, 3 * count) << "the schedules are too hostile to show anything";
  EXPECT_GT(doubtful, count / 4) << "the schedules are too kind to show anything";
  EXPECT_GT(emptied, count / 4) << "too few drives lose their data to show anything";
  EXPECT_GT(rows_lost, count / 8) << "the same of rows";
  EXPECT_LT(gave_up, count / 20 + 1);
}

std::uint64_t runs() {
  const char* wanted = std::getenv("OSTRAKA_SCHEDULES");  // more of them, for a long night
  return wanted == nullptr ? 150 : std::strtoull(wanted, nullptr, 10);
}

TEST(Schedules, Mirror1And1) {
  run_many({1, 1}, 0, runs());
}
TEST(Schedules, Three2And1) {
  run_many({2, 1}, 0, runs());
}
TEST(Schedules, Four2And2) {
  run_many({2, 2}, 0, runs());
}
TEST(Schedules, Five3And2) {
  run_many({3, 2}, 0, runs());
}
TEST(Schedules, Six4And2) {
  run_many({4, 2}, 0, runs());
}
TEST(Schedules, Six3And3) {
  run_many({3, 3}, 0, runs());
}

TEST(Schedules, OneSeedIsOneSchedule) {
  log::set_level(log::Level::error);
  for (std::uint64_t seed = 100; seed < 110; ++seed)
    EXPECT_EQ(describe(run_random_schedule({2, 2}, seed).history),
              describe(run_random_schedule({2, 2}, seed).history));
}

TEST(Linearizability, TellsRightFromWrong) {
  HistoryOp put{Kind::put, State::ok, "a", "", 1, 2};
  HistoryOp stale{Kind::read, State::ok, "", "", 3, 4};
  EXPECT_EQ(linearizable({put, stale}), Answer::no);
  stale.call = 1;
  EXPECT_EQ(linearizable({put, stale}), Answer::yes);
  HistoryOp second_create{Kind::create, State::ok, "b", "", 3, 4};
  EXPECT_EQ(linearizable({put, second_create}), Answer::no);
  second_create.state = State::refused;
  EXPECT_EQ(linearizable({put, second_create}), Answer::yes);
  HistoryOp lost{Kind::put, State::doubt, "c", "", 3, 4};
  const HistoryOp sees_it{Kind::read, State::ok, "c", "", 5, 6};
  const HistoryOp sees_it_not{Kind::read, State::ok, "a", "", 7, 8};
  EXPECT_EQ(linearizable({put, lost, sees_it}), Answer::yes);
  EXPECT_EQ(linearizable({put, lost, sees_it, sees_it_not}), Answer::no);
}

}  // namespace
}  // namespace ostraka::erasure
