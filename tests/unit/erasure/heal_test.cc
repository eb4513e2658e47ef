// Healing one key: what is lacking on a drive comes back, byte for byte.
#include <gtest/gtest.h>

#include "erasure/heal_queue.h"
#include "tests/unit/erasure/heal_world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMiB = 1U << 20;

std::string blocks_of(MemoryDrive& drive) {
  std::string out;
  for (const auto& [data, file] : drive.files())
    for (const std::string& block : file->blocks) out += block;
  return out;
}

TEST(Heal, AWholeKeyIsHealthyAndNothingIsWritten) {
  World world({4, 2});
  ASSERT_TRUE(
      world.run(put_large(&world, world.ref, random_text(world.random, 3 * kMiB), {4, 2})).has_value());
  const HealReport report = heal(world, world.ref, kDeep);
  EXPECT_EQ(report.outcome, Out::healthy);
  EXPECT_EQ(report.bytes_written, 0U);
  EXPECT_EQ(report.bytes_verified, 6 * 3 * kMiB / 4);
  EXPECT_EQ(report.readmissible, 0x3fU);
  EXPECT_TRUE(report.is_final);
  ASSERT_NE(report.record, nullptr);
  EXPECT_EQ(report.record->size, 3 * kMiB);
}

TEST(Heal, AnAbsentKeyIsAbsent) {
  World world({4, 2});
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::absent);
  EXPECT_TRUE(report.version.is_none());
  EXPECT_EQ(report.readmissible, 0x3fU);
}

TEST(Heal, MissedCommitsComeBackInEveryGeometryAndSize) {
  for (const Geometry geometry :
       {Geometry{1, 1}, Geometry{2, 1}, Geometry{2, 2}, Geometry{4, 2}, Geometry{8, 4}, Geometry{16, 16}}) {
    World world(geometry);
    const unsigned away = geometry.drives() - geometry.write_quorum();
    if (away == 0) continue;
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{5000}, kMiB - 1, kMiB, 2 * kMiB + 12345}) {
      const std::string body = random_text(world.random, size);
      for (unsigned slot = 0; slot < away; ++slot) world.memory[slot]->set_online(false);
      if (size <= 5000) {
        ASSERT_TRUE(world.run(put_small(&world, world.ref, body)).has_value());
      } else {
        ASSERT_TRUE(world.run(put_large(&world, world.ref, body, geometry)).has_value());
      }
      world.pass(seconds(2));
      for (unsigned slot = 0; slot < away; ++slot) world.memory[slot]->set_online(true);
      const HealReport report = heal(world);
      EXPECT_EQ(report.outcome, Out::healed);
      for (unsigned slot = 0; slot < geometry.drives(); ++slot) {
        EXPECT_EQ(report.shards[slot].state, slot < away ? ShardState::no_record : ShardState::good);
        EXPECT_EQ(report.shards[slot].healed, slot < away);
        EXPECT_EQ(world.memory[slot]->state(world.ref)->final_id, report.version);
        EXPECT_EQ(world.memory[slot]->state(world.ref)->versions.size(), 1U) << "the replaced one has gone";
      }
      EXPECT_EQ(heal(world, world.ref, kDeep).outcome, Out::healthy);
      std::vector<unsigned> others;
      for (unsigned slot = 0; slot < away; ++slot) others.push_back(geometry.drives() - 1 - slot);
      expect_readable_without(world, others, body);
      EXPECT_EQ(world.shard.buffers().in_use(), 0U);
    }
  }
}

TEST(Heal, MissingAndCorruptFilesAreReplacedByTheSameBytes) {
  World world({4, 2});
  const std::string body = random_text(world.random, 5 * kMiB + 4321);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  std::vector<std::string> before;
  for (const auto& drive : world.memory) before.push_back(blocks_of(*drive));
  world.memory[1]->files().clear();
  world.memory[5]->files().begin()->second->corrupt[2] = true;
  EXPECT_EQ(heal(world, world.ref, kLookOnly).outcome, Out::partly);
  EXPECT_TRUE(world.memory[1]->files().empty()) << "a dry run changes nothing";
  const HealReport report = heal(world, world.ref, kDeep);
  EXPECT_EQ(report.outcome, Out::healed);
  EXPECT_EQ(report.shards[1].state, ShardState::no_shard);
  EXPECT_EQ(report.shards[5].state, ShardState::corrupt);
  EXPECT_TRUE(report.shards[1].healed && report.shards[5].healed);
  EXPECT_NE(report.shards[5].detail.find("1 of 6 blocks"), std::string::npos) << report.shards[5].detail;
  for (unsigned slot = 0; slot < 6; ++slot)
    EXPECT_TRUE(blocks_of(*world.memory[slot]) == before[slot]) << slot;
  EXPECT_EQ(heal(world, world.ref, kDeep).outcome, Out::healthy);
}

TEST(Heal, AShallowHealDoesNotReadBlocks) {
  World world({4, 2});
  ASSERT_TRUE(
      world.run(put_large(&world, world.ref, random_text(world.random, 2 * kMiB), {4, 2})).has_value());
  world.memory[0]->files().begin()->second->corrupt[1] = true;
  for (const auto& drive : world.memory) drive->block_reads = 0;
  EXPECT_EQ(heal(world).outcome, Out::healthy);
  for (const auto& drive : world.memory) EXPECT_EQ(drive->block_reads, 0U);
}

// It is told to the heal queue, though the others make good for it.
TEST(Heal, ACorruptBlockThatARebuildMeetsIsReported) {
  World world({4, 2});
  const std::string body = random_text(world.random, 3 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  world.memory[0]->files().begin()->second->corrupt[1] = true;
  world.memory[5]->files().clear();
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::healed);
  EXPECT_EQ(report.shards[5].state, ShardState::no_shard);
  world.pass(std::chrono::seconds(2));
  unsigned entries = 0;
  for (const auto& drive : world.memory) {
    for (const auto& [name, value] : drive->system()) {
      const auto entry = decode_heal_entry(as_bytes(value));
      ASSERT_TRUE(entry.has_value());
      EXPECT_EQ(entry->reason, HealReason::damaged_shard);
      EXPECT_EQ(entry->slots, 1U) << "of the first drive";
      ++entries;
    }
  }
  EXPECT_EQ(entries, 3U);
  EXPECT_EQ(heal(world, world.ref, kDeep).outcome, Out::healed);
  expect_readable_without(world, {1, 2}, body);
}

TEST(Heal, InlineShardsAreRewritten) {
  World world({4, 2});
  const std::string body = random_text(world.random, 100'000);
  ASSERT_TRUE(world.run(put_small(&world, world.ref, body)).has_value());
  world.memory[0]->corrupt_inline(world.ref);
  world.memory[3]->lose_inline(world.ref);
  EXPECT_EQ(heal(world, world.ref, kLookOnly).outcome, Out::partly);
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::healed);
  EXPECT_EQ(report.shards[0].state, ShardState::no_shard);
  EXPECT_EQ(report.shards[3].state, ShardState::no_shard);
  EXPECT_EQ(heal(world).outcome, Out::healthy);
  expect_readable_without(world, {1, 2}, body);
}

TEST(Heal, DamageSpreadOverAllDrivesIsMendedStripeByStripe) {
  World world({4, 2});
  const std::string body = random_text(world.random, 6 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  // every drive is damaged somewhere, and each stripe has just k good blocks
  for (std::size_t stripe = 0; stripe < 6; ++stripe)
    for (const std::size_t drive : {stripe % 6, (stripe + 1) % 6})
      world.memory[drive]->files().begin()->second->corrupt[stripe] = true;
  EXPECT_EQ(heal(world, world.ref, kDeep).outcome, Out::healed);
  EXPECT_EQ(heal(world, world.ref, kDeep).outcome, Out::healthy);
  expect_readable_without(world, {0, 1}, body);
}

TEST(Heal, OtherStorageClassesAreHealedWithTheirOwnParity) {
  World world({4, 2});
  const std::string body = random_text(world.random, 3 * kMiB + 9);
  world.memory[2]->set_online(false);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {5, 1})).has_value());
  world.memory[2]->set_online(true);
  EXPECT_EQ(heal(world).outcome, Out::healed);
  expect_readable_without(world, {4}, body);
  const std::string more = random_text(world.random, 2 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, more, {3, 3})).has_value());
  for (const unsigned slot : {0U, 1U, 2U}) world.memory[slot]->files().clear();
  EXPECT_EQ(heal(world).outcome, Out::healed) << "three may be lost of 3+3";
  expect_readable_without(world, {3, 4}, more);
}

TEST(Heal, AStaleDriveCatchesUp) {
  World world({4, 2});
  ASSERT_TRUE(
      world.run(put_large(&world, world.ref, random_text(world.random, 2 * kMiB), {4, 2})).has_value());
  world.memory[3]->set_online(false);
  const std::string body = random_text(world.random, 3 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  world.pass(seconds(2));
  world.memory[3]->set_online(true);
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::healed);
  EXPECT_EQ(world.memory[3]->files().size(), 1U) << "the old version's file has gone";
  expect_readable_without(world, {0, 1}, body);
}

TEST(Heal, WithADriveAwayItIsPartly) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[1]->set_online(false);
  world.memory[4]->lose_row(world.ref);
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::partly);
  EXPECT_EQ(report.shards[1].state, ShardState::offline);
  EXPECT_TRUE(report.shards[4].healed);
  EXPECT_EQ(report.readmissible, 0x3dU);
}

TEST(Heal, TooFewDrivesDecideNothing) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  for (const unsigned slot : {0U, 1U, 2U, 3U}) world.memory[slot]->set_online(false);
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::undecided);
  EXPECT_EQ(report.readmissible, 0U);
}

TEST(Heal, WhatHasFewerThanKGoodShardsIsLostAndLeftAlone) {
  for (const std::size_t size : {std::size_t{1000}, 2 * kMiB}) {
    World world({4, 2});
    const std::string body = random_text(world.random, size);
    if (size < kMiB) {
      ASSERT_TRUE(world.run(put_small(&world, world.ref, body)).has_value());
    } else {
      ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
    }
    for (const unsigned slot : {1U, 2U, 3U}) {
      world.memory[slot]->files().clear();
      world.memory[slot]->lose_inline(world.ref);
    }
    EXPECT_EQ(heal(world, world.ref, kLookOnly).outcome, Out::lost);
    world.memory[0]->set_online(false);
    EXPECT_NE(heal(world).outcome, Out::lost) << "the one that is away may have a shard";
    world.memory[0]->set_online(true);
    const HealReport report = heal(world);
    EXPECT_EQ(report.outcome, Out::lost);
    for (const auto& drive : world.memory) EXPECT_NE(drive->state(world.ref)->find(report.version), nullptr);
    for (const unsigned slot : {0U, 4U, 5U})
      EXPECT_EQ(world.memory[slot]->files().size(), size < kMiB ? 0U : 1U);
  }
}

TEST(Heal, RecordsOnFewerThanKDrivesAreLostToo) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  for (const unsigned slot : {1U, 2U, 3U}) world.memory[slot]->lose_row(world.ref);
  EXPECT_EQ(heal(world).outcome, Out::lost);
}

TEST(Heal, ARecordLostWithItsFileStillThereNeedsNoRebuilding) {
  World world({4, 2});
  const std::string body = random_text(world.random, 2 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  world.memory[0]->lose_row(world.ref);
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::healed);
  EXPECT_EQ(report.bytes_written, 0U);
  expect_readable_without(world, {4, 5}, body);
}

}  // namespace
}  // namespace ostraka::erasure
