#include "cluster/local_lock_service.h"

#include <gtest/gtest.h>

#include <vector>

#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {
namespace {

using LeasePtr = std::unique_ptr<control::Lease>;

struct Fixture : testing::Test {
  SystemClock clock;
  Shard shard{0, clock, ShardSpec{4096, 1, 0}};
  LocalLockService locks;
  Ctx ctx{shard, kNoDeadline, "test"};

  Result<LeasePtr> take(const std::string& name) { return run_to_end(shard, locks.acquire(ctx, name)); }
};
using LocalLocks = Fixture;

Task<> take_and_note(LocalLockService* locks, Shard* shard, TimePoint deadline, int who,
                     std::vector<int>* order, std::vector<LeasePtr>* kept) {
  Ctx ctx{*shard, deadline, "test"};
  auto lease = co_await locks->acquire(ctx, "key");
  order->push_back(lease ? who : -who);
  if (lease) kept->push_back(std::move(*lease));
}

TEST_F(LocalLocks, UncontendedDoesNotSuspend) {
  Gate gate;
  std::vector<int> order;
  std::vector<LeasePtr> kept;
  Task<> task = take_and_note(&locks, &shard, kNoDeadline, 1, &order, &kept);
  boost::asio::post(shard.executor(), [&] {
    gate.spawn(shard.executor(), std::move(task));
    EXPECT_EQ(order.size(), 1U) << "the lease was free, so the coroutine ran through";
  });
  shard.io().run();
  ASSERT_EQ(order.size(), 1U);
  EXPECT_EQ(locks.held(), 1U);
  kept.clear();
  EXPECT_EQ(locks.held(), 0U);
}

TEST_F(LocalLocks, OtherNamesDoNotWait) {
  const auto a = take("a");
  const auto b = take(std::string("a\0b", 3));
  EXPECT_TRUE(a && b);
  EXPECT_EQ(locks.held(), 2U);
}

TEST_F(LocalLocks, WaitersAreServedInOrder) {
  Gate gate;
  std::vector<int> order;
  std::vector<LeasePtr> kept;
  for (int who = 1; who <= 4; ++who)
    gate.spawn(shard.executor(), take_and_note(&locks, &shard, kNoDeadline, who, &order, &kept));
  shard.io().restart();
  shard.io().poll();
  for (int served = 1; served <= 4; ++served) {
    ASSERT_EQ(order.size(), static_cast<std::size_t>(served));
    EXPECT_EQ(order.back(), served);
    kept.clear();  // released: the next one in line goes on, but not inside the release
    EXPECT_EQ(order.size(), static_cast<std::size_t>(served));
    shard.io().restart();
    shard.io().poll();
  }
  EXPECT_EQ(gate.inside(), 0U);
  EXPECT_EQ(locks.held(), 0U);
}

TEST_F(LocalLocks, GivesUpAtTheDeadlineAndLeavesTheLine) {
  auto first = take("key");
  ASSERT_TRUE(first);
  ctx.deadline = clock.now() + std::chrono::milliseconds(5);
  const auto second = take("key");
  EXPECT_TRUE(second.failed_with(Errc::deadline));
  first->reset();
  EXPECT_EQ(locks.held(), 0U);
  EXPECT_TRUE(take("key"));
}

TEST_F(LocalLocks, PastTheDeadlineNobodyWaits) {
  const auto first = take("key");
  ctx.deadline = clock.now();
  EXPECT_TRUE(take("key").failed_with(Errc::deadline));
}

Task<Result<int>> count_up(LocalLockService* locks, Shard* shard, int* counter, int rounds) {
  Ctx ctx{*shard, kNoDeadline, "test"};
  for (int i = 0; i < rounds; ++i) {
    CO_TRY(lease, co_await locks->acquire(ctx, "counter"));
    const int before = *counter;
    co_await boost::asio::post(shard->executor(), kAwait);  // others get their chance to break in
    *counter = before + 1;
    lease.reset();
  }
  co_return rounds;
}

Task<> count_on(LocalLockService* locks, Shard* shard, int* counter, int rounds) {
  const auto counted = co_await count_up(locks, shard, counter, rounds);
  EXPECT_TRUE(counted.has_value());
}

TEST(LocalLocksOnShards, ExcludeEachOtherAcrossThreads) {
  constexpr int kRounds = 300;
  constexpr unsigned kShards = 3;
  SystemClock clock;
  LocalLockService locks;
  ShardPool pool(kShards, clock, ShardSpec{4096, 1, 0});
  Shard waiting(kShards, clock, ShardSpec{4096, 1, 0});
  Gate gate;
  int counter = 0;
  pool.start();
  for (unsigned i = 0; i < kShards; ++i)
    gate.spawn(pool[i].executor(), count_on(&locks, &pool[i], &counter, kRounds));
  run_to_end(waiting, gate.close());
  pool.stop();
  EXPECT_EQ(counter, static_cast<int>(kShards) * kRounds);
  EXPECT_EQ(locks.held(), 0U);
}

}  // namespace
}  // namespace ostraka::cluster
