// What is special about leases inside one process; the rest is in lock_service_suite.h.
#include "cluster/local_lock_service.h"

#include <gtest/gtest.h>

#include <memory>

#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {
namespace {

using LeasePtr = std::unique_ptr<control::Lease>;

Task<> take_one(LocalLockService* locks, Shard* shard, LeasePtr* out) {
  Ctx ctx{*shard, kNoDeadline, "test"};
  auto lease = co_await locks->acquire(ctx, "key");
  if (lease) *out = std::move(*lease);
}

TEST(LocalLocks, UncontendedDoesNotSuspend) {
  SystemClock clock;
  Shard shard{0, clock, ShardSpec{4096, 1, 0}};
  LocalLockService locks;
  Gate gate;
  LeasePtr lease;
  Task<> task = take_one(&locks, &shard, &lease);
  boost::asio::post(shard.executor(), [&] {
    gate.spawn(shard.executor(), std::move(task));
    EXPECT_TRUE(lease) << "it was free, so the coroutine ran through";
  });
  shard.io().run();
  ASSERT_TRUE(lease);
  EXPECT_EQ(locks.held(), 1U);
  lease.reset();
  EXPECT_EQ(locks.held(), 0U);
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
