// Heals that take longer than what they rest on stays true, or than they were given.
#include <gtest/gtest.h>

#include "erasure/limits.h"
#include "erasure/settle.h"
#include "tests/unit/erasure/heal_world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr std::size_t kMiB = 1U << 20;

struct Healing {
  bool done = false;
  HealReport report;
};

Task<> heal_it(World* world, Healing* healing) {
  Ctx ctx{world->shard, deadline_after(world->clock.now(), std::chrono::hours(1)), "heal"};
  const HealSpec spec;
  auto heal = world->set->heal(ctx, world->ref, spec);
  auto report = co_await std::move(heal);
  if (report) healing->report = std::move(*report);
  healing->done = true;
}

FaultyDrive::Script slow(std::string slow_call, Duration delay) {
  return [slow_call, delay](std::string_view call) {
    Fate fate;
    if (call == slow_call) fate.delay = delay;
    return fate;
  };
}

// Two of four drives lack what a heal, which has begun, takes minutes to rebuild.
struct SlowHeal {
  SlowHeal() : world({2, 2}), body(random_text(world.random, 20 * kMiB)) {
    world.memory[3]->set_online(false);
    EXPECT_TRUE(world.run(put_large(&world, world.ref, body, {2, 2})).has_value());
    world.pass(seconds(5));
    world.memory[3]->set_online(true);
    world.memory[2]->files().clear();
    for (const unsigned slot : {2U, 3U}) world.faulty[slot]->follow(slow("append", seconds(9)));
    world.gate.spawn(world.shard.executor(), heal_it(&world, &healing));
    world.pass(seconds(5));
  }
  World world;
  const std::string body;
  Healing healing;
};

TEST(LateHeal, ADeletedObjectStaysDeleted) {
  SlowHeal slow;
  World& world = slow.world;
  Ctx ctx = world.ctx();
  ASSERT_TRUE(world.run(world.set->erase(ctx, world.ref, false, nullptr)).has_value());
  world.pass(kPurgeAfter + 2 * kRetiredWithin);
  disk::ObjectRef other = world.ref;
  other.key = "other";
  ASSERT_TRUE(world.run(put_small(&world, other, "x")).has_value());
  world.pass(seconds(2));
  for (const auto& drive : world.memory) ASSERT_EQ(drive->state(world.ref), nullptr) << "purged";
  EXPECT_FALSE(slow.healing.done);
  world.pass(seconds(200));
  EXPECT_TRUE(slow.healing.done);
  for (const auto& drive : world.memory) {
    EXPECT_EQ(drive->state(world.ref), nullptr);
    EXPECT_TRUE(drive->files().empty()) << "what was rebuilt in vain goes";
    EXPECT_EQ(drive->rows(), 1U);
  }
  for (const auto& drive : world.faulty) drive->follow({});
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::not_found));
  EXPECT_EQ(heal(world).outcome, Out::absent);
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::not_found));
}

TEST(LateHeal, WhatIsStillWantedIsCommitted) {
  SlowHeal slow;
  World& world = slow.world;
  world.pass(seconds(300));
  ASSERT_TRUE(slow.healing.done);
  EXPECT_EQ(slow.healing.report.outcome, Out::healed);
  for (const auto& drive : world.faulty) drive->follow({});
  EXPECT_EQ(heal(world, world.ref, kDeep).outcome, Out::healthy);
  expect_readable_without(world, {0, 1}, slow.body);
}

TEST(LateHeal, NothingIsCommittedThatNobodyCanVouchForAnyMore) {
  SlowHeal slow;
  World& world = slow.world;
  for (const unsigned slot : {0U, 1U})
    world.faulty[slot]->follow([](std::string_view call) {
      Fate fate;
      fate.request_lost = call == "read";
      return fate;
    });
  world.pass(seconds(300));
  ASSERT_TRUE(slow.healing.done);
  EXPECT_EQ(slow.healing.report.outcome, Out::partly);
  EXPECT_EQ(world.memory[3]->state(world.ref), nullptr);
  for (const auto& drive : world.faulty) drive->follow({});
  const HealReport again = heal(world);
  EXPECT_EQ(again.outcome, Out::healed);
  EXPECT_EQ(again.bytes_written, 0U) << "the files that were rebuilt have stayed";
  expect_readable_without(world, {0, 1}, slow.body);
}

TEST(LateHeal, PartsThatWereNotLookedAtAreNotTakenForGood) {
  World world({2, 2});
  Upload upload(world, "upload-1");
  for (const unsigned number : {1U, 2U, 3U}) upload.put_part(number, kMiB);
  ASSERT_TRUE(upload.complete().has_value());
  world.pass(seconds(2));
  world.memory[3]->lose_row(world.ref);
  world.memory[3]->files().clear();
  world.faulty[3]->follow(slow("finish", seconds(8)));
  Ctx ctx{world.shard, deadline_after(world.clock.now(), seconds(12)), "heal"};
  const auto report = world.run(world.set->heal(ctx, world.ref, {}));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->outcome, Out::partly);
  EXPECT_EQ(report->readmissible, 0U);
  EXPECT_EQ(report->shards[0].state, ShardState::not_looked_at);
  EXPECT_EQ(world.memory[3]->state(world.ref), nullptr);
  world.pass(seconds(30));
  world.faulty[3]->follow({});
  const HealReport again = heal(world);
  EXPECT_EQ(again.outcome, Out::healed);
  EXPECT_LT(again.bytes_written, 3 * kMiB / 2) << "the part that was rebuilt has stayed";
  expect_readable_without(world, {0, 1}, upload.body);
}

TEST(LateHeal, ALargeObjectHasTheTimeThatItTakes) {
  World world({2, 2});
  const std::string body = random_text(world.random, 40 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {2, 2})).has_value());
  world.memory[3]->files().clear();
  world.faulty[3]->follow(slow("append", milliseconds(100)));
  Ctx ctx{world.shard, deadline_after(world.clock.now(), seconds(2)), "heal"};
  const auto report = world.run(world.set->heal(ctx, world.ref, {}));
  ASSERT_TRUE(report.has_value()) << report.error().detail;
  EXPECT_EQ(report->outcome, Out::healed);
}

// A version on two drives, fenced on the third; the fourth has lost what it knew.
TEST(LateHeal, HealingOverFencesReachesTheHoldersToo) {
  World world({2, 2});
  for (const unsigned slot : {2U, 3U}) world.faulty[slot]->follow(losing("commit"));
  for (const unsigned slot : {0U, 1U})
    world.faulty[slot]->follow([](std::string_view call) {
      Fate fate;
      fate.request_lost = call == "withdraw";
      return fate;
    });
  world.memory[3]->set_online(false);
  EXPECT_FALSE(world.run(put_small(&world, world.ref, "")).has_value());
  world.memory[3]->set_online(true);
  const disk::KeyState* state = world.memory[0]->state(world.ref);
  ASSERT_NE(state, nullptr);
  ASSERT_EQ(state->versions.size(), 1U);
  const disk::HeldVersion version = state->versions.front();
  world.memory[3]->lose_everything(2, {7});
  for (const auto& drive : world.faulty) drive->follow({});
  world.ref.epoch = 2;
  // another one, who settles it too, withdraws it from a drive that has just said that it holds it
  world.faulty[3]->follow([&world](std::string_view call) {
    if (call == "fence") world.memory[1]->lose_row(world.ref);
    return Fate();
  });
  const auto core = std::make_shared<SetCore>(world.context, std::uint16_t{7}, std::uint64_t{2},
                                              Geometry{2, 2}, world.set->drives());
  const Ctx ctx = world.ctx();
  EXPECT_EQ(world.run(settle(core, ctx, world.ref, version)), Settled::kept);
  for (const auto& drive : world.memory) EXPECT_NE(drive->state(world.ref), nullptr);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "");
}

TEST(LateHeal, AShardThatIsDamagedAgainIsReportedAgain) {
  World world({2, 2});
  const std::string body = random_text(world.random, 2 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {2, 2})).has_value());
  for (const int round : {1, 2}) {
    world.memory[0]->files().clear();
    EXPECT_TRUE(*world.run(get(&world, world.ref)) == body);
    world.pass(seconds(2));
    std::size_t entries = 0;
    for (const auto& drive : world.memory) entries += drive->system().size();
    EXPECT_GT(entries, 0U) << round;
    for (const auto& drive : world.memory) {
      const auto records = drive->system();
      Ctx ctx = world.ctx();
      for (const auto& [name, value] : records)
        EXPECT_TRUE(world.run(drive->erase_system(ctx, name)).has_value());
    }
    EXPECT_EQ(heal(world).outcome, Out::healed);
  }
}

}  // namespace
}  // namespace ostraka::erasure
