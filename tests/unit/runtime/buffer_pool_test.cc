#include "runtime/buffer_pool.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <cstring>
#include <thread>

#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka {
namespace {

using namespace std::chrono_literals;

const ShardSpec kSpec{.slab_bytes = 5000, .max_slabs = 3, .keep_slabs = 1};

TEST(BufferPoolTest, SlabsAreAlignedWritableAndBounded) {
  BufferPool pool(5000, 3, 1);
  EXPECT_EQ(pool.slab_bytes(), 8192U);
  std::vector<Buffer> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(pool.try_acquire());
    ASSERT_TRUE(held.back());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(held.back().data()) % 4096, 0U);
    std::memset(held.back().data(), i, held.back().size());
  }
  EXPECT_FALSE(pool.try_acquire());
  EXPECT_EQ(pool.in_use(), 3U);
  Buffer copy = held[1];
  held.clear();
  EXPECT_EQ(pool.in_use(), 1U);
  EXPECT_EQ(copy.data()[8191], 1);
}

TEST(BufferPoolTest, OnlyIdleSlabsBeyondTheKeptOnesAreGivenBack) {
  BufferPool pool(4096, 4, 1);
  {
    std::vector<Buffer> held;
    for (int i = 0; i < 4; ++i) {
      held.push_back(pool.try_acquire());
      held.back().data()[0] = 7;
    }
  }
  EXPECT_EQ(pool.resident(), 4U);
  pool.trim();  // all four were needed since the last call
  EXPECT_EQ(pool.resident(), 4U);
  {
    const Buffer one = pool.try_acquire();
    const Buffer two = pool.try_acquire();
  }
  pool.trim();  // two of them were not
  EXPECT_EQ(pool.resident(), 2U);
  pool.trim();
  EXPECT_EQ(pool.resident(), 1U);
  pool.trim();
  EXPECT_EQ(pool.resident(), 1U);
  std::vector<Buffer> held;
  int zeroed = 0;
  for (int i = 0; i < 4; ++i) {
    held.push_back(pool.try_acquire());
    ASSERT_TRUE(held.back());
    zeroed += held.back().data()[0] == 0 ? 1 : 0;
  }
  EXPECT_EQ(zeroed, 3);  // the kernel really took the others
}

TEST(BufferTest, OnHeap) {
  const Buffer buffer = Buffer::on_heap(100);
  EXPECT_EQ(buffer.size(), 100U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0U);
  EXPECT_TRUE(Buffer::on_heap(0));
}

Task<> acquire_in_turn(Shard* shard, int number, std::vector<int>* order) {
  auto buffer = co_await shard->buffers().acquire(shard->clock(), kNoDeadline);
  EXPECT_TRUE(buffer.has_value());
  order->push_back(number);
  co_await sleep_for(shard->clock(), 1ms);
}
Task<> acquire_all(Shard* shard, std::vector<int>* order) {
  Gate gate;
  for (int i = 0; i < 12; ++i) gate.spawn(shard->executor(), acquire_in_turn(shard, i, order));
  co_await gate.close();
}
TEST(BufferPoolTest, WaitersAreServedInOrder) {
  SystemClock clock;
  Shard shard(0, clock, kSpec);
  std::vector<int> order;
  run_to_end(shard, acquire_all(&shard, &order));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(shard.buffers().in_use(), 0U);
}

Task<Result<Buffer>> acquire_by(Shard* shard, TimePoint deadline) {
  co_return co_await shard->buffers().acquire(shard->clock(), deadline);
}
TEST(BufferPoolTest, NoSlabByTheDeadlineIsOverloaded) {
  SystemClock clock;
  Shard shard(0, clock, kSpec);
  std::vector<Buffer> all;
  for (int i = 0; i < 3; ++i) all.push_back(shard.buffers().try_acquire());
  EXPECT_TRUE(run_to_end(shard, acquire_by(&shard, clock.now() + 2ms)).failed_with(Errc::overloaded));
  EXPECT_TRUE(run_to_end(shard, acquire_by(&shard, clock.now() - 2ms)).failed_with(Errc::overloaded));
  all.pop_back();
  EXPECT_TRUE(run_to_end(shard, acquire_by(&shard, clock.now() - 2ms)).has_value());
}

// The last handle goes on another thread while the coroutine waits, again and again, with deadlines that race
// the release.
Task<int> acquire_racing(Shard* shard, std::atomic<bool>* wanted) {
  int got = 0;
  for (int i = 0; i < 300; ++i) {
    wanted->store(true);
    const TimePoint deadline = shard->clock().now() + (i % 3 == 0 ? 50us : 10s);
    auto buffer = co_await shard->buffers().acquire(shard->clock(), deadline);
    got += buffer.has_value() ? 1 : 0;
  }
  co_return got;
}
TEST(BufferPoolTest, ReleaseFromAnotherThread) {
  SystemClock clock;
  Shard shard(0, clock, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1});
  std::atomic<bool> stop{false};
  std::atomic<bool> wanted{false};
  std::thread thief([&] {
    while (!stop.load()) {
      Buffer taken = shard.buffers().try_acquire();
      if (taken) wanted.store(false);
      for (int spin = 0; taken && !wanted.load() && !stop.load() && spin < 1000; ++spin)
        std::this_thread::yield();
    }
  });
  const int got = run_to_end(shard, acquire_racing(&shard, &wanted));
  stop.store(true);
  thief.join();
  EXPECT_GE(got, 200);
  EXPECT_EQ(shard.buffers().in_use(), 0U);
}

Task<> hold_one_and_wait_for_another(Shard* shard) {
  const Buffer held = shard->buffers().try_acquire();
  auto buffer = co_await shard->buffers().acquire(shard->clock(), kNoDeadline);
  EXPECT_FALSE(buffer.has_value());
}
struct WaitingShard {
  SystemClock clock;
  Shard shard{0, clock, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1}};
  Buffer held = shard.buffers().try_acquire();
  bool ended = false;
  WaitingShard() {
    boost::asio::co_spawn(shard.executor(), hold_one_and_wait_for_another(&shard),
                          [this](const std::exception_ptr&) { ended = true; });
    shard.io().poll();
  }
  ~WaitingShard() { EXPECT_FALSE(ended); }
};
TEST(BufferPoolTest, AShardMayGoWithASlabOnItsWayToACoroutine) {
  WaitingShard waiting;
  EXPECT_EQ(waiting.shard.buffers().in_use(), 2U);
  waiting.held = Buffer();  // handed over in a completion that never runs
  EXPECT_EQ(waiting.shard.buffers().in_use(), 2U);
}
TEST(BufferPoolTest, AShardMayGoWhileACoroutineWaitsForASlabOfItsOwn) {
  SystemClock clock;
  Shard shard(0, clock, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1});
  bool ended = false;
  boost::asio::co_spawn(shard.executor(), hold_one_and_wait_for_another(&shard),
                        [&ended](const std::exception_ptr&) { ended = true; });
  shard.io().poll();
  EXPECT_EQ(shard.buffers().in_use(), 1U);
  EXPECT_FALSE(ended);
}

}  // namespace
}  // namespace ostraka
