// Keys of which a drive cannot read its row any more: it proves nothing until the row was begun anew, healed
// and readmitted.
#include <gtest/gtest.h>

#include "disk/limits.h"
#include "erasure/heal_queue.h"
#include "erasure/set_core.h"
#include "tests/unit/erasure/heal_world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMiB = 1U << 20;

void expect_readmitted(World& world, unsigned slot) {
  const disk::KeyState* state = world.memory[slot]->state(world.ref);
  ASSERT_NE(state, nullptr);
  EXPECT_FALSE(state->refilling);
  EXPECT_GT(state->birth, 1U);
  EXPECT_FALSE(world.memory[slot]->refilling(7)) << "the drive is full but for this key";
}

TEST(LostRows, AreBegunAnewHealedAndReadmitted) {
  for (const std::size_t size : {std::size_t{3000}, 2 * kMiB + 77}) {
    for (const Geometry geometry : {Geometry{1, 1}, Geometry{2, 2}, Geometry{4, 2}}) {
      World world(geometry);
      const std::string body = random_text(world.random, size);
      const auto put = size < kMiB ? world.run(put_small(&world, world.ref, body))
                                   : world.run(put_large(&world, world.ref, body, geometry));
      ASSERT_TRUE(put.has_value());
      world.memory[1]->damage_row(world.ref);
      EXPECT_TRUE(*world.run(get(&world, world.ref)) == body);
      const HealReport seen = heal(world, world.ref, kLookOnly);
      EXPECT_EQ(seen.outcome, Out::partly);
      EXPECT_EQ(seen.shards[1].state, ShardState::lost_row);
      EXPECT_TRUE(world.memory[1]->row_lost(world.ref)) << "looking changes nothing";
      EXPECT_EQ(world.epochs.raised, 0U);

      const HealReport report = heal(world);
      EXPECT_EQ(report.outcome, Out::healed);
      EXPECT_EQ(report.shards[1].state, ShardState::lost_row);
      EXPECT_TRUE(report.shards[1].healed);
      EXPECT_EQ(world.epochs.raised, 1U);
      expect_readmitted(world, 1);
      EXPECT_EQ(heal(world, world.ref, kDeep).outcome, Out::healthy);
      EXPECT_EQ(world.epochs.raised, 1U);
      expect_readable_without(world, {0}, body);
      ASSERT_TRUE(world.run(put_small(&world, world.ref, "the next")).has_value());
      expect_readable_without(world, {0}, "the next");
    }
  }
}

std::vector<HealEntry> queued(const World& world) {
  std::vector<HealEntry> entries;
  for (const auto& drive : world.memory)
    for (const auto& [name, value] : drive->system()) {
      const auto entry = decode_heal_entry(as_bytes(value));
      EXPECT_TRUE(entry.has_value()) << name;
      if (entry) entries.push_back(*entry);
    }
  return entries;
}

TEST(LostRows, AReadThatMeetsOneHasItHealedWithoutReadingAllOfTheBody) {
  for (const bool absent : {false, true}) {
    World world({2, 2});
    ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
    for (const unsigned slot : {1U, 2U, 3U})
      if (absent) world.memory[slot]->lose_row(world.ref);
    world.memory[0]->damage_row(world.ref);
    for (int reads = 0; reads < 2; ++reads) {
      const auto body = world.run(get(&world, world.ref));
      EXPECT_EQ(body.has_value(), !absent);
      world.pass(seconds(2));
      const std::vector<HealEntry> entries = queued(world);
      EXPECT_EQ(entries.size(), 3U) << "on one more than parity";
      for (const HealEntry& entry : entries) {
        EXPECT_EQ(entry.reason, HealReason::missed_commit) << "nothing of the body is in doubt";
        EXPECT_EQ(entry.slots, 1U);
      }
    }
    EXPECT_EQ(world.set->core()->metrics.heal_entries.value(), 1U) << "once";
    EXPECT_EQ(heal(world).outcome, absent ? Out::absent : Out::healed);
    world.memory[0]->damage_row(world.ref);
    EXPECT_EQ(world.run(get(&world, world.ref)).has_value(), !absent);
    world.pass(seconds(2));
    EXPECT_EQ(world.set->core()->metrics.heal_entries.value(), 2U) << "lost anew";
  }
}

TEST(LostRows, AKeyWithOneIsNotLeftOutOfListings) {
  World world({1, 1});  // one drive is a read quorum
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[0]->damage_row(world.ref);
  for (int round = 0; round < 2; ++round) {
    for (const char* delimiter : {"", "/"}) {
      disk::ListSpec spec;
      spec.bucket = world.ref.bucket;
      spec.delimiter = delimiter;
      Ctx ctx = world.ctx();
      const auto page = world.run(world.set->list(ctx, spec));
      ASSERT_TRUE(page.has_value());
      EXPECT_EQ(page->entries.size(), 1U) << round << delimiter;
    }
    // begun anew, and not healed yet
    Ctx ctx = world.ctx();
    disk::ObjectRef ref = world.ref;
    ref.epoch = 20;
    world.set->raise_epoch(20);
    EXPECT_EQ(world.run(world.memory[0]->begin_anew(ctx, ref)).value_or(false), round == 0);
  }
}

TEST(LostRows, StaySoWithoutTheControlStoreAndAreHealedWithIt) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[2]->damage_row(world.ref);
  world.epochs.away = true;
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::partly);
  EXPECT_EQ(report.shards[2].state, ShardState::lost_row);
  EXPECT_FALSE(report.shards[2].healed);
  EXPECT_TRUE(world.memory[2]->row_lost(world.ref));
  world.epochs.away = false;
  EXPECT_EQ(heal(world).outcome, Out::healed);
  expect_readmitted(world, 2);
}

TEST(LostRows, OfAbsentKeysThatWereNotBegunAnewAreNotDone) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  for (const unsigned slot : {0U, 2U, 3U}) world.memory[slot]->lose_row(world.ref);
  world.memory[1]->damage_row(world.ref);
  world.epochs.away = true;
  EXPECT_EQ(heal(world).outcome, Out::partly);
  world.epochs.away = false;
  EXPECT_EQ(heal(world).outcome, Out::absent);
  expect_readmitted(world, 1);
}

TEST(LostRows, ThatCannotBeBegunAnewCostNoEpoch) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[0]->damage_row(world.ref);
  world.faulty[0]->follow(losing("begin_anew"));
  EXPECT_EQ(heal(world).outcome, Out::partly);
  EXPECT_EQ(world.epochs.raised, 0U);
  world.faulty[0]->follow({});
  EXPECT_EQ(heal(world).outcome, Out::healed);
  EXPECT_EQ(world.epochs.raised, 1U);
}

// Acknowledged by the two drives that were there, one of which has forgotten it: the other cannot tell that
// from a write that never got anywhere.
TEST(LostRows, WhatWasAcknowledgedWithADriveThatForgotItIsKept) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "old")).has_value());
  world.memory[3]->set_online(false);
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "new")).has_value());
  world.memory[0]->damage_row(world.ref);
  world.memory[3]->set_online(true);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "new");
  EXPECT_EQ(heal(world).outcome, Out::healed);
  expect_readmitted(world, 0);
  expect_readable_without(world, {1}, "new");
}

// It may have been fenced by the drive that has forgotten so, and reported as gone for that.
TEST(LostRows, AnOldLeftoverIsSettledBeforeTheDriveSpeaksAgain) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "old")).has_value());
  leave_behind(world, {0}, "left over");
  const VersionId left = world.memory[0]->state(world.ref)->newest();
  world.memory[1]->damage_row(world.ref);
  for (const unsigned slot : {2U, 3U}) world.faulty[slot]->follow(losing("fence"));
  HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::partly);
  EXPECT_TRUE(world.memory[1]->state(world.ref)->refilling) << "the two that promise nothing may yet take it";
  for (const auto& drive : world.faulty) drive->follow({});
  report = heal(world);
  EXPECT_EQ(report.outcome, Out::healthy) << "the record was brought by the heal before";
  expect_readmitted(world, 1);
  for (const auto& drive : world.memory) EXPECT_EQ(drive->state(world.ref)->find(left), nullptr);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "old");
}

TEST(LostRows, NothingIsDecidedWithTooFewDrivesThatRemember) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[1]->damage_row(world.ref);
  world.memory[2]->set_online(false);
  world.memory[3]->set_online(false);
  EXPECT_EQ(heal(world).outcome, Out::undecided);
  EXPECT_TRUE(world.memory[1]->state(world.ref)->refilling);
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::unavailable))
      << "one of two full ones answers";
  world.memory[2]->set_online(true);
  EXPECT_EQ(heal(world).outcome, Out::partly) << "a drive is away";
  expect_readmitted(world, 1);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "body");
}

TEST(LostRows, OfADeletedKeyGetTheTombstoneAndArePurgedWithIt) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  Ctx ctx = world.ctx();
  ASSERT_TRUE(world.run(world.set->erase(ctx, world.ref, false, nullptr)).has_value());
  world.memory[3]->damage_row(world.ref);
  EXPECT_EQ(heal(world).outcome, Out::absent);
  expect_readmitted(world, 3);
  EXPECT_TRUE(world.memory[3]->state(world.ref)->versions.front().tombstone);
  world.pass(seconds(130));
  EXPECT_EQ(heal(world).outcome, Out::absent);
  for (const auto& drive : world.memory) EXPECT_EQ(drive->rows(), 0U);
}

TEST(LostRows, OfAKeyThatNobodyElseKnowsGoInTime) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  for (const unsigned slot : {0U, 2U, 3U}) world.memory[slot]->lose_row(world.ref);
  world.memory[1]->damage_row(world.ref);
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::absent);
  EXPECT_EQ(report.shards[1].state, ShardState::lost_row);
  EXPECT_TRUE(report.shards[1].healed);
  expect_readmitted(world, 1);
  world.pass(milliseconds(disk::kBirthKeptMs / 2));
  EXPECT_EQ(heal(world).outcome, Out::absent);
  EXPECT_EQ(world.memory[1]->rows(), 1U) << "messages from before may still come";
  world.pass(milliseconds(disk::kBirthKeptMs / 2 + 1000));
  EXPECT_EQ(heal(world).outcome, Out::absent);
  EXPECT_EQ(world.memory[1]->rows(), 0U);
}

TEST(LostRows, OfUploadsAndPartsAreHealedAsLongAsTheUploadIsOpen) {
  World world({2, 2});
  Upload upload(world, "upload-1");
  upload.put_part(1, kMiB + 5);
  upload.put_part(2, 700);
  world.memory[0]->damage_row(upload.row());
  world.memory[1]->damage_row(upload.part_row(1));
  EXPECT_EQ(heal(world, upload.row()).outcome, Out::healed);
  EXPECT_EQ(heal(world, upload.part_row(1)).outcome, Out::healed);
  world.memory[2]->damage_row(upload.part_row(2));
  ASSERT_TRUE(upload.complete().has_value());
  world.pass(seconds(2));
  EXPECT_EQ(heal(world).outcome, Out::healthy);
  EXPECT_EQ(heal(world, upload.part_row(2)).outcome, Out::absent);
  for (const auto& drive : world.memory) EXPECT_EQ(drive->rows(), 2U) << "the object's, and that of the end";
  world.pass(std::chrono::minutes(5));
  EXPECT_EQ(heal(world, upload.row()).outcome, Out::absent);
  for (const auto& drive : world.memory) EXPECT_EQ(drive->rows(), 1U) << "the object's";
  expect_readable_without(world, {0}, upload.body);
}

// Nobody knows any more what the key was; but it is not stuck for ever.
TEST(LostRows, OnMoreDrivesThanParityMakesGoodAreALossThatIsTold) {
  for (const Geometry geometry : {Geometry{1, 0}, Geometry{1, 1}, Geometry{2, 2}}) {
    World world(geometry);
    ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
    world.pass(seconds(1));
    for (unsigned slot = 0; slot < geometry.drives() && slot < 3; ++slot)
      world.memory[slot]->damage_row(world.ref);
    EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::unavailable));
    EXPECT_EQ(heal(world).outcome, Out::lost);
    ASSERT_TRUE(world.run(put_small(&world, world.ref, "the next")).has_value()) << geometry.drives();
    EXPECT_EQ(*world.run(get(&world, world.ref)), "the next");
    EXPECT_EQ(heal(world).outcome, Out::healthy);
    for (unsigned slot = 0; slot < geometry.drives() && slot < 3; ++slot) expect_readmitted(world, slot);
  }
}

TEST(LostRows, AreNotGivenUpWhileADriveThatMayRememberIsAway) {
  World world({1, 1});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[0]->damage_row(world.ref);
  world.memory[1]->set_online(false);
  EXPECT_EQ(heal(world).outcome, Out::undecided);
  EXPECT_TRUE(world.memory[0]->state(world.ref)->refilling);
  world.memory[1]->set_online(true);
  EXPECT_EQ(heal(world).outcome, Out::healed);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "body");

  world.memory[1]->damage_row(world.ref);
  world.memory[0]->lose_everything(9, {7});
  world.memory[0]->set_online(false);
  EXPECT_EQ(heal(world).outcome, Out::undecided);
  EXPECT_TRUE(world.memory[1]->state(world.ref)->refilling);
}

// Nobody is left who may remember. The emptied drive's refill would otherwise never end.
TEST(LostRows, WhileTheOtherDriveRefillsAreALossOfThisKeyAlone) {
  World world({1, 1});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[0]->lose_everything(9, {7});
  world.memory[1]->damage_row(world.ref);
  HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::lost);
  EXPECT_NE(report.readmissible & 1U, 0U);
  expect_readmitted(world, 1);
  EXPECT_TRUE(world.memory[0]->refilling(7)) << "the group is not this key";
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "the next")).has_value());
  EXPECT_EQ(*world.run(get(&world, world.ref)), "the next");
  report = heal(world);
  EXPECT_EQ(report.outcome, Out::healthy);
  EXPECT_EQ(report.readmissible, 3U);
}

// The drives that acknowledged the second version have forgotten it, the one that was away knows the first.
TEST(LostRows, OnMoreDrivesThanParityMakesGoodAreToldThoughAnOlderVersionIsLeft) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "")).has_value());
  world.pass(seconds(1));
  world.memory[3]->set_online(false);
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "")).has_value());
  world.memory[3]->set_online(true);
  for (const unsigned slot : {0U, 1U, 2U}) world.memory[slot]->damage_row(world.ref);
  EXPECT_EQ(heal(world).outcome, Out::lost);
  EXPECT_EQ(heal(world).outcome, Out::healthy) << "told once";
  for (const unsigned slot : {0U, 1U, 2U}) expect_readmitted(world, slot);
}

TEST(LostRows, OfADriveThatRefillsWaitForBoth) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[1]->lose_everything(2, {7});
  world.set->raise_epoch(2);
  EXPECT_EQ(heal(world).readmissible, 0xfU);
  world.memory[1]->damage_row(world.ref);
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::healed);
  EXPECT_EQ(report.readmissible, 0xfU);
  EXPECT_FALSE(world.memory[1]->state(world.ref)->refilling);
  EXPECT_TRUE(world.memory[1]->refilling(7)) << "the group is not this key";
}

}  // namespace
}  // namespace ostraka::erasure
