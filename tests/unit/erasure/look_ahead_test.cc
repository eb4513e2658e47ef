// Drives are asked about many keys at once, and these are healed by what they said.
#include "erasure/look_ahead.h"

#include <gtest/gtest.h>

#include "tests/unit/erasure/ahead_world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(LookAhead, HealsWithoutAskingAgain) {
  AheadWorld w;
  w.put_two();
  auto looks = w.look_at_two();
  const unsigned long before = w.reads();
  for (unsigned i = 0; i < 2; ++i) {
    ASSERT_NE(looks[i], nullptr);
    const HealReport report = w.heal_by(i, looks[i]);
    EXPECT_EQ(report.outcome, Out::healed);
    EXPECT_EQ(report.shards[3].state, ShardState::no_record);
    EXPECT_TRUE(report.shards[3].healed);
    EXPECT_EQ(report.readmissible, 0x3fU);
    EXPECT_EQ(report.bytes_written, report.bytes_read / 4);
  }
  EXPECT_EQ(w.reads(), before);
  w.expect_whole_on({0, 5});
  EXPECT_EQ(w.shard.buffers().in_use(), 0U);
}

TEST(LookAhead, AsksEachDriveOnce) {
  AheadWorld w;
  w.put_two();
  unsigned calls = 0;
  for (const auto& drive : w.faulty) {
    drive->follow([&calls](std::string_view) {
      ++calls;
      return Fate();
    });
  }
  const auto looks = w.look({w.ahead(0), w.ahead(1), w.ahead(2)});
  EXPECT_EQ(calls, 6U);
  for (const KeyLookPtr& look : looks) ASSERT_NE(look, nullptr);
  EXPECT_TRUE(looks[2]->all_answered());
  EXPECT_EQ(w.heal_by(2, looks[2]).outcome, Out::absent);
}

TEST(LookAhead, SetsMayHaveTheirDrivesInOtherOrders) {
  AheadWorld w;
  std::vector<disk::Drive*> turned;
  for (unsigned i = 0; i < 6; ++i) turned.push_back(w.faulty[(i + 2) % 6].get());
  const auto other = make_erasure_set(w.context, 8, 1, {4, 2}, turned);
  w.bodies = {w.put(0, 70'000)};
  disk::ObjectRef there = w.key(1);
  there.group = 8;
  Ctx ctx = w.ctx();
  CommitSpec spec;
  spec.ref = there;
  spec.record.kind = disk::RecordKind::object;
  spec.body = other->encode_inline({4, 2}, as_bytes(std::string_view("some words")));
  ASSERT_TRUE(w.run(other->commit(ctx, std::move(spec))).has_value());
  w.pass(seconds(1));
  w.memory[3]->lose_row(w.key(0));
  w.memory[3]->lose_row(there);
  KeyAhead elsewhere{other.get(), there, 0b111100};
  auto looks = w.look({w.ahead(0), elsewhere});
  const unsigned long before = w.reads();
  ASSERT_TRUE(looks[0] && looks[1]);
  EXPECT_EQ(w.heal_by(0, looks[0]).outcome, Out::healed);
  Ctx heal_ctx = w.ctx();
  const auto report = w.run(other->heal(heal_ctx, there, HealSpec(), looks[1]));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->outcome, Out::healed);
  EXPECT_EQ(report->shards[1].state, ShardState::no_record);
  EXPECT_EQ(w.reads(), before);
  EXPECT_NE(w.memory[3]->state(there), nullptr);
  w.expect_whole_on({4, 5});
}

TEST(LookAhead, GoesByNoLookThatIsOldOrOfAnOlderEpoch) {
  for (const bool old : {true, false}) {
    AheadWorld w;
    w.put_two();
    auto looks = w.look_at_two();
    if (old)
      w.pass(seconds(6));
    else
      w.set->raise_epoch(5);
    for (unsigned i = 0; i < 2; ++i) {
      const unsigned long before = w.reads();
      EXPECT_EQ(w.heal_by(i, looks[i]).outcome, Out::healed);
      EXPECT_GE(w.reads(), before + 6);
    }
    w.expect_whole_on({1, 2});
  }
}

TEST(LookAhead, WhatIsWrittenAfterTheLookStays) {
  for (const bool erased : {false, true}) {
    AheadWorld w;
    w.put_two();
    auto looks = w.look_at_two();
    for (unsigned i = 0; i < 2; ++i) {
      if (erased) {
        Ctx ctx = w.ctx();
        ASSERT_TRUE(w.run(w.set->erase(ctx, w.key(i), false, nullptr)).has_value());
      } else {
        w.bodies[i] = w.put(i, i == 0 ? 2 * kMiB : 1000);
      }
    }
    w.pass(seconds(1));
    for (unsigned i = 0; i < 2; ++i) w.heal_by(i, looks[i]);
    if (!erased) w.expect_whole_on({0, 1});
    for (unsigned i = 0; i < 2 && erased; ++i)
      EXPECT_EQ(w.run(get(&w, w.key(i))).error().code, Errc::not_found);
  }
}

TEST(LookAhead, SaysNothingWhereADriveInServiceDidNotAnswer) {
  AheadWorld w;
  w.put_two();
  w.faulty[1]->follow(losing("read_many"));
  for (const KeyLookPtr& look : w.look_at_two()) EXPECT_EQ(look, nullptr);
  w.faulty[1]->follow({});
  w.memory[1]->set_online(false);
  auto looks = w.look_at_two();
  for (unsigned i = 0; i < 2; ++i) {
    ASSERT_NE(looks[i], nullptr);
    EXPECT_FALSE(looks[i]->answered(1));
    const HealReport report = w.heal_by(i, looks[i]);
    EXPECT_EQ(report.outcome, Out::partly);
    EXPECT_EQ(report.shards[1].state, ShardState::offline);
    EXPECT_TRUE(report.shards[3].healed);
  }
  w.memory[1]->set_online(true);
  w.expect_whole_on({0, 2});
}

TEST(LookAhead, ADriveThatHangsIsWaitedForOnce) {
  AheadWorld w;
  w.put_two();
  w.faulty[2]->follow([](std::string_view) {
    Fate fate;
    fate.delay = seconds(100);
    return fate;
  });
  TimePoint began = w.clock.now();
  for (const KeyLookPtr& look : w.look_at_two()) EXPECT_EQ(look, nullptr);
  EXPECT_EQ(w.clock.now() - began, seconds(10));
  began = w.clock.now();
  for (const KeyLookPtr& look : w.look_at_two()) EXPECT_EQ(look, nullptr);
  EXPECT_EQ(w.clock.now() - began, milliseconds(0));
}

TEST(LookAhead, DamagedSourcesAreFoundAndHealedToo) {
  for (const bool corrupt : {false, true}) {
    AheadWorld w;
    w.put_two();
    if (corrupt)
      w.memory[1]->corrupt_inline(w.key(0));
    else
      w.memory[1]->lose_inline(w.key(0));
    w.memory[0]->files().clear();
    auto looks = w.look_at_two();
    for (unsigned i = 0; i < 2; ++i) {
      const HealReport report = w.heal_by(i, looks[i]);
      EXPECT_EQ(report.outcome, Out::healed) << i;
      EXPECT_EQ(report.shards[1 - i].state, ShardState::no_shard) << i;
      EXPECT_TRUE(report.shards[1 - i].healed && report.shards[3].healed) << i;
    }
    w.expect_whole_on({2, 5});
    w.expect_whole_on({4, 5});
  }
}

TEST(LookAhead, ABlockThatIsCorruptComesFromAnotherDrive) {
  AheadWorld w;
  w.put_two();
  w.memory[0]->files().begin()->second->corrupt[1] = true;
  auto looks = w.look_at_two();
  for (unsigned i = 0; i < 2; ++i) EXPECT_TRUE(w.heal_by(i, looks[i]).shards[3].healed);
  w.expect_whole_on({0, 5});
}

TEST(LookAhead, ASourceThatFailsIsReplaced) {
  AheadWorld w;
  w.put_two();
  auto looks = w.look_at_two();
  w.faulty[0]->follow(losing("open_shard"));
  const HealReport report = w.heal_by(1, looks[1]);
  EXPECT_EQ(report.outcome, Out::healed);
  w.faulty[0]->follow({});
  w.bodies.resize(2);
  EXPECT_EQ(w.heal_by(0, looks[0]).outcome, Out::healed);
  w.expect_whole_on({0, 5});
}

TEST(LookAhead, TakesAsManySourcesAsTheVersionNeeds) {
  AheadWorld w;
  w.put_two();
  const auto row = disk::encode_key_row(*w.memory[0]->state(w.key(0)));
  EXPECT_EQ(inline_sources(*w.set, row, 0b111111), 0b001111U);
  EXPECT_EQ(inline_sources(*w.set, row, 0b110111), 0b010111U);
  EXPECT_EQ(inline_sources(*w.set, row, 0b000110), 0b000110U);
  w.memory[1]->set_online(false);
  EXPECT_EQ(inline_sources(*w.set, row, 0b111111), 0b011101U);
  EXPECT_EQ(inline_sources(*w.set, disk::encode_key_row(*w.memory[0]->state(w.key(1))), 0b111111), 0U);
  EXPECT_EQ(inline_sources(*w.set, "no row", 0b111111), 0U);
}

}  // namespace
}  // namespace ostraka::erasure
