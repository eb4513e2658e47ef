// What a LocalDrive does when things break: crashes, damaged bytes, full drives, folders that go away and
// come back.
#include "disk/local_drive.h"

#include <gtest/gtest.h>

#include "disk/row_key.h"
#include "tests/unit/disk/drive_caller.h"
#include "tests/unit/disk/drive_world.h"

namespace ostraka::disk {
namespace {

namespace stdfs = std::filesystem;

class LocalDriveTest : public testing::Test {
 protected:
  explicit LocalDriveTest(bool memory_index = false) : world_(memory_index) {
    EXPECT_TRUE(world_.format());
    start();
  }
  void start() {
    const auto started = world_.start();
    EXPECT_TRUE(started) << started.error().detail;
    call_.emplace(*world_.drive, world_.shard, world_.clock);
  }
  void reopen() {
    world_.stop();
    start();
  }
  DriveInfo info() { return *call_->wait(world_.drive->info(call_->ctx())); }
  // Waits for what the drive does by itself.
  template <class Condition>
  bool soon(Condition condition) {
    const TimePoint end = world_.clock.now() + std::chrono::seconds(30);
    while (!condition()) {
      if (world_.clock.now() > end) return false;
      call_->wait(pause(&world_.clock));
    }
    return true;
  }
  static Task<bool> pause(Clock* clock) {
    co_await sleep_for(*clock, std::chrono::milliseconds(5));
    co_return true;
  }
  ObjectRef ref(const std::string& key) { return DriveCaller::ref(key); }

  DriveWorld world_;
  std::optional<DriveCaller> call_;
};

class LocalDriveOnMemoryTest : public LocalDriveTest {
 protected:
  LocalDriveOnMemoryTest() : LocalDriveTest(true) {}
  MemoryIndexStore& store() { return *world_.memory.store(index_folder(world_.folder())); }
};

TEST_F(LocalDriveTest, EverythingIsThereAfterAReopen) {
  auto& c = *call_;
  const auto first = ref("small");
  auto epoch_ref = ref("epoch");
  epoch_ref.epoch = 9;
  ASSERT_EQ(c.verdict(first, c.inline_record(1), kShard), Verdict::ok);
  ASSERT_TRUE(c.wait(world_.drive->fence(c.ctx(), ref("fenced"), c.id(4))));
  ASSERT_TRUE(c.stage(1, kBody));
  ASSERT_EQ(c.verdict(ref("big"), c.file_record(2, {{1, kBody}})), Verdict::ok);
  ASSERT_EQ(c.verdict(epoch_ref, c.inline_record(3), kShard), Verdict::ok);
  ASSERT_TRUE(c.wait(world_.drive->put_system(c.ctx(), "heal/x", "entry")));
  c.retire(first, 1);
  const VersionId first_id = c.id(1);
  reopen();
  EXPECT_EQ(call_->read(first).inline_shard, kShard);
  EXPECT_EQ(call_->read(first).state.final_id, first_id);
  EXPECT_EQ(call_->read(ref("fenced")).state.fences.size(), 1U);
  EXPECT_TRUE(call_->has_file(1, kBody));
  EXPECT_EQ(info().heal_queue, 1U);
  EXPECT_TRUE(call_->commit(ref("epoch"), call_->inline_record(9), kShard).failed_with(Errc::stale_epoch));
}

TEST_F(LocalDriveTest, AStagedFileOfAnEarlierLifeIsTakenOnlyWithAValidFooter) {
  ASSERT_TRUE(call_->stage(1, kBody));
  ASSERT_TRUE(call_->stage(2, kBody));
  reopen();
  const std::string path = data_path(world_.folder(), data_id(2));
  stdfs::resize_file(path, stdfs::file_size(path) - 1);
  EXPECT_EQ(call_->verdict(ref("k"), call_->file_record(1, {{2, kBody}})), Verdict::refused);
  EXPECT_EQ(call_->verdict(ref("k"), call_->file_record(2, {{1, kBody}})), Verdict::ok);
}

TEST_F(LocalDriveOnMemoryTest, WhatIsDatedAheadIsTakenOnlyJustAfterAVersionThatIs) {
  auto& c = *call_;
  const auto ahead = [&](unsigned n, std::uint64_t seconds) {
    VersionRecord record = c.inline_record(n);
    record.id.time += seconds * 1000 << 16;
    return record;
  };
  EXPECT_TRUE(c.commit(ref("a"), ahead(1, 600), kShard).failed_with(Errc::refused));
  ASSERT_EQ(c.verdict(ref("b"), ahead(1, 600), kShard, CommitMode::heal), Verdict::ok)
      << "the clock was ahead";
  EXPECT_EQ(c.verdict(ref("b"), ahead(2, 600), kShard), Verdict::ok);
  EXPECT_TRUE(c.commit(ref("b"), ahead(3, 620), kShard).failed_with(Errc::refused))
      << "another twenty seconds";
  EXPECT_EQ(c.verdict(ref("a"), c.inline_record(4), kShard), Verdict::ok);
}

TEST_F(LocalDriveTest, AWriterThatIsGivenUpLeavesNoFile) {
  auto& c = *call_;
  {
    StageSpec spec;
    spec.data = data_id(1);
    spec.block_bytes = 4096;
    auto writer = c.wait(world_.drive->stage(c.ctx(), spec));
    ASSERT_TRUE(writer);
    BufferChain chain;
    chain.push_back(slice_of(std::string(4096, 'x')));
    ASSERT_TRUE(c.wait((*writer)->append(c.ctx(), std::move(chain))));
    EXPECT_TRUE(stdfs::exists(data_path(world_.folder(), data_id(1))));
  }
  EXPECT_TRUE(soon([&] { return !stdfs::exists(data_path(world_.folder(), data_id(1))); }));
}

TEST_F(LocalDriveTest, AFlippedByteAnywhereInAShardFileIsNeverServed) {
  auto& c = *call_;
  ASSERT_TRUE(c.stage(1, kBody));
  const std::string path = data_path(world_.folder(), data_id(1));
  const std::string good = slurp(path);
  const StripeLayout layout{.data_shards = 4, .part_bytes = kBody};
  const std::size_t block = layout.block_bytes(0);
  const std::size_t tail = good.size() - 2 * block - layout.block_bytes(2);
  std::vector<std::size_t> places = {0, block - 1, block, 2 * block, good.size() - tail - 1};
  for (std::size_t i = good.size() - tail; i < good.size(); ++i) places.push_back(i);
  for (const std::size_t place : places) {
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] ^ 0x10);
    spill(path, bad);
    const auto reader = c.open(1, kBody);
    const auto health = c.wait(world_.drive->verify(c.ctx(), c.shard_ref(1, kBody)));
    ASSERT_TRUE(health);
    EXPECT_TRUE(health->present);
    if (place >= good.size() - tail) {
      EXPECT_TRUE(reader.failed_with(Errc::corrupt)) << place;
      EXPECT_EQ(health->corrupt_blocks.size(), 3U) << place;
      continue;
    }
    ASSERT_TRUE(reader);
    EXPECT_EQ(health->corrupt_blocks, std::vector<std::uint64_t>{place / block});
    for (std::uint64_t i = 0; i < 3; ++i) {
      const auto bytes = c.read_block(**reader, i, layout.block_bytes(i));
      EXPECT_EQ(bytes.failed_with(Errc::corrupt), i == place / block) << place << " block " << i;
    }
  }
}

TEST_F(LocalDriveOnMemoryTest, AFlippedByteInAnIndexValueIsNeverServed) {
  auto& c = *call_;
  const auto key = ref("k");
  ASSERT_EQ(c.verdict(key, c.inline_record(1), kShard), Verdict::ok);
  ASSERT_EQ(c.verdict(ref("l"), c.inline_record(2), kShard), Verdict::ok);
  const VersionId id = c.id(1);
  reopen();  // nothing remembered
  std::string* shard = store().find(Column::inline_data, inline_key(row_key(key), id));
  ASSERT_NE(shard, nullptr);
  for (std::size_t i = 0; i < shard->size(); i += i < 250 ? 50 : 1) {
    (*shard)[i] = static_cast<char>((*shard)[i] ^ 1);
    EXPECT_TRUE(call_->read(key).inline_shard.empty()) << i;
    (*shard)[i] = static_cast<char>((*shard)[i] ^ 1);
  }
  EXPECT_EQ(call_->read(key).inline_shard, kShard);
  std::string* row = store().find(Column::rows, row_key(key));
  ASSERT_NE(row, nullptr);
  (*row)[row->size() / 2] = static_cast<char>((*row)[row->size() / 2] ^ 4);
  EXPECT_TRUE(call_->wait(world_.drive->read(call_->ctx(), key, {})).failed_with(Errc::corrupt));
  EXPECT_TRUE(call_->commit(key, call_->inline_record(5), kShard).failed_with(Errc::corrupt));
  EXPECT_GT(info().errors, 0U);
  EXPECT_EQ(call_->verdict(ref("m"), call_->inline_record(6), kShard), Verdict::ok) << "the rest goes on";
}

TEST_F(LocalDriveOnMemoryTest, OnlyLazyRetiresMayBeLostInACrash) {
  auto& c = *call_;
  const auto key = ref("k");
  ASSERT_EQ(c.verdict(key, c.inline_record(1), "one"), Verdict::ok);
  ASSERT_EQ(c.verdict(key, c.inline_record(2), "two"), Verdict::ok);
  world_.drive->retire(key, c.id(2));
  world_.stop();  // writes it, but without a sync
  EXPECT_EQ(store().lose_unsynced(100), 1U);
  start();
  EXPECT_EQ(call_->read(key).state.versions.size(), 2U);
  EXPECT_EQ(call_->read(key).inline_shard, "two");
}

TEST_F(LocalDriveOnMemoryTest, ALackOfSpaceHarmsNothingAndEnds) {
  auto& c = *call_;
  ASSERT_EQ(c.verdict(ref("a"), c.inline_record(1), kShard), Verdict::ok);
  store().fail_writes(Error{Errc::no_space, "no space left on device"});
  EXPECT_TRUE(c.commit(ref("b"), c.inline_record(2), kShard).failed_with(Errc::no_space));
  EXPECT_TRUE(world_.drive->online());
  EXPECT_EQ(c.read(ref("a")).inline_shard, kShard);
  EXPECT_TRUE(c.read(ref("b")).state.empty());
  store().fail_writes(std::nullopt);
  EXPECT_EQ(c.verdict(ref("b"), c.inline_record(2), kShard), Verdict::ok);
}

TEST_F(LocalDriveOnMemoryTest, AFailingIndexTakesTheDriveOutOfServiceUntilItWorksAgain) {
  auto& c = *call_;
  ASSERT_EQ(c.verdict(ref("a"), c.inline_record(1), kShard), Verdict::ok);
  ASSERT_TRUE(c.stage(1, kBody));
  store().fail_writes(Error{Errc::io, "input/output error"});
  EXPECT_TRUE(c.commit(ref("b"), c.file_record(2, {{1, kBody}})).failed_with(Errc::io));
  EXPECT_FALSE(world_.drive->online());
  EXPECT_NE(info().problem.find("input/output error"), std::string::npos);
  EXPECT_TRUE(c.wait(world_.drive->read(c.ctx(), ref("a"), {})).failed_with(Errc::unavailable));
  EXPECT_EQ(world_.drive->try_read(ref("a"), {}), std::nullopt);
  store().fail_writes(std::nullopt);
  EXPECT_TRUE(soon([&] { return world_.drive->online(); }));
  EXPECT_EQ(c.read(ref("a")).inline_shard, kShard);
  EXPECT_EQ(c.verdict(ref("b"), c.file_record(2, {{1, kBody}})), Verdict::ok)
      << "the file is looked up on disk";
}

TEST_F(LocalDriveTest, AFullDriveRefusesObjectsAndTakesAllThatFreesSpace) {
  auto& c = *call_;
  ASSERT_EQ(c.verdict(ref("a"), c.inline_record(1), kShard), Verdict::ok);
  world_.stop();
  world_.fs.free_bytes = kMinReserveBytes - 1;
  start();
  auto& full = *call_;
  EXPECT_TRUE(full.stage(1, kBody).failed_with(Errc::no_space));
  EXPECT_TRUE(full.commit(ref("b"), c.inline_record(2), kShard).failed_with(Errc::no_space));
  EXPECT_NE(info().problem.find("full"), std::string::npos);
  EXPECT_TRUE(info().online);
  EXPECT_EQ(full.verdict(ref("a"), c.record(3, RecordKind::tombstone)), Verdict::ok);
  full.retire(ref("a"), 3);
  EXPECT_TRUE(full.wait(world_.drive->fence(full.ctx(), ref("c"), c.id(4))));
  EXPECT_TRUE(full.wait(world_.drive->withdraw(full.ctx(), ref("c"), c.id(4))));
  EXPECT_EQ(full.verdict(ref("h"), c.inline_record(5), kShard, CommitMode::heal), Verdict::ok);
  EXPECT_EQ(full.read(ref("a")).state.versions.size(), 1U);
  world_.stop();
  world_.fs.free_bytes.reset();
  start();
  EXPECT_EQ(call_->verdict(ref("b"), c.inline_record(6), kShard), Verdict::ok);
}

TEST_F(LocalDriveTest, ExpectedBytesAreRefusedEarly) {
  world_.stop();
  world_.fs.free_bytes = (std::uint64_t{100} << 30) + kMinReserveBytes;
  start();
  StageSpec spec;
  spec.data = data_id(1);
  spec.data_shards = 4;
  spec.block_bytes = 4096;
  spec.expected_bytes = std::uint64_t{1} << 50;
  EXPECT_TRUE(call_->wait(world_.drive->stage(call_->ctx(), spec)).failed_with(Errc::no_space));
}

TEST_F(LocalDriveTest, AFolderThatIsGoneNeverCountsAsDurableAndComesBack) {
  auto& c = *call_;
  ASSERT_EQ(c.verdict(ref("a"), c.inline_record(1), kShard), Verdict::ok);
  const std::string away = world_.dir / "away";
  stdfs::rename(world_.folder(), away);
  EXPECT_TRUE(c.commit(ref("b"), c.inline_record(2), kShard).failed_with(Errc::io))
      << "its files are open still";
  EXPECT_FALSE(world_.drive->online());
  EXPECT_NE(info().problem.find("gone"), std::string::npos) << info().problem;
  EXPECT_TRUE(c.wait(world_.drive->read(c.ctx(), ref("a"), {})).failed_with(Errc::unavailable));
  stdfs::rename(away, world_.folder());
  EXPECT_TRUE(soon([&] { return world_.drive->online(); }));
  EXPECT_TRUE(info().problem.empty());
  EXPECT_EQ(c.read(ref("a")).inline_shard, kShard);
  EXPECT_EQ(c.verdict(ref("c"), c.inline_record(3), kShard), Verdict::ok);
}

TEST_F(LocalDriveTest, AnIdleDriveNoticesThatItsFolderWasDeleted) {
  stdfs::remove_all(world_.folder());
  EXPECT_TRUE(soon([&] { return !world_.drive->online(); }));
  stdfs::create_directories(world_.folder());
  EXPECT_TRUE(soon([&] { return info().problem.find("missing or empty") != std::string::npos; }))
      << info().problem;
  EXPECT_TRUE(stdfs::is_empty(world_.folder())) << "an empty folder is left alone";
}

TEST_F(LocalDriveTest, ACopyInThePlaceOfTheFolderIsNotTakenForIt) {
  auto& c = *call_;
  ASSERT_EQ(c.verdict(ref("a"), c.inline_record(1), kShard), Verdict::ok);
  const std::string copy = world_.dir / "copy";
  stdfs::copy(world_.folder(), copy, stdfs::copy_options::recursive);
  stdfs::rename(world_.folder(), world_.dir / "original");
  stdfs::rename(copy, world_.folder());
  const auto refused = c.commit(ref("b"), c.inline_record(2), kShard);
  EXPECT_TRUE(refused.failed_with(Errc::io) ||
              refused.failed_with(Errc::unavailable));  // it may have noticed
  EXPECT_TRUE(soon([&] { return world_.drive->online(); })) << "it is a drive of that identity, opened anew";
  EXPECT_TRUE(c.read(ref("b")).state.empty());
  EXPECT_EQ(c.read(ref("a")).inline_shard, kShard);
}

TEST_F(LocalDriveTest, AWriterThatSpansAnAbsenceFails) {
  auto& c = *call_;
  StageSpec spec;
  spec.data = data_id(1);
  spec.block_bytes = 4096;
  auto writer = c.wait(world_.drive->stage(c.ctx(), spec));
  ASSERT_TRUE(writer);
  const std::string away = world_.dir / "away";
  stdfs::rename(world_.folder(), away);
  EXPECT_TRUE(soon([&] { return !world_.drive->online(); }));
  stdfs::rename(away, world_.folder());
  EXPECT_TRUE(soon([&] { return world_.drive->online(); }));
  EXPECT_TRUE(c.wait((*writer)->finish(c.ctx())).failed_with(Errc::unavailable));
}

TEST_F(LocalDriveTest, StartsOfflineWithAClearProblemAndComesIntoServiceLater) {
  world_.stop();
  const std::string away = world_.dir / "away";
  stdfs::rename(world_.folder(), away);
  const auto started = world_.start();
  ASSERT_TRUE(started.failed_with(Errc::not_found));
  EXPECT_NE(started.error().detail.find(world_.folder()), std::string::npos);
  call_.emplace(*world_.drive, world_.shard, world_.clock);
  EXPECT_EQ(world_.drive->id(), test_format().drive());
  EXPECT_FALSE(world_.drive->online());
  EXPECT_FALSE(info().problem.empty());
  stdfs::rename(away, world_.folder());
  EXPECT_TRUE(soon([&] { return world_.drive->online(); }));
}

TEST_F(LocalDriveTest, ALostIndexIsNeverReplacedByAnEmptyOne) {
  world_.stop();
  stdfs::remove_all(index_folder(world_.folder()));
  const auto started = world_.start();
  ASSERT_TRUE(started.failed_with(Errc::corrupt));
  EXPECT_NE(started.error().detail.find("index"), std::string::npos);
  EXPECT_FALSE(stdfs::exists(index_folder(world_.folder()) + "/CURRENT"));
}

TEST_F(LocalDriveTest, AnotherDrivesIndexIsRefused) {
  world_.stop();
  DriveFormat other = test_format();
  other.slot = 2;
  const std::string second = world_.dir / "second";
  ASSERT_TRUE(format_drive(world_.fs, world_.rocks, second, other));
  {
    LocalDrive drive(world_.deps(), second, other);
    ASSERT_TRUE(drive.start());
  }
  stdfs::remove_all(index_folder(world_.folder()));
  stdfs::rename(index_folder(second), index_folder(world_.folder()));
  EXPECT_TRUE(world_.start().failed_with(Errc::wrong_drive));
}

TEST_F(LocalDriveTest, TwoDrivesCannotShareAFolder) {
  LocalDrive second(world_.deps(), world_.folder(), test_format());
  const auto started = second.start();
  ASSERT_TRUE(started.failed_with(Errc::wrong_drive));
  EXPECT_NE(started.error().detail.find(world_.folder()), std::string::npos);
  EXPECT_EQ(call_->verdict(ref("a"), call_->inline_record(1), kShard), Verdict::ok)
      << "the first is not disturbed";
}

TEST_F(LocalDriveTest, InfoTellsCapacityAndIdentity) {
  const DriveInfo told = info();
  EXPECT_EQ(told.id, test_format().drive());
  EXPECT_EQ(told.path, world_.folder());
  EXPECT_EQ(told.slot, 1U);
  EXPECT_TRUE(told.online);
  EXPECT_GT(told.total_bytes, told.free_bytes);
  EXPECT_GT(told.free_bytes, 0U);
}

}  // namespace
}  // namespace ostraka::disk
