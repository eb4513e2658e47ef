// What a heal decides: leftovers, tombstones, drives that lost their data, rows of uploads; and what it does
// beside writers, other heals and bad drives.
#include <gtest/gtest.h>

#include "erasure/heal_queue.h"
#include "tests/unit/erasure/heal_world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kMiB = 1U << 20;

TEST(HealProtocol, LeftoversOfDeadWritersAreSettled) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "old")).has_value());
  leave_behind(world, {0, 1}, "left over");
  const VersionId left = world.memory[0]->state(world.ref)->newest();
  EXPECT_EQ(heal(world).outcome, Out::healthy) << "its writer may be alive";
  EXPECT_EQ(world.memory[0]->state(world.ref)->newest(), left);
  world.pass(seconds(70));
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::healthy);
  for (const unsigned slot : {0U, 1U})
    EXPECT_EQ(world.memory[slot]->state(world.ref)->newest(), report.version);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "old");
}

TEST(HealProtocol, WhatMayBeCommittedIsRolledForward) {
  World world({2, 2});  // w is 3: two holders are k, and not w
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "old")).has_value());
  leave_behind(world, {0, 1}, "new");
  world.memory[3]->set_online(false);
  EXPECT_EQ(heal(world, world.ref, kLookOnly).outcome, Out::partly);
  EXPECT_EQ(world.memory[2]->state(world.ref)->versions.size(), 1U);
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::partly);
  EXPECT_EQ(report.version, world.memory[0]->state(world.ref)->newest());
  world.memory[3]->set_online(true);
  EXPECT_EQ(heal(world).outcome, Out::healed);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "new");
}

TEST(HealProtocol, RollingForwardRebuildsShardFiles) {
  World world({2, 2});
  const std::string body = random_text(world.random, 2 * kMiB + 5);
  auto staged = world.run(stage_body(&world, body, {2, 2}));
  ASSERT_TRUE(staged.has_value());
  for (const unsigned slot : {2U, 3U}) world.memory[slot]->files().clear();
  for (const auto& drive : world.faulty)
    drive->follow([](std::string_view call) {
      Fate fate;
      fate.request_lost = call == "fence" || call == "withdraw";
      return fate;
    });
  CommitSpec spec;
  spec.ref = world.ref;
  spec.body = std::move(*staged);
  Ctx ctx = world.ctx();
  EXPECT_TRUE(world.run(world.set->commit(ctx, std::move(spec))).failed_with(Errc::in_doubt));
  for (const auto& drive : world.faulty) drive->follow({});
  world.memory[3]->set_online(false);  // so that nobody can rule out that it was committed
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::unavailable));
  EXPECT_EQ(heal(world).outcome, Out::partly);
  EXPECT_TRUE(*world.run(get(&world, world.ref)) == body);
  world.memory[3]->set_online(true);
  EXPECT_EQ(heal(world).outcome, Out::healed);
  expect_readable_without(world, {0}, body);
}

TEST(HealProtocol, AMissedDeleteIsBroughtAndPurgedWhenItIsTime) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_large(&world, world.ref, random_text(world.random, kMiB), {4, 2})).has_value());
  world.memory[5]->set_online(false);
  Ctx ctx = world.ctx();
  ASSERT_TRUE(world.run(world.set->erase(ctx, world.ref, false, nullptr)).has_value());
  EXPECT_EQ(heal(world).outcome, Out::partly) << "the drive that is away does not know";
  world.memory[5]->set_online(true);
  EXPECT_EQ(heal(world, world.ref, kLookOnly).outcome, Out::partly);
  EXPECT_EQ(heal(world).outcome, Out::absent);
  EXPECT_TRUE(world.memory[5]->files().empty());
  EXPECT_EQ(world.memory[0]->rows(), 1U) << "a late commit of the old version must find the tombstone";
  world.pass(seconds(61));
  world.memory[2]->lose_everything(2, {7});
  EXPECT_EQ(heal(world).outcome, Out::absent);
  EXPECT_EQ(world.memory[0]->rows(), 1U) << "a drive that is being refilled keeps it from being purged";
  const disk::ObjectRef ref = world.ref;
  ASSERT_TRUE(world.run(world.memory[2]->readmit(ctx, ref.group, 2)).has_value());
  world.pass(seconds(61));
  EXPECT_EQ(heal(world).outcome, Out::absent);
  EXPECT_EQ(world.memory[0]->rows(), 1U) << "clocks are set now and then, and calls begin with a look";
  world.pass(seconds(61));
  EXPECT_EQ(heal(world).outcome, Out::absent);
  for (const auto& drive : world.memory) EXPECT_EQ(drive->rows(), 0U);
}

TEST(HealProtocol, AClockThatWasSetForwardPurgesNothingTooEarly) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  Ctx ctx = world.ctx();
  ASSERT_TRUE(world.run(world.set->erase(ctx, world.ref, false, nullptr)).has_value());
  world.pass(seconds(1));
  world.clock.set_wall(minutes(10));
  EXPECT_EQ(heal(world).outcome, Out::absent);
  EXPECT_EQ(world.memory[0]->rows(), 1U) << "a commit from before the delete may still be on its way";
  world.pass(seconds(119));
  EXPECT_EQ(heal(world).outcome, Out::absent);
  EXPECT_EQ(world.memory[0]->rows(), 1U);
  world.pass(seconds(2));
  EXPECT_EQ(heal(world).outcome, Out::absent);
  for (const auto& drive : world.memory) EXPECT_EQ(drive->rows(), 0U);
}

TEST(HealProtocol, AnEmptiedDriveIsRefilledAndMayBeReadmitted) {
  for (const std::size_t size : {std::size_t{3000}, 2 * kMiB + 77}) {
    World world({2, 2});
    const std::string body = random_text(world.random, size);
    if (size < kMiB) {
      ASSERT_TRUE(world.run(put_small(&world, world.ref, body)).has_value());
    } else {
      ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {2, 2})).has_value());
    }
    world.memory[1]->lose_everything(2, {7});
    world.set->raise_epoch(2);
    EXPECT_EQ(heal(world, world.ref, kLookOnly).readmissible, 0U) << "looking does not settle anything";
    const HealReport report = heal(world);
    EXPECT_EQ(report.outcome, Out::healed);
    EXPECT_EQ(report.readmissible, 0xfU);
    Ctx ctx = world.ctx();
    ASSERT_TRUE(world.run(world.memory[1]->readmit(ctx, 7, 1)).has_value());
    EXPECT_TRUE(world.memory[1]->refilling(7)) << "that was another birth";
    ASSERT_TRUE(world.run(world.memory[1]->readmit(ctx, 7, 2)).has_value());
    EXPECT_FALSE(world.memory[1]->refilling(7));
    expect_readable_without(world, {0}, body);
  }
}

TEST(HealProtocol, ADriveIsNotReadmissibleWhileSomethingNewerIsUndecided) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "old")).has_value());
  leave_behind(world, {0}, "left over");
  world.memory[1]->lose_everything(2, {7});
  for (const unsigned slot : {2U, 3U}) world.faulty[slot]->follow(losing("fence"));
  EXPECT_EQ(heal(world).readmissible, 0U) << "the two that promise nothing may yet take it";
  for (const auto& drive : world.faulty) drive->follow({});
  const HealReport report = heal(world);
  EXPECT_EQ(report.readmissible, 0xfU) << "young as it is, it was settled for the drive that refills";
  EXPECT_EQ(world.memory[0]->state(world.ref)->newest(), report.version);
}

TEST(HealProtocol, AReadThatReachesTooFewFullDrivesReadmitsNobody) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[1]->lose_everything(2, {7});
  world.memory[2]->set_online(false);
  world.memory[3]->set_online(false);
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::undecided);
  EXPECT_EQ(report.readmissible, 0U);
}

TEST(HealProtocol, EveryCallCarriesARaisedEpoch) {
  World world({2, 2});
  world.set->raise_epoch(5);
  world.set->raise_epoch(4);
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  Ctx ctx = world.ctx();
  for (const auto& drive : world.memory) {
    const auto groups = world.run(drive->groups(ctx));
    EXPECT_EQ((*groups)[7].epoch, 5U);
  }
  EXPECT_EQ(world.set->drives().size(), 4U);
}

bool says_ended(World& world, unsigned slot, const disk::ObjectRef& row) {
  const disk::KeyState* state = world.memory[slot]->state(row);
  return state != nullptr && !state->versions.empty() && state->versions.front().tombstone;
}
bool gone_or_ended(World& world, unsigned slot, const disk::ObjectRef& row) {
  const disk::KeyState* state = world.memory[slot]->state(row);
  return state == nullptr || state->versions.empty() || state->versions.front().tombstone;
}

TEST(HealProtocol, PartsThatMissedDifferentDrivesAreHealedEachByItself) {
  World world({4, 2});
  Upload upload(world, "upload-1");
  const std::size_t sizes[] = {2 * kMiB + 5, 100, kMiB, 3 * kMiB};
  for (unsigned i = 0; i < 4; ++i) {
    world.memory[i]->set_online(false);
    upload.put_part(i + 1, sizes[i]);
    world.memory[i]->set_online(true);
  }
  ASSERT_TRUE(upload.complete().has_value());
  upload.erase(upload.row());
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::healed);
  for (unsigned slot = 0; slot < 6; ++slot)
    EXPECT_EQ(report.shards[slot].state, slot < 4 ? ShardState::no_shard : ShardState::good);
  EXPECT_NE(report.shards[2].detail.find("part 3"), std::string::npos) << report.shards[2].detail;
  EXPECT_EQ(heal(world, world.ref, kDeep).outcome, Out::healthy);
  expect_readable_without(world, {4, 5}, upload.body);
}

TEST(HealProtocol, OneLostPartMakesTheObjectLost) {
  World world({4, 2});
  Upload upload(world, "upload-1");
  upload.put_part(1, kMiB);
  upload.put_part(2, kMiB);
  const auto done = upload.complete();
  ASSERT_TRUE(done.has_value());
  for (const unsigned slot : {0U, 1U, 2U}) world.memory[slot]->files().erase(done->record.parts[1].data);
  world.memory[3]->files().erase(done->record.parts[0].data);
  const HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::lost);
  EXPECT_EQ(world.memory[3]->files().count(done->record.parts[0].data), 1U)
      << "the other part is whole again";
}

TEST(HealProtocol, RowsOfAnOpenUploadAreHealedLikeAnyOther) {
  World world({4, 2});
  world.memory[0]->set_online(false);
  Upload upload(world, "upload-1");
  upload.put_part(1, kMiB + 1);
  world.pass(minutes(10));
  world.memory[0]->set_online(true);
  EXPECT_EQ(heal(world, upload.row()).outcome, Out::healed);
  EXPECT_EQ(heal(world, upload.part_row(1)).outcome, Out::healed);
  world.memory[4]->lose_everything(2, {7});
  for (const auto& row : {world.ref, upload.row(), upload.part_row(1)}) {
    const HealReport report = heal(world, row);
    EXPECT_TRUE(report.outcome == Out::healed || report.outcome == Out::absent);
    EXPECT_EQ(report.readmissible, 0x3fU);
  }
  EXPECT_EQ(heal(world, upload.part_row(1), kDeep).outcome, Out::healthy);
  ASSERT_TRUE(upload.complete().has_value());
  expect_readable_without(world, {1, 2}, upload.body);
}

TEST(HealProtocol, RowsOfACompletedUploadGoWithTheVersionThatTookTheirFiles) {
  World world({4, 2});
  Upload upload(world, "upload-1");
  upload.put_part(1, kMiB + 1);
  upload.put_part(2, 300);
  world.memory[5]->set_online(false);
  ASSERT_TRUE(upload.complete().has_value());
  upload.erase(upload.row());
  world.pass(minutes(10));
  world.memory[5]->set_online(true);
  ASSERT_NE(world.memory[5]->state(upload.row()), nullptr);
  EXPECT_EQ(heal(world, upload.part_row(2), kLookOnly).outcome, Out::partly);
  EXPECT_EQ(heal(world, upload.part_row(2)).outcome, Out::absent);
  for (const auto& row : {upload.part_row(1), upload.part_row(2)})
    EXPECT_EQ(world.memory[5]->state(row), nullptr);
  EXPECT_TRUE(says_ended(world, 5, upload.row()));
  EXPECT_EQ(world.memory[5]->files().size(), 2U) << "the version's now";
  EXPECT_EQ(heal(world).outcome, Out::healthy);
  expect_readable_without(world, {0, 1}, upload.body);
}

TEST(HealProtocol, RowsOfAnUploadGoThoughItsVersionWasReplaced) {
  World world({4, 2});
  Upload upload(world, "upload-1");
  upload.put_part(1, kMiB + 1);
  upload.put_part(2, 300);
  world.memory[5]->set_online(false);
  ASSERT_TRUE(upload.complete().has_value());
  upload.erase(upload.row());
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "replaced")).has_value());
  world.pass(seconds(2));
  world.memory[5]->set_online(true);
  EXPECT_EQ(heal(world, upload.part_row(1)).outcome, Out::undecided) << "calls may be on their way";
  world.pass(minutes(10));
  for (const auto& row : {upload.part_row(1), upload.part_row(2), upload.row()}) {
    EXPECT_EQ(heal(world, row).outcome, Out::absent);
    world.pass(minutes(5));
    EXPECT_EQ(heal(world, row).outcome, Out::absent);
    for (const auto& drive : world.memory) EXPECT_EQ(drive->state(row), nullptr) << "purged";
  }
  EXPECT_TRUE(world.memory[5]->files().empty());
  EXPECT_EQ(heal(world).outcome, Out::healed);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "replaced");
}

TEST(HealProtocol, RowsOfAnEndedUploadAreNotHealedWhileTooFewDrivesAnswer) {
  World world({4, 2});
  Upload upload(world, "upload-1");
  upload.put_part(1, kMiB + 1);
  world.pass(seconds(2));
  world.memory[5]->set_online(false);
  ASSERT_TRUE(upload.complete().has_value());
  upload.erase(upload.row());
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "replaced")).has_value());
  world.pass(minutes(10));
  world.memory[5]->set_online(true);
  for (const unsigned slot : {0U, 1U, 2U}) world.memory[slot]->set_online(false);
  Ctx ctx = world.ctx();
  const auto part = world.run(world.set->heal(ctx, upload.part_row(1), HealSpec()));
  EXPECT_TRUE(part.failed_with(Errc::unavailable)) << "too few to erase it";
  EXPECT_EQ(heal(world, upload.row()).outcome, Out::partly);
  EXPECT_TRUE(says_ended(world, 5, upload.row())) << "the others know";
  for (const auto& row : {upload.row(), upload.part_row(1)})
    for (const unsigned slot : {3U, 4U}) EXPECT_TRUE(gone_or_ended(world, slot, row)) << "begun again";
  for (const unsigned slot : {0U, 1U, 2U}) world.memory[slot]->set_online(true);
  for (const auto& row : {upload.part_row(1), upload.row()}) EXPECT_EQ(heal(world, row).outcome, Out::absent);
}

// The drives that were there dropped the upload's rows, its version was replaced, and the one that missed all
// of it is the only one left that speaks of the upload, beside one that was emptied and one that is away for
// good.
TEST(HealProtocol, AnUploadThatEndedIsKnownToHaveEndedBesideAnEmptiedDrive) {
  for (const bool crashed : {false, true}) {
    World world({2, 2});
    Upload upload(world, "upload-1");
    upload.put_part(1, kMiB + 1);
    world.pass(seconds(2));
    world.memory[3]->set_online(false);
    ASSERT_TRUE(upload.complete().has_value());
    if (!crashed) upload.erase(upload.row());
    world.pass(seconds(2));
    ASSERT_TRUE(world.run(put_small(&world, world.ref, "replaced")).has_value());
    world.pass(seconds(2));
    world.memory[3]->set_online(true);
    EXPECT_EQ(heal(world).outcome, Out::healed);
    world.pass(minutes(10));
    world.memory[0]->set_online(false);
    world.memory[1]->lose_everything(2, {7});
    for (const auto& row : {world.ref, upload.row(), upload.part_row(1)}) {
      heal(world, row);
      world.pass(minutes(5));
      const HealReport report = heal(world, row);
      EXPECT_EQ(report.readmissible & 2U, 2U) << "the refill is not held back";
      if (row.space == disk::KeySpace::object) continue;
      for (const unsigned slot : {1U, 2U, 3U}) EXPECT_TRUE(gone_or_ended(world, slot, row));
    }
    EXPECT_EQ(*world.run(get(&world, world.ref)), "replaced");
  }
}

// As when the process died before it could tell, and the one other drive had missed the upload's beginning.
TEST(HealProtocol, RowsOnFewerDrivesThanAPartNeedsAreThoseOfAnUploadThatEnded) {
  World world({2, 1});
  world.memory[0]->set_online(false);
  Upload upload(world, "upload-1");
  upload.put_part(1, kMiB + 1);
  world.memory[0]->set_online(true);
  world.pass(minutes(10));
  world.memory[1]->lose_everything(2, {7});
  for (const auto& row : {upload.row(), upload.part_row(1)}) {
    EXPECT_EQ(heal(world, row).outcome, Out::absent)
        << "its end was missed: it has not lost more than its parity";
    world.pass(minutes(1));
    EXPECT_EQ(heal(world, row).readmissible & 2U, 2U);
    for (unsigned slot = 0; slot < 3; ++slot) EXPECT_TRUE(gone_or_ended(world, slot, row));
  }
}

TEST(HealProtocol, AnOpenUploadBesideAnEmptiedAndAnAbsentDriveIsHealed) {
  World world({4, 2});
  Upload upload(world, "upload-1");
  upload.put_part(1, kMiB + 1);
  world.pass(minutes(10));
  world.memory[0]->set_online(false);
  world.memory[1]->lose_everything(2, {7});
  for (const auto& row : {upload.row(), upload.part_row(1)}) {
    EXPECT_EQ(heal(world, row).readmissible & 2U, 2U);
    EXPECT_FALSE(gone_or_ended(world, 1, row));
  }
  ASSERT_TRUE(upload.complete().has_value());
  expect_readable_without(world, {2}, upload.body);
}

TEST(HealProtocol, ALostPartOfAnOpenUploadHoldsNoRefillBack) {
  World world({4, 2});
  Upload upload(world, "upload-1");
  upload.put_part(1, kMiB);
  upload.put_part(2, kMiB);
  const auto damage = [&] {
    for (const unsigned slot : {0U, 1U, 2U}) world.memory[slot]->files().clear();
  };
  world.pass(minutes(10));
  damage();
  EXPECT_EQ(heal(world, upload.part_row(1)).outcome, Out::lost);
  EXPECT_FALSE(gone_or_ended(world, 3, upload.part_row(1))) << "nothing waits for it";
  world.memory[5]->lose_everything(2, {7});
  HealReport report = heal(world, upload.part_row(1));
  EXPECT_EQ(report.outcome, Out::lost) << "and it is said";
  EXPECT_EQ(report.readmissible >> 5U & 1U, 0U);
  report = heal(world, upload.part_row(1));
  EXPECT_EQ(report.outcome, Out::absent);
  EXPECT_EQ(report.readmissible >> 5U & 1U, 1U);
  EXPECT_EQ(heal(world, upload.row()).outcome, Out::healed);
  EXPECT_FALSE(gone_or_ended(world, 5, upload.row())) << "the upload itself goes on";
}

TEST(HealProtocol, AnAbortedUploadsPartsGoFromADriveThatWasAway) {
  World world({4, 2});
  Upload upload(world, "upload-1");
  upload.put_part(1, kMiB + 1);
  world.memory[0]->set_online(false);
  upload.erase(upload.part_row(1));
  upload.erase(upload.row());
  world.pass(seconds(2));
  world.memory[0]->set_online(true);
  EXPECT_EQ(heal(world, upload.row()).outcome, Out::absent);
  EXPECT_EQ(heal(world, upload.part_row(1)).outcome, Out::absent);
  EXPECT_TRUE(world.memory[0]->files().empty());
}

TEST(HealProtocol, AStaleFileIsNotTakenForAnotherVersions) {
  World world({2, 1});
  ASSERT_TRUE(world.run(put_large(&world, world.ref, random_text(world.random, kMiB), {2, 1})).has_value());
  world.memory[0]->set_online(false);
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "small now")).has_value());
  world.memory[0]->set_online(true);
  EXPECT_EQ(heal(world).outcome, Out::healed);
  EXPECT_TRUE(world.memory[0]->files().empty());
  expect_readable_without(world, {1}, "small now");
}

TEST(HealProtocol, ASlowSourceIsHelpedOut) {
  World world({4, 2});
  const std::string body = random_text(world.random, 4 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  world.memory[5]->files().clear();
  world.faulty[1]->follow([](std::string_view call) {
    Fate fate;
    if (call == "read_blocks") fate.delay = seconds(10);
    return fate;
  });
  const TimePoint began = world.clock.now();
  EXPECT_EQ(heal(world).outcome, Out::healed);
  EXPECT_LE(world.clock.now() - began, seconds(2)) << "waited for once, then avoided";
  world.pass(seconds(20));
  world.faulty[1]->follow({});
  EXPECT_EQ(heal(world, world.ref, kDeep).outcome, Out::healthy) << "what it wrote late harmed nothing";
}

TEST(HealProtocol, SourcesThatFailAreReplaced) {
  World world({4, 2});
  const std::string body = random_text(world.random, 4 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  world.memory[5]->files().clear();
  world.faulty[1]->follow(losing("read_blocks"));
  EXPECT_EQ(heal(world).outcome, Out::healed);
  world.memory[5]->files().clear();
  world.faulty[2]->follow(losing("read_blocks"));
  EXPECT_EQ(heal(world).outcome, Out::partly) << "three sources are too few, and two may come back";
  world.faulty[1]->follow({});
  EXPECT_EQ(heal(world).outcome, Out::healed);
  expect_readable_without(world, {1, 2}, body);
}

TEST(HealProtocol, ADriveThatRefusesKeepsNothingHalfDone) {
  for (const char* call : {"stage", "append", "finish", "commit"}) {
    World world({4, 2});
    const std::string body = random_text(world.random, 2 * kMiB);
    ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
    world.memory[0]->lose_row(world.ref);
    world.memory[0]->files().clear();
    world.faulty[0]->follow(losing(call));
    const HealReport report = heal(world);
    EXPECT_EQ(report.outcome, Out::partly) << call;
    EXPECT_FALSE(report.shards[0].healed);
    EXPECT_TRUE(world.memory[0]->files().empty()) << call;
    EXPECT_EQ(world.memory[0]->state(world.ref), nullptr);
    world.faulty[0]->follow({});
    EXPECT_EQ(heal(world).outcome, Out::healed) << call;
    expect_readable_without(world, {1, 2}, body);
    EXPECT_EQ(world.shard.buffers().in_use(), 0U);
  }
}

TEST(HealProtocol, ADriveThatHangsIsNotWaitedForLong) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[4]->lose_row(world.ref);
  world.faulty[1]->follow([](std::string_view) { return Fate{.delay = minutes(5)}; });
  TimePoint began = world.clock.now();
  HealReport report = heal(world);
  EXPECT_EQ(report.outcome, Out::partly);
  EXPECT_TRUE(report.shards[4].healed);
  EXPECT_LE(world.clock.now() - began, seconds(11));
  began = world.clock.now();
  report = heal(world);
  EXPECT_EQ(report.shards[1].state, ShardState::offline);
  EXPECT_LE(world.clock.now() - began, milliseconds(300)) << "known to be slow by now";
}

Task<> keep_writing(World* world, int rounds, std::string* last, int* running) {
  for (int i = 0; i < rounds; ++i) {
    const std::string body = random_text(world->random, kMiB + world->random.below(kMiB));
    const auto put = co_await put_large(world, world->ref, body, world->set->geometry());
    EXPECT_TRUE(put.has_value()) << put.error().detail;
    *last = body;
  }
  --*running;
}
Task<> keep_healing(World* world, const int* running) {
  int done = 0;
  while (*running > 0) {
    Ctx ctx = world->ctx();
    HealSpec spec;
    spec.deep = world->random.below(2) == 0;
    const auto report = co_await world->set->heal(ctx, world->ref, spec);
    EXPECT_TRUE(report.has_value() && report->outcome != Out::lost);
    ++done;
    co_await sleep_for(world->clock, milliseconds(world->random.below(30)));
  }
  EXPECT_GT(done, 0);
}
Task<> wait_for(World* world, const int* running) {
  while (*running > 0) co_await sleep_for(world->clock, milliseconds(50));
}

TEST(HealProtocol, RacingWritersAndOtherHealsIsHarmless) {
  for (std::uint64_t seed = 1; seed < 6; ++seed) {
    World world({4, 2}, seed);
    for (unsigned slot = 0; slot < 6; ++slot) {
      const bool forgetful = slot == 1 || slot == 4;
      world.faulty[slot]->follow([&world, forgetful](std::string_view call) {
        Fate fate;
        fate.delay = milliseconds(world.random.below(15));
        fate.request_lost = forgetful && call == "commit" && world.random.below(3) == 0;
        return fate;
      });
    }
    std::string last;
    int running = 1;
    world.gate.spawn(world.shard.executor(), keep_writing(&world, 25, &last, &running));
    for (int i = 0; i < 3; ++i) world.gate.spawn(world.shard.executor(), keep_healing(&world, &running));
    world.run(wait_for(&world, &running));
    world.pass(seconds(3));
    for (const auto& drive : world.faulty) drive->follow({});
    EXPECT_TRUE(*world.run(get(&world, world.ref)) == last);
    heal(world);
    EXPECT_EQ(heal(world, world.ref, kDeep).outcome, Out::healthy);
    for (const auto& drive : world.memory) EXPECT_EQ(drive->state(world.ref)->versions.size(), 1U);
    expect_readable_without(world, {0, 3}, last);
    EXPECT_EQ(world.shard.buffers().in_use(), 0U);
  }
}

TEST(HealProtocol, ClientsComeFirstForBuffers) {
  World world({4, 2});
  const std::string body = random_text(world.random, 3 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  world.memory[0]->files().clear();
  std::vector<Buffer> taken;
  while (Buffer slab = world.shard.buffers().try_acquire()) taken.push_back(std::move(slab));
  Ctx ctx{world.shard, world.clock.now() + milliseconds(100), "heal"};
  const auto refused = world.run(world.set->heal(ctx, world.ref, {}));
  ASSERT_TRUE(!refused || refused->outcome == Out::partly);
  taken.resize(2);  // plenty are free
  EXPECT_EQ(heal(world).outcome, Out::healed);
  taken.clear();
  EXPECT_EQ(world.shard.buffers().in_use(), 0U);
}

}  // namespace
}  // namespace ostraka::erasure
