// What a LocalDrive does for healer and scanner when something is left over or out of step.
#include <gtest/gtest.h>

#include <algorithm>

#include "disk/inline_value.h"
#include "disk/local_drive.h"
#include "disk/row_key.h"
#include "disk/usage_table.h"
#include "tests/unit/disk/drive_caller.h"
#include "tests/unit/disk/drive_world.h"

namespace ostraka::disk {
namespace {

namespace stdfs = std::filesystem;

class DriveUpkeepTest : public testing::Test {
 protected:
  DriveUpkeepTest() {
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
  MemoryIndexStore& store() { return *world_.memory.store(index_folder(world_.folder())); }
  OrphanReport orphans(bool remove, std::int64_t older_than_ms) {
    OrphanSpec spec;
    spec.older_than_ms = older_than_ms;
    spec.remove = remove;
    const auto report = call_->wait(world_.drive->find_orphans(call_->ctx(), spec));
    EXPECT_TRUE(report) << report.error().detail;
    return report.value_or(OrphanReport{});
  }
  std::int64_t an_hour_on() { return world_.clock.unix_ms() + 3'600'000; }
  std::string path(std::uint8_t file) { return data_path(world_.folder(), data_id(file)); }
  std::vector<BucketUsage> usage() {
    const auto all = call_->wait(world_.drive->usage(call_->ctx()));
    EXPECT_TRUE(all) << all.error().detail;
    return all.value_or(std::vector<BucketUsage>{});
  }

  DriveWorld world_{true};
  std::optional<DriveCaller> call_;
};

TEST_F(DriveUpkeepTest, FilesThatDeadWritersLeftAreFoundAndRemoved) {
  ASSERT_TRUE(call_->stage(1, kBody));
  ASSERT_EQ(call_->verdict(DriveCaller::ref("k"), call_->file_record(1, {{1, kBody}})), Verdict::ok);
  ASSERT_TRUE(call_->stage(2, kBody));
  ASSERT_TRUE(call_->stage(3, kBody));
  const std::uint64_t bytes = stdfs::file_size(path(2)) + stdfs::file_size(path(3)) + 5;
  spill(path(1) + ".new", "a heal");
  stdfs::resize_file(path(1) + ".new", 5);
  EXPECT_EQ(orphans(false, an_hour_on()).files, 1U) << "only the rest of a heal: the others are staged";
  reopen();
  EXPECT_EQ(orphans(true, world_.clock.unix_ms() - 3'600'000).files, 0U) << "too young";
  const OrphanReport looked = orphans(false, an_hour_on());
  EXPECT_EQ(looked.files, 3U);
  EXPECT_EQ(looked.file_bytes, bytes);
  EXPECT_TRUE(stdfs::exists(path(2)));
  const OrphanReport removed = orphans(true, an_hour_on());
  EXPECT_EQ(removed.files, 3U);
  EXPECT_EQ(removed.file_bytes, bytes);
  EXPECT_EQ(removed.some.size(), 3U);
  EXPECT_FALSE(stdfs::exists(path(2)));
  EXPECT_FALSE(stdfs::exists(path(3)));
  EXPECT_FALSE(stdfs::exists(path(1) + ".new"));
  EXPECT_TRUE(stdfs::exists(path(1)));
  EXPECT_EQ(orphans(true, an_hour_on()).files, 0U);
  EXPECT_EQ(call_->verdict(DriveCaller::ref("l"), call_->file_record(2, {{2, kBody}})), Verdict::refused);
  ASSERT_TRUE(call_->stage(2, kBody)) << "and can be written anew";
  EXPECT_EQ(call_->verdict(DriveCaller::ref("l"), call_->file_record(2, {{2, kBody}})), Verdict::ok);
}

TEST_F(DriveUpkeepTest, AStagedFileThatNobodyCommitsGoesInTime) {
  for (std::uint8_t file = 1; file <= 3; ++file) ASSERT_TRUE(call_->stage(file, kBody));
  const auto yesterday = stdfs::file_time_type::clock::now() - std::chrono::hours(25);
  stdfs::last_write_time(path(2), yesterday);
  stdfs::last_write_time(path(3), yesterday);
  ASSERT_EQ(call_->verdict(DriveCaller::ref("k"), call_->file_record(1, {{3, kBody}})), Verdict::ok);
  EXPECT_EQ(orphans(false, an_hour_on()).files, 1U);
  EXPECT_EQ(orphans(true, an_hour_on()).files, 1U);
  EXPECT_TRUE(stdfs::exists(path(1))) << "its writer may be at work";
  EXPECT_FALSE(stdfs::exists(path(2)));
  EXPECT_TRUE(stdfs::exists(path(3)));
}

// A heal that was given up, and whose calls still wait on the drive, beside the one that came after it.
TEST_F(DriveUpkeepTest, TwoReplacementsOfOneFileDoNotMeet) {
  ASSERT_TRUE(call_->stage(1, kBody));
  ASSERT_EQ(call_->verdict(DriveCaller::ref("k"), call_->file_record(1, {{1, kBody}})), Verdict::ok);
  spill(path(1) + ".0.new", "of a heal that a crash cut off");
  StageSpec spec;
  spec.data = data_id(1);
  spec.shard_index = 3;
  spec.data_shards = 4;
  spec.parity_shards = 2;
  spec.block_bytes = shard_block_bytes(kStripeBytes, 4);
  const StripeLayout layout{.data_shards = 4, .part_bytes = kBody};
  const auto append = [&](ShardWriter& writer, std::uint64_t block) {
    BufferChain chain;
    chain.push_back(slice_of(DriveCaller::block(1, block, layout.block_bytes(block))));
    return call_->wait(writer.append(call_->ctx(), std::move(chain))).has_value();
  };
  auto first = call_->wait(world_.drive->stage(call_->ctx(), spec));
  auto second = call_->wait(world_.drive->stage(call_->ctx(), spec));
  ASSERT_TRUE(first && second);
  for (std::uint64_t block = 0; block < layout.stripes(); ++block) ASSERT_TRUE(append(**first, block));
  ASSERT_TRUE(append(**second, 0));
  ASSERT_TRUE(call_->wait((*first)->finish(call_->ctx())));
  const auto reader = call_->open(1, kBody);
  ASSERT_TRUE(reader) << "not the half of the second";
  for (std::uint64_t block = 1; block < layout.stripes(); ++block) ASSERT_TRUE(append(**second, block));
  EXPECT_TRUE(call_->wait((*second)->finish(call_->ctx())));
  EXPECT_TRUE(call_->open(1, kBody));
  EXPECT_EQ(orphans(true, an_hour_on()).files, 1U) << "that of the crash";
}

TEST_F(DriveUpkeepTest, OnlyTheRangeThatIsAskedForIsLookedAt) {
  for (std::uint8_t file = 1; file <= 9; ++file) ASSERT_TRUE(call_->stage(file, 100));
  reopen();
  OrphanSpec spec;
  spec.first = 3;
  spec.last = 5;
  spec.older_than_ms = an_hour_on();
  spec.remove = true;
  spec.max = 2;
  const auto report = call_->wait(world_.drive->find_orphans(call_->ctx(), spec));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->files, 3U);
  EXPECT_EQ(report->some, (std::vector<DataId>{data_id(3), data_id(4)}));
  for (std::uint8_t file = 1; file <= 9; ++file)
    EXPECT_EQ(stdfs::exists(path(file)), file < 3 || file > 5) << int{file};
}

TEST_F(DriveUpkeepTest, InlineShardsWithoutAVersionGo) {
  ASSERT_EQ(call_->verdict(DriveCaller::ref("k"), call_->inline_record(1), kShard), Verdict::ok);
  const std::string row = row_key(DriveCaller::ref("k"));
  const auto index = world_.memory.open(index_folder(world_.folder()), IndexMode::existing);
  ASSERT_TRUE(index);
  const auto batch = (*index)->make_batch();
  put_inline(*batch, inline_key(row, call_->id(7)), call_->id(7), as_bytes("lost"));
  put_inline(*batch, inline_key(row_key(DriveCaller::ref("gone")), call_->id(1)), call_->id(1),
             as_bytes("x"));
  ASSERT_TRUE((*index)->write(*batch, Sync::yes));
  EXPECT_EQ(orphans(false, 0).inline_shards, 2U);
  EXPECT_EQ(orphans(true, 0).inline_shards, 2U);
  EXPECT_EQ(orphans(true, 0).inline_shards, 0U);
  EXPECT_EQ(call_->read(DriveCaller::ref("k")).inline_shard, kShard);
}

// No call leads to such a row: it names nothing, and nobody can begin it anew.
TEST_F(DriveUpkeepTest, ARowUnderAKeyThatIsNoneIsCountedAndPassedOver) {
  ASSERT_TRUE(call_->stage(1, kBody));
  reopen();
  const std::string key = row_key(DriveCaller::ref("k")).substr(0, kRowKeyHead + 1);
  const auto index = world_.memory.open(index_folder(world_.folder()), IndexMode::existing);
  const auto batch = (*index)->make_batch();
  const std::string_view row = "no row";
  batch->put(Column::rows, key, std::span<const std::string_view>(&row, 1));
  ASSERT_TRUE((*index)->write(*batch, Sync::yes));
  EXPECT_EQ(orphans(true, an_hour_on()).files, 1U);
  RowScanSpec all;
  const auto page = call_->wait(world_.drive->scan(call_->ctx(), all));
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->rows.empty());
  EXPECT_EQ(page->nameless_rows, 1U);
  EXPECT_EQ(page->last, key);
}

TEST_F(DriveUpkeepTest, UsageIsThereAfterAReopenAndCountedWhereNoneWasKept) {
  ASSERT_EQ(call_->verdict(DriveCaller::ref("a"), call_->inline_record(1), kShard), Verdict::ok);
  ASSERT_EQ(call_->verdict(DriveCaller::ref("b"), call_->inline_record(2), kShard), Verdict::ok);
  const auto before = usage();
  ASSERT_EQ(before.size(), 1U);
  reopen();
  ASSERT_EQ(usage().size(), 1U);
  EXPECT_EQ(usage()[0].objects, 2);
  EXPECT_EQ(usage()[0].object_bytes, 2000);
  EXPECT_EQ(usage()[0].changes, before[0].changes);

  // as a release without usage records would have left it
  const auto index = world_.memory.open(index_folder(world_.folder()), IndexMode::existing);
  const auto batch = (*index)->make_batch();
  batch->erase(Column::system, std::string("\0usage", 6));
  batch->erase(Column::system, UsageTable::record_name(BucketId{77}));
  ASSERT_TRUE((*index)->write(*batch, Sync::yes));
  reopen();
  ASSERT_EQ(usage().size(), 1U);
  EXPECT_EQ(usage()[0].objects, 2);
  EXPECT_EQ(usage()[0].object_bytes, 2000);
}

TEST_F(DriveUpkeepTest, ARecountCorrectsWhatIsWrong) {
  ASSERT_EQ(call_->verdict(DriveCaller::ref("a"), call_->inline_record(1), kShard), Verdict::ok);
  world_.stop();
  BucketUsage wrong;
  wrong.bucket = BucketId{77};
  wrong.objects = 5;
  wrong.object_bytes = -3;
  wrong.changes = 12;
  const auto index = world_.memory.open(index_folder(world_.folder()), IndexMode::existing);
  const auto batch = (*index)->make_batch();
  UsageTable::put(*batch, wrong);
  ASSERT_TRUE((*index)->write(*batch, Sync::yes));
  start();
  EXPECT_EQ(usage()[0].objects, 5);
  const auto corrected = call_->wait(world_.drive->recount_usage(call_->ctx(), BucketId{77}));
  ASSERT_TRUE(corrected) << corrected.error().detail;
  EXPECT_TRUE(*corrected);
  EXPECT_EQ(usage()[0].objects, 1);
  EXPECT_EQ(usage()[0].object_bytes, 1000);
  EXPECT_GT(usage()[0].changes, 12U);
  reopen();
  EXPECT_EQ(usage()[0].objects, 1);
}

TEST_F(DriveUpkeepTest, UsageAndRowsAreLostTogether) {
  ASSERT_EQ(call_->verdict(DriveCaller::ref("a"), call_->inline_record(1), kShard), Verdict::ok);
  store().fail_writes(Error{Errc::no_space, "injected"});
  EXPECT_FALSE(call_->commit(DriveCaller::ref("b"), call_->inline_record(2), kShard));
  EXPECT_EQ(usage()[0].objects, 1);
  store().fail_writes(std::nullopt);
  EXPECT_EQ(call_->verdict(DriveCaller::ref("c"), call_->inline_record(3), kShard), Verdict::ok);
  EXPECT_EQ(usage()[0].objects, 2);
  const auto corrected = call_->wait(world_.drive->recount_usage(call_->ctx(), BucketId{77}));
  ASSERT_TRUE(corrected) << corrected.error().detail;
  EXPECT_FALSE(*corrected);
}

// A refusal for want of room in the row says why there is none.
TEST_F(DriveUpkeepTest, ARowFullOfFencesOfAFullDriveSaysThatItIsFull) {
  for (unsigned i = 0; i < kFencesTaken; ++i)
    ASSERT_TRUE(call_->wait(world_.drive->fence(call_->ctx(), DriveCaller::ref("k"), call_->id(10 + i))));
  EXPECT_TRUE(call_->wait(world_.drive->fence(call_->ctx(), DriveCaller::ref("k"), call_->id(5)))
                  .failed_with(Errc::unavailable));
  world_.fs.free_bytes = 0;
  reopen();
  EXPECT_TRUE(call_->wait(world_.drive->fence(call_->ctx(), DriveCaller::ref("k"), call_->id(5)))
                  .failed_with(Errc::no_space));
}

}  // namespace
}  // namespace ostraka::disk
