#include "object/scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scan_world.h"

namespace ostraka::object {
namespace {

using erasure::HealReport;
using erasure::ShardState;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::IsEmpty;

constexpr std::size_t kLarge = 300'000;  // in files, of one stripe

struct DeadWriter {
  VersionId left;
  TimePoint at{};
};

// Leaves a version behind before the first heal of "k". One drive more than those that have it is away until
// 30 seconds later, so that until then it may be committed.
Task<Result<HealReport>> leave_behind_and_heal(ScanWorld* world, DeadWriter* writer, Ctx* ctx,
                                               disk::ObjectRef ref, erasure::HealSpec spec) {
  if (writer->left.is_none()) {
    std::vector<unsigned> slots{1, 2, 3};
    auto leaving = world->leave_behind("k", std::move(slots));
    writer->left = co_await std::move(leaving);
    writer->at = world->clock.now();
  }
  world->drive_of("k", 5).set_online(world->clock.now() >= writer->at + seconds(30));
  erasure::ErasureSet& set = world->sets->of(ref);
  auto healing = set.heal(*ctx, std::move(ref), spec);
  Result<HealReport> report = co_await std::move(healing);
  co_return report;
}

std::set<std::string> keys_of(const ScanReport& report) {
  std::set<std::string> out;
  for (const HealedKey& found : report.findings) out.insert(found.key);
  return out;
}

TEST(Scanner, AHealthyStoreHasNothingToReport) {
  ScanWorld world;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(world.put("small" + std::to_string(i), world.text(1000)));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(world.put("large" + std::to_string(i), world.text(kLarge)));
  ASSERT_TRUE(world.erase("small3"));
  world.pass(minutes(2));
  const ScanReport report = world.scan();
  EXPECT_EQ(report.pass.state, ScanPass::State::done);
  EXPECT_TRUE(report.pass.deep);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_EQ(report.pass.totals.damaged, 0U);
  EXPECT_EQ(report.pass.totals.not_verified, 0U);
  EXPECT_EQ(report.pass.totals.orphan_files, 0U);
  EXPECT_GE(report.pass.totals.keys, 24U);
  // 2+1: each byte of an object lies on the drives one and a half times.
  EXPECT_GE(report.pass.totals.bytes_verified, (5 * kLarge + 19 * 1000) * 3 / 2);
  EXPECT_EQ(world.scanner->status().progress, 1.0);
  EXPECT_EQ(world.scanner->last_verified(world.bucket_id()), report.pass.started_ms);
  EXPECT_EQ(world.scanner->last_deep_pass_ms(), report.pass.started_ms);
}

TEST(Scanner, FlippedBitsAreFoundRepairedAndNamed) {
  ScanWorld world({.geometry = {4, 2}, .seed = 7});
  std::map<std::string, std::string> bodies;
  for (int i = 0; i < 60; ++i) {
    const std::string key = "large" + std::to_string(i);
    bodies[key] = world.text(kLarge + static_cast<std::size_t>(i) * 30'000);
    ASSERT_TRUE(world.put(key, bodies[key]));
  }
  world.pass(seconds(20));
  std::map<std::string, std::set<DriveId>> flipped;
  for (int i = 0; i < 60; i += 3) {
    const std::string key = "large" + std::to_string(i);
    for (int shards = 0; shards < 1 + i % 2; ++shards) {  // no more than parity mends
      const unsigned slot = static_cast<unsigned>((i / 3 + 2 * shards) % 6);
      for (erasure::MemoryDrive::File* file : world.files_of(key, slot))
        file->corrupt[world.random.below(file->corrupt.size())] = true;
      flipped[key].insert(world.drive_of(key, slot).id());
    }
  }
  const ScanReport report = world.scan();
  EXPECT_EQ(report.pass.totals.damaged, 20U);
  EXPECT_EQ(report.pass.totals.repaired, 20U);
  EXPECT_EQ(report.pass.totals.unrepaired, 0U);
  std::map<std::string, std::set<DriveId>> named;
  for (const HealedKey& found : report.findings) {
    EXPECT_EQ(found.bucket_name, "bucket");
    EXPECT_EQ(found.outcome, HealReport::Outcome::healed);
    for (const HealedKey::Shard& shard : found.shards) {
      EXPECT_EQ(shard.state, ShardState::corrupt);
      EXPECT_TRUE(shard.healed);
      named[found.key].insert(shard.drive);
    }
  }
  EXPECT_EQ(named, flipped);
  const ScanReport again = world.scan();
  EXPECT_EQ(again.pass.totals.damaged, 0U);
  EXPECT_GT(again.pass.number, report.pass.number);
  for (const auto& [key, body] : bodies) EXPECT_EQ(world.get(key).value_or(""), body) << key;
  EXPECT_EQ(world.metrics.counter("ostraka_scanner_damaged_keys_total", "").value(), 20U);
  EXPECT_EQ(world.metrics.counter("ostraka_scanner_repaired_keys_total", "").value(), 20U);
}

TEST(Scanner, AFindingNamesTheDriveThatHasTheSlotByNow) {
  ScanWorld world({.geometry = {4, 2}, .drives = 8});
  ASSERT_TRUE(world.put("key", world.text(300'000)));
  world.pass(seconds(20));
  const std::uint16_t group = world.ref("key").group;
  std::vector<disk::Drive*> members = world.sets->of_group(group).drives();
  std::size_t from = 0, to = 0;
  while (world.faulty[from].get() != members[0]) ++from;
  while (std::find(members.begin(), members.end(), world.faulty[to].get()) != members.end()) ++to;
  bool moved = false;
  world.faulty[from]->follow([&](std::string_view call) {
    if (call != "scan" || std::exchange(moved, true)) return erasure::Fate();
    world.memory[from]->move_group(group, *world.memory[to]);  // but not its files
    auto next = std::make_shared<SetTable>(*world.sets->table());
    members[0] = world.faulty[to].get();
    next->sets[group] = erasure::make_erasure_set(world.context, group, 1, {4, 2}, members);
    world.sets->follow(std::move(next));
    return erasure::Fate();
  });
  const ScanReport report = world.scan();
  EXPECT_TRUE(moved);
  ASSERT_EQ(report.findings.size(), 1U);
  ASSERT_EQ(report.findings[0].shards.size(), 1U);
  EXPECT_EQ(report.findings[0].shards[0].drive, world.memory[to]->id());
  EXPECT_TRUE(report.findings[0].shards[0].healed);
}

TEST(Scanner, MissingRowsFilesAndInlineShardsComeBack) {
  ScanWorld world({.geometry = {4, 2}});
  for (const char* key : {"row", "inline", "damaged_inline"}) ASSERT_TRUE(world.put(key, world.text(5000)));
  for (const char* key : {"large_row", "file"}) ASSERT_TRUE(world.put(key, world.text(kLarge)));
  world.pass(seconds(20));
  world.drive_of("row", 1).lose_row(world.ref("row"));
  world.drive_of("large_row", 2).lose_row(world.ref("large_row"));
  world.drive_of("inline", 3).lose_inline(world.ref("inline"));
  world.drive_of("damaged_inline", 0).corrupt_inline(world.ref("damaged_inline"));
  auto& files = world.drive_of("file", 5).files();
  for (const auto* file : world.files_of("file", 5))
    std::erase_if(files, [&](const auto& entry) { return entry.second.get() == file; });
  const ScanReport report = world.scan();
  EXPECT_EQ(keys_of(report), (std::set<std::string>{"row", "inline", "damaged_inline", "large_row", "file"}));
  EXPECT_EQ(report.pass.totals.repaired, 5U);
  EXPECT_EQ(world.scan().pass.totals.damaged, 0U);
}

TEST(Scanner, RowsThatCannotBeReadAreBegunAnewAndNamed) {
  for (const bool deep : {true, false}) {
    ScanWorld world({.geometry = {4, 2}});
    std::map<std::string, std::string> bodies;
    for (const char* key : {"a", "dir/small", "dir/whole", "large", "z"}) {
      bodies[key] = world.text(*key == 'l' ? kLarge : 5000);
      ASSERT_TRUE(world.put(key, bodies[key]));
    }
    world.pass(seconds(20));
    const std::set<std::string> damaged = {"a", "dir/small", "large"};
    for (const std::string& key : damaged) world.drive_of(key, 1).damage_row(world.ref(key));
    const ScanReport report = world.scan(deep);
    EXPECT_EQ(keys_of(report), damaged);
    EXPECT_EQ(report.pass.totals.corrupt_rows, 3U);
    EXPECT_EQ(report.pass.totals.repaired, 3U);
    EXPECT_EQ(report.pass.totals.not_verified, 0U);
    for (const HealedKey& found : report.findings) {
      ASSERT_EQ(found.shards.size(), 1U);
      EXPECT_EQ(found.shards[0].state, ShardState::lost_row);
      EXPECT_TRUE(found.shards[0].healed);
    }
    const ScanReport again = world.scan();
    EXPECT_EQ(again.pass.totals.damaged, 0U);
    EXPECT_EQ(again.pass.totals.corrupt_rows, 0U);
    for (const auto& [key, body] : bodies) EXPECT_EQ(world.get(key).value_or(""), body) << key;
  }
}

TEST(Scanner, AShallowPassComparesIndexesAndMissesFilesOnly) {
  ScanWorld world({.geometry = {4, 2}});
  for (const char* key : {"flipped", "lost_file", "lost_row"})
    ASSERT_TRUE(world.put(key, world.text(kLarge)));
  world.pass(seconds(20));
  world.files_of("flipped", 0).front()->corrupt[0] = true;
  auto& files = world.drive_of("lost_file", 1).files();
  for (const auto* file : world.files_of("lost_file", 1))
    std::erase_if(files, [&](const auto& entry) { return entry.second.get() == file; });
  world.drive_of("lost_row", 2).lose_row(world.ref("lost_row"));
  const ScanReport report = world.scan(false);
  EXPECT_EQ(keys_of(report), (std::set<std::string>{"lost_file", "lost_row"}));
  EXPECT_EQ(report.pass.totals.bytes_verified, 0U);
  EXPECT_FALSE(world.scanner->last_verified(world.bucket_id()).has_value());
  EXPECT_EQ(keys_of(world.scan(true)), std::set<std::string>{"flipped"});
}

TEST(Scanner, WhatADriveMissedIsBroughtToIt) {
  ScanWorld world({.geometry = {4, 2}});
  ASSERT_TRUE(world.put("deleted", world.text(1000)));
  world.pass(seconds(5));
  world.memory[2]->set_online(false);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(world.put("k" + std::to_string(i), world.text(kLarge)));
  ASSERT_TRUE(world.erase("deleted"));
  world.pass(seconds(20));
  const ScanReport without = world.scan();
  EXPECT_EQ(without.pass.totals.damaged, 0U) << "a drive that is away is not damaged";
  EXPECT_GE(without.pass.totals.not_verified, 10U);
  EXPECT_FALSE(world.scanner->last_verified(world.bucket_id()).has_value());
  world.memory[2]->set_online(true);
  const ScanReport report = world.scan();
  EXPECT_EQ(report.pass.totals.repaired, 11U);
  EXPECT_EQ(report.pass.totals.unrepaired, 0U);
  EXPECT_TRUE(world.scanner->last_verified(world.bucket_id()).has_value());
  world.pass(minutes(3));
  world.scan();
  EXPECT_EQ(world.scan().pass.totals.damaged, 0U);
  for (const auto& drive : world.memory) EXPECT_EQ(drive->rows(), 10U) << "the tombstone is purged";
}

TEST(Scanner, TooFewGoodShardsAreALossThatIsTold) {
  ScanWorld world({.geometry = {2, 1}});
  ASSERT_TRUE(world.put("lost", world.text(kLarge)));
  ASSERT_TRUE(world.put("good", world.text(kLarge)));
  world.pass(seconds(20));
  for (unsigned slot = 0; slot < 2; ++slot) world.files_of("lost", slot).front()->corrupt[0] = true;
  const ScanReport report = world.scan();
  EXPECT_EQ(report.pass.totals.lost, 1U);
  EXPECT_EQ(report.pass.totals.unrepaired, 1U);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].key, "lost");
  EXPECT_EQ(report.findings[0].outcome, HealReport::Outcome::lost);
  EXPECT_FALSE(world.scanner->last_verified(world.bucket_id()).has_value());
}

TEST(Scanner, OrphansAreRemoved) {
  ScanWorld world;
  ASSERT_TRUE(world.put("k", world.text(kLarge)));
  world.pass(seconds(20));
  const std::size_t files = world.files();
  DataId data;
  data.bytes[0] = 0x7f;
  auto orphan = std::make_shared<erasure::MemoryDrive::File>();
  orphan->blocks.emplace_back(4096, 'x');
  orphan->corrupt.push_back(false);
  orphan->finished = true;
  world.memory[1]->files()[data] = orphan;
  const ScanReport report = world.scan(false);
  EXPECT_EQ(report.pass.totals.orphan_files, 1U);
  EXPECT_EQ(report.pass.totals.orphan_bytes, 4096U);
  EXPECT_EQ(world.files(), files);
}

TEST(Scanner, AKeyThatIsBeingWrittenIsNoDamage) {
  ScanWorld world({.geometry = {4, 2}});
  world.start();
  ASSERT_TRUE(world.put("before", world.text(1000)));
  world.pass(seconds(20));
  // The commit reaches one drive ten seconds late.
  world.faulty[0]->follow([&](std::string_view call) {
    erasure::Fate fate;
    if (call == "commit") fate.delay = seconds(5);
    return fate;
  });
  ASSERT_TRUE(world.put("k", world.text(1000)));
  const ScanReport report = world.scan();
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_EQ(report.pass.totals.damaged, 0U);
}

TEST(Scanner, ALeftoverOfADeadWriterIsSettledWithinThePass) {
  ScanWorld world({.geometry = {4, 2}});
  ASSERT_TRUE(world.put("k", "old"));
  world.pass(seconds(5));
  const VersionId left = world.run(world.leave_behind("k", {2}));
  world.scan();
  for (unsigned slot = 0; slot < 6; ++slot) {
    const disk::KeyState* state = world.drive_of("k", slot).state(world.ref("k"));
    ASSERT_NE(state, nullptr);
    ASSERT_EQ(state->versions.size(), 1U) << slot;
    EXPECT_NE(state->versions.front().id, left) << slot;
  }
  EXPECT_EQ(world.get("k").value_or(""), "old");
}

TEST(Scanner, ALeftoverOfADeadWriterIsSettledWhileThePassGoesOn) {
  ScanWorld world({.geometry = {4, 2}});
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(world.put("k" + std::to_string(1000 + i), world.text(2000)));
  world.pass(seconds(100));
  world.config.period = hours(24);
  const VersionId left = world.run(world.leave_behind("k1000", {2}));
  world.start();
  world.pass(seconds(90));  // about two keys a second
  EXPECT_EQ(world.scanner->status().state, ScanPass::State::running);
  EXPECT_LT(world.scanner->status().totals.keys, 300U);
  EXPECT_FALSE(world.any_holds("k1000", left));
}

TEST(Scanner, WhatCannotBeDecidedIsLookedAtAgainOnceItsWriterMustBeDead) {
  ScanWorld world({.geometry = {4, 2}});
  ASSERT_TRUE(world.put("k", "old"));
  world.pass(seconds(100));
  // After the rows were seen, and just before the key is healed; with one more drive it may be committed.
  DeadWriter writer;
  world.heal = [&](Ctx& ctx, disk::ObjectRef ref, erasure::HealSpec spec) {
    return leave_behind_and_heal(&world, &writer, &ctx, std::move(ref), spec);
  };
  const ScanReport report = world.scan();
  ASSERT_FALSE(writer.left.is_none());
  EXPECT_EQ(report.pass.totals.not_verified, 0U);
  EXPECT_EQ(report.pass.totals.keys, 1U);
  EXPECT_FALSE(world.any_holds("k", writer.left));
  EXPECT_EQ(world.get("k").value_or(""), "old");
}

TEST(Scanner, AVersionOfAWriterWhoseClockIsAheadIsWaitedFor) {
  ScanWorld world({.geometry = {4, 2}});
  ASSERT_TRUE(world.put("k", "old"));
  world.pass(seconds(100));
  const VersionId left = world.run(world.leave_behind("k", {2}, 50'000));  // drives still take it
  world.clock.set_wall(-seconds(50));  // and the clock of the node that scans is behind theirs
  const TimePoint began = world.clock.now();
  EXPECT_EQ(world.scan().pass.totals.not_verified, 0U);
  EXPECT_GT(world.clock.now() - began, seconds(150));
  EXPECT_FALSE(world.any_holds("k", left));
}

TEST(Scanner, KeysOfABucketThatIsNotThereAreKept) {
  ScanWorld world;
  ASSERT_TRUE(world.put("k", "value"));
  world.pass(seconds(5));
  Ctx ctx = world.ctx();
  ASSERT_TRUE(world.run(world.control->erase(ctx, "bucket/bucket", std::nullopt)));
  const ScanReport report = world.scan();
  EXPECT_EQ(report.pass.totals.unclaimed, 1U);
  for (const auto& drive : world.memory) EXPECT_EQ(drive->rows(), 1U);
}

TEST(Scanner, OnePassOnDemandAtATime) {
  ScanWorld world;
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(world.put("k" + std::to_string(i), world.text(kLarge)));
  world.start();
  world.slow_drives(20);
  const auto number = world.scanner->start(true);
  ASSERT_TRUE(number.has_value());
  ASSERT_TRUE(world.scanner->report(*number).has_value()) << "it can be asked for at once";
  EXPECT_EQ(world.scanner->report(*number)->pass.state, ScanPass::State::running);
  EXPECT_EQ(world.scanner->status().number, *number);
  EXPECT_TRUE(world.scanner->start(false).failed_with(Errc::conflict));
  world.pass(std::chrono::milliseconds(300));
  EXPECT_EQ(world.scanner->status().state, ScanPass::State::running);
  EXPECT_TRUE(world.scanner->status().on_demand);
  world.scanner->cancel();
  const auto ended = world.run(ScanWorld::wait_task(&world, *number));
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->state, ScanPass::State::cancelled);
  EXPECT_FALSE(world.scanner->last_deep_pass_ms().has_value());
  const auto absent = world.run(ScanWorld::wait_task(&world, *number + 100));
  EXPECT_TRUE(absent.failed_with(Errc::not_found));
  EXPECT_EQ(world.scan().pass.state, ScanPass::State::done);
}

TEST(Scanner, TheBackgroundPassEndsWithinItsPeriodAndRestsUntilTheNext) {
  ScanWorld world;
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(world.put("k" + std::to_string(i), world.text(kLarge)));
  world.pass(seconds(20));
  world.files_of("k7", 0).front()->corrupt[0] = true;
  world.config.period = hours(24);
  world.start();
  world.pass(hours(1));
  EXPECT_EQ(world.scanner->status().state, ScanPass::State::done);
  EXPECT_FALSE(world.scanner->status().on_demand);
  EXPECT_EQ(keys_of(*world.scanner->report()), std::set<std::string>{"k7"});
  const std::uint64_t first = world.scanner->status().number;
  const auto began = world.scanner->last_verified(world.bucket_id());
  world.pass(hours(22));
  EXPECT_EQ(world.scanner->status().number, first) << "nothing to do until the period is over";
  world.pass(hours(2));
  EXPECT_EQ(world.scanner->status().number, first + 1);
  EXPECT_GT(world.scanner->last_verified(world.bucket_id()), began);
}

TEST(Scanner, ThePassGoesOnFromItsCheckpointAfterARestart) {
  ScanWorld world({.geometry = {4, 2}});
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(world.put("k" + std::to_string(1000 + i), world.text(2000)));
  world.pass(seconds(20));
  world.config.period = hours(24);
  world.start();
  world.pass(seconds(120));  // about two keys a second
  const ScanPass before = world.scanner->status();
  ASSERT_EQ(before.state, ScanPass::State::running);
  ASSERT_GT(before.totals.keys, 100U);
  ASSERT_LT(before.totals.keys, 290U);
  EXPECT_GT(before.progress, 0.1);
  EXPECT_EQ(before.bucket, world.bucket_id());
  EXPECT_TRUE(before.key.starts_with("k1")) << before.key;
  world.stop();
  for (const auto& drive : world.memory) drive->reads = 0;
  world.start();
  world.pass(seconds(11));
  const ScanPass after = world.scanner->status();
  EXPECT_EQ(after.number, before.number);
  EXPECT_EQ(after.started_ms, before.started_ms);
  EXPECT_GE(after.totals.keys, before.totals.keys);
  EXPECT_LT(after.totals.keys, before.totals.keys + 40);
  world.pass(minutes(10));
  const ScanPass done = world.scanner->status();
  EXPECT_EQ(done.state, ScanPass::State::done);
  EXPECT_EQ(done.number, before.number);
  EXPECT_EQ(done.totals.keys, 300U);
  EXPECT_LT(world.memory[0]->reads, 250U) << "keys before the checkpoint are not looked at again";
  EXPECT_EQ(world.scanner->last_verified(world.bucket_id()), before.started_ms);
  world.stop();
  world.memory[0]->set_online(false);  // one of those with the records
  world.start();
  EXPECT_EQ(world.scanner->last_verified(world.bucket_id()), before.started_ms);
}

TEST(Scanner, ThePassOnDemandTakesThePlaceOfTheOneInTheBackground) {
  ScanWorld world;
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(world.put("k" + std::to_string(i), world.text(2000)));
  world.pass(seconds(20));
  world.config.period = hours(24);
  world.start();
  world.pass(seconds(20));
  const ScanPass background = world.scanner->status();
  ASSERT_EQ(background.state, ScanPass::State::running);
  const ScanReport shallow = world.scan(false);
  EXPECT_EQ(shallow.pass.totals.keys, 200U);
  world.pass(seconds(1));
  EXPECT_EQ(world.scanner->status().number, background.number) << "it goes on";
  const ScanReport deep = world.scan(true);
  EXPECT_EQ(deep.pass.totals.keys, 200U);
  world.pass(hours(12));
  EXPECT_EQ(world.scanner->status().number, deep.pass.number) << "that one did its work";
}

TEST(Scanner, ClientsComeFirstUntilThePassIsTooFarBehind) {
  ScanWorld world;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(world.put("k" + std::to_string(i), world.text(2000)));
  world.pass(seconds(20));
  world.config.period = hours(24);  // a hundredth of it is the most it may lag
  world.in_flight = 50;
  world.start();
  world.pass(minutes(5));
  EXPECT_TRUE(world.scanner->status().waiting);
  EXPECT_LE(world.scanner->status().totals.keys, 1U);
  world.pass(hours(1));
  EXPECT_EQ(world.scanner->status().state, ScanPass::State::done);
}

TEST(Scanner, StopsAtOnceInTheMiddleOfAPass) {
  ScanWorld world;
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(world.put("k" + std::to_string(i), world.text(1'500'000)));
  world.start();
  world.slow_drives(50);
  ASSERT_TRUE(world.scanner->start(true));
  world.pass(std::chrono::milliseconds(500));
  ASSERT_EQ(world.scanner->status().state, ScanPass::State::running);
  const TimePoint before = world.clock.now();
  world.run(world.scanner->close());
  EXPECT_LE(world.clock.now() - before, seconds(1));
  EXPECT_TRUE(world.scanner->start(true).failed_with(Errc::closed));
  world.scanner.reset();
}

TEST(Scanner, StopsAtOnceWhileADriveReadsALargeObject) {
  ScanWorld world;
  ASSERT_TRUE(world.put("k", world.text(kLarge)));
  world.start();
  world.pass(seconds(20));
  world.faulty[0]->follow([](std::string_view call) {
    erasure::Fate fate;
    if (call == "open_shard") fate.delay = seconds(8);
    return fate;
  });
  ASSERT_TRUE(world.scanner->start(true));
  world.pass(seconds(1));
  ASSERT_EQ(world.scanner->status().state, ScanPass::State::running);
  const TimePoint before = world.clock.now();
  world.run(world.scanner->close());
  EXPECT_LE(world.clock.now() - before, seconds(1));
  world.scanner.reset();
}

TEST(Scanner, MoreDrivesThanASetAreScannedAllTheSame) {
  ScanWorld world({.geometry = {2, 1}, .drives = 5});
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(world.put("k" + std::to_string(i), world.text(1000)));
  ASSERT_TRUE(world.put("large", world.text(kLarge)));
  world.pass(seconds(20));
  world.drive_of("k5", 1).lose_row(world.ref("k5"));
  world.files_of("large", 2).front()->corrupt[0] = true;
  const ScanReport report = world.scan();
  EXPECT_EQ(report.pass.totals.keys, 101U);
  EXPECT_EQ(keys_of(report), (std::set<std::string>{"k5", "large"}));
  EXPECT_EQ(report.pass.totals.not_verified, 0U);
}

}  // namespace
}  // namespace ostraka::object
