#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <vector>

#include "runtime/worker_pool.h"

namespace ostraka {
namespace {

using std::chrono::milliseconds;

TEST(WorkersTest, LaterJobsComeInTheOrderOfTheirTimesAndNotEarly) {
  WorkerPool pool("later", 1);
  SystemClock clock;
  const TimePoint begin = clock.now();
  std::promise<void> all;
  std::vector<int> order;
  TimePoint first_at;
  pool.post_after(milliseconds(60), [&] {
    order.push_back(3);
    all.set_value();
  });
  pool.post_after(milliseconds(30), [&] { order.push_back(2); });
  pool.post_after(milliseconds(15), [&] {  // earlier than what the sleeping thread waits for
    order.push_back(1);
    first_at = clock.now();
  });
  pool.post([&] { order.push_back(0); });
  all.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_GE(first_at - begin, milliseconds(15));
  EXPECT_GE(clock.now() - begin, milliseconds(60));
}

TEST(WorkersTest, WhatComesDueTogetherRunsOnAllThreads) {
  WorkerPool pool("due", 2);
  std::promise<void> one, other;
  std::promise<void> done;
  // Each waits for the other: one thread alone would never get through.
  pool.post_after(milliseconds(5), [&] {
    one.set_value();
    other.get_future().wait();
    done.set_value();
  });
  pool.post_after(milliseconds(5), [&] {
    other.set_value();
    one.get_future().wait();
  });
  done.get_future().wait();
}

TEST(WorkersTest, TheEndRunsWhatIsPostedAndDropsWhatIsStillToCome) {
  std::atomic<int> ran{0};
  bool late = false;
  {
    WorkerPool pool("end", 2);
    for (int i = 0; i < 100; ++i) pool.post([&] { ++ran; });
    pool.post_after(std::chrono::hours(1), [&] { late = true; });
    pool.post_after(Duration::max(), [&] { late = true; });
  }
  EXPECT_EQ(ran, 100);
  EXPECT_FALSE(late);
}

TEST(WorkersTest, ForEachReturnsAfterTheLast) {
  WorkerPool pool("each", 3);
  std::vector<int> seen(50);
  pool.for_each(seen.size(), [&](std::size_t i) { seen[i] = static_cast<int>(i) + 1; });
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], static_cast<int>(i) + 1);
}

}  // namespace
}  // namespace ostraka
