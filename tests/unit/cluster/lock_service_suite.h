// What every LockService must do. A backend is default-constructible and gives
//   control::LockService& locks();  LockWorld& world(): its time and its shard
//   std::size_t held(): names that somebody holds
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/unit/cluster/lock_world.h"

namespace ostraka::cluster {

template <class Backend>
class LockServiceSuite : public testing::Test {
 protected:
  LockWorld& world() { return backend_.world(); }
  Result<LeasePtr> take(const std::string& name, Duration within = std::chrono::seconds(5)) {
    Ctx ctx{world().shard, world().clock.now() + within, "test"};
    return world().wait(backend_.locks().acquire(ctx, name));
  }

  Backend backend_;
};

inline Task<> take_and_note(control::LockService* locks, Shard* shard, int who, std::vector<int>* order,
                            std::vector<LeasePtr>* kept) {
  Ctx ctx{*shard, kNoDeadline, "test"};
  auto lease = co_await locks->acquire(ctx, "key");
  order->push_back(lease ? who : -who);
  if (lease) kept->push_back(std::move(*lease));
}

inline Task<> count_up(control::LockService* locks, Shard* shard, int* counter, int rounds) {
  Ctx ctx{*shard, kNoDeadline, "test"};
  for (int i = 0; i < rounds; ++i) {
    auto lease = co_await locks->acquire(ctx, "counter");
    EXPECT_TRUE(lease.has_value());
    const int before = *counter;
    co_await sleep_for(shard->clock(), std::chrono::milliseconds(1));  // others may break in
    *counter = before + 1;
  }
}

TYPED_TEST_SUITE_P(LockServiceSuite);

TYPED_TEST_P(LockServiceSuite, OtherNamesDoNotWait) {
  const auto a = this->take("a");
  const auto b = this->take(std::string("a\0b", 3));
  const auto c = this->take("ka");
  const auto d = this->take("");
  const auto long_one = this->take(std::string(1500, '\xff'));
  EXPECT_TRUE(a && b && c && d && long_one);
  EXPECT_EQ(this->backend_.held(), 5U);
}

TYPED_TEST_P(LockServiceSuite, IsFreeWhenItWasLetGoOf) {
  for (int i = 0; i < 5; ++i) {
    const auto lease = this->take("key");
    ASSERT_TRUE(lease.has_value());
    EXPECT_EQ(this->backend_.held(), 1U);
  }
  this->world().pass(std::chrono::seconds(1));
  EXPECT_EQ(this->backend_.held(), 0U);
}

TYPED_TEST_P(LockServiceSuite, WaitersAreServedInOrder) {
  Gate gate;
  std::vector<int> order;
  std::vector<LeasePtr> kept;
  LockWorld& world = this->world();
  for (int who = 1; who <= 4; ++who)
    gate.spawn(world.shard.executor(),
               take_and_note(&this->backend_.locks(), &world.shard, who, &order, &kept));
  for (int served = 1; served <= 4; ++served) {
    world.pass(std::chrono::seconds(2));
    ASSERT_EQ(order.size(), static_cast<std::size_t>(served));
    EXPECT_EQ(order.back(), served);
    kept.clear();  // released: the next one in line goes on, but not inside the release
    EXPECT_EQ(order.size(), static_cast<std::size_t>(served));
  }
  EXPECT_EQ(gate.inside(), 0U);
  world.pass(std::chrono::seconds(1));
  EXPECT_EQ(this->backend_.held(), 0U);
}

TYPED_TEST_P(LockServiceSuite, GivesUpAtTheDeadlineAndLeavesTheLine) {
  auto first = this->take("key");
  ASSERT_TRUE(first);
  const TimePoint begun = this->world().clock.now();
  EXPECT_TRUE(this->take("key", std::chrono::milliseconds(5)).failed_with(Errc::deadline));
  EXPECT_EQ(this->world().clock.now() - begun, std::chrono::milliseconds(5));
  first->reset();
  EXPECT_TRUE(this->take("key"));
}

TYPED_TEST_P(LockServiceSuite, PastTheDeadlineNobodyWaits) {
  const auto first = this->take("key");
  EXPECT_TRUE(this->take("key", Duration::zero()).failed_with(Errc::deadline));
}

TYPED_TEST_P(LockServiceSuite, IsHeldAsLongAsItTakes) {
  auto first = this->take("key");
  ASSERT_TRUE(first);
  this->world().pass(std::chrono::minutes(2));
  EXPECT_TRUE(this->take("key", std::chrono::minutes(2)).failed_with(Errc::deadline));
  first->reset();
  EXPECT_TRUE(this->take("key"));
}

TYPED_TEST_P(LockServiceSuite, LosesNoneOfManyTurns) {
  Gate gate;
  int counter = 0;
  for (int i = 0; i < 10; ++i)
    gate.spawn(this->world().shard.executor(),
               count_up(&this->backend_.locks(), &this->world().shard, &counter, 20));
  this->world().wait_for(gate);
  EXPECT_EQ(counter, 200);
}

REGISTER_TYPED_TEST_SUITE_P(LockServiceSuite, OtherNamesDoNotWait, IsFreeWhenItWasLetGoOf,
                            WaitersAreServedInOrder, GivesUpAtTheDeadlineAndLeavesTheLine,
                            PastTheDeadlineNobodyWaits, IsHeldAsLongAsItTakes, LosesNoneOfManyTurns);

}  // namespace ostraka::cluster
