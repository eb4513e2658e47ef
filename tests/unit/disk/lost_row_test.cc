// Rows of a drive's index that fail their checksum: what the drive says of them, how they are begun anew, and
// what goes on around them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "disk/row_key.h"
#include "tests/unit/disk/drive_caller.h"
#include "tests/unit/disk/drive_upload_suite.h"
#include "tests/unit/disk/drive_world.h"

namespace ostraka::disk {
namespace {

namespace stdfs = std::filesystem;

class LostRowTest : public testing::TestWithParam<bool> {  // with an index in memory, or RocksDB
 protected:
  LostRowTest() {
    EXPECT_TRUE(world_.format());
    start();
  }
  void start() {
    const auto started = world_.start();
    EXPECT_TRUE(started) << started.error().detail;
    call_.emplace(*world_.drive, world_.shard, world_.clock);
  }
  // Flips a bit of the row in the index, while the drive is closed.
  void damage(const ObjectRef& ref) {
    world_.stop();
    {
      const auto index = world_.indexes().open(index_folder(world_.folder()), IndexMode::existing);
      ASSERT_TRUE(index);
      std::string row;
      const auto found = (*index)->get(Column::rows, row_key(ref), row, Tier::all);
      ASSERT_TRUE(found && *found == Lookup::found);
      row[3] = static_cast<char>(row[3] ^ 1);
      const auto batch = (*index)->make_batch();
      const std::string_view bytes = row;
      batch->put(Column::rows, row_key(ref), std::span<const std::string_view>(&bytes, 1));
      ASSERT_TRUE((*index)->write(*batch, Sync::yes));
    }
    start();
  }
  Result<Held> read(const ObjectRef& ref) {
    return call_->wait(world_.drive->read(call_->ctx(), ref, ReadSpec{}));
  }
  static ObjectRef at(ObjectRef ref, std::uint64_t epoch) {
    ref.epoch = epoch;
    return ref;
  }
  Result<bool> begin(const ObjectRef& ref, std::uint64_t epoch) {
    return call_->wait(world_.drive->begin_anew(call_->ctx(), at(ref, epoch)));
  }
  Verdict readmit(const ObjectRef& ref, std::uint64_t birth) {
    const auto verdict = call_->wait(world_.drive->readmit_key(call_->ctx(), ref, birth));
    EXPECT_TRUE(verdict) << verdict.error().detail;
    return verdict.value_or(Verdict::lacks);
  }
  OrphanReport orphans() {
    OrphanSpec spec;
    spec.older_than_ms = world_.clock.unix_ms() + 3'600'000;
    spec.remove = true;
    const auto report = call_->wait(world_.drive->find_orphans(call_->ctx(), spec));
    EXPECT_TRUE(report) << report.error().detail;
    return report.value_or(OrphanReport{});
  }
  bool on_disk(std::uint8_t file) { return stdfs::exists(data_path(world_.folder(), data_id(file))); }

  const ObjectRef key_ = DriveCaller::ref("k");
  DriveWorld world_{GetParam()};
  std::optional<DriveCaller> call_;
};

TEST_P(LostRowTest, SaysNothingOfItsKeyAndIsNamedByScans) {
  for (const char* name : {"a/1", "k", "z"})
    ASSERT_EQ(call_->verdict(DriveCaller::ref(name), call_->inline_record(1), kShard), Verdict::ok);
  damage(key_);
  EXPECT_TRUE(read(key_).failed_with(Errc::corrupt));
  EXPECT_TRUE(call_->commit(key_, call_->inline_record(2), kShard).failed_with(Errc::corrupt));
  EXPECT_TRUE(
      call_->commit(key_, call_->inline_record(1), kShard, CommitMode::heal).failed_with(Errc::corrupt));
  EXPECT_TRUE(call_->wait(world_.drive->fence(call_->ctx(), key_, call_->id(2))).failed_with(Errc::corrupt));
  EXPECT_TRUE(
      call_->wait(world_.drive->withdraw(call_->ctx(), key_, call_->id(1))).failed_with(Errc::corrupt));
  call_->retire(key_, 1);
  EXPECT_TRUE(call_->wait(world_.drive->readmit_key(call_->ctx(), key_, 1)).failed_with(Errc::corrupt));
  EXPECT_EQ(call_->read(DriveCaller::ref("z")).inline_shard, kShard);

  for (const char* delimiter : {"", "/"}) {
    ListSpec spec;
    spec.bucket = BucketId{77};
    spec.delimiter = delimiter;
    const auto page = call_->wait(world_.drive->list(call_->ctx(), spec));
    ASSERT_TRUE(page);
    ASSERT_EQ(page->rows.size(), 3U) << "left out it would count as absent";
    EXPECT_EQ(page->rows[1].key, "k");
    EXPECT_TRUE(decode_key_row(page->rows[1].row).failed_with(Errc::corrupt));
  }
  const auto page = call_->wait(world_.drive->scan(call_->ctx(), RowScanSpec{}));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->nameless_rows, 0U);
  ASSERT_EQ(page->rows.size(), 3U);
  EXPECT_EQ(page->rows[1].key, "k");
  EXPECT_TRUE(decode_key_row(page->rows[1].row).failed_with(Errc::corrupt));
}

TEST_P(LostRowTest, BegunAnewItIsThatOfAnEmptiedDrive) {
  VersionRecord old = call_->inline_record(1);
  old.epoch = 4;
  ASSERT_EQ(call_->verdict(at(key_, 4), old, kShard), Verdict::ok);
  damage(key_);
  EXPECT_TRUE(begin(key_, 4).failed_with(Errc::stale_epoch)) << "it knew versions of that epoch";
  EXPECT_TRUE(read(key_).failed_with(Errc::corrupt)) << "and is not taken for empty for that";
  ASSERT_TRUE(begin(key_, 5).value_or(false));

  Held held = call_->read(key_);
  EXPECT_TRUE(held.state.says_nothing());
  EXPECT_TRUE(held.state.refilling);
  EXPECT_TRUE(held.group.refilling);
  EXPECT_EQ(held.group.birth, 5U);
  EXPECT_EQ(held.group.epoch, 5U);
  EXPECT_FALSE(call_->read(DriveCaller::ref("other")).group.refilling) << "of the same group";

  const auto fence = call_->wait(world_.drive->fence(call_->ctx(), at(key_, 5), call_->id(7)));
  ASSERT_TRUE(fence);
  EXPECT_FALSE(fence->has);
  EXPECT_EQ(fence->birth, 5U);
  EXPECT_TRUE(call_->commit(at(key_, 4), call_->inline_record(2), kShard).failed_with(Errc::stale_epoch));
  EXPECT_EQ(call_->verdict(at(key_, 5), old, kShard, CommitMode::roll_forward), Verdict::refused)
      << "it may have promised never to take it";
  VersionRecord conditional = call_->inline_record(3);
  conditional.epoch = 5;
  conditional.expect = kNoVersion;
  EXPECT_EQ(call_->verdict(at(key_, 5), conditional, kShard), Verdict::refused);
  EXPECT_EQ(call_->verdict(at(key_, 5), old, kShard, CommitMode::heal), Verdict::ok);
  EXPECT_EQ(call_->read(key_).inline_shard, kShard);

  EXPECT_EQ(readmit(key_, 4), Verdict::refused);
  EXPECT_TRUE(call_->read(key_).state.refilling);
  EXPECT_EQ(readmit(key_, 5), Verdict::ok);
  world_.stop();
  start();
  held = call_->read(key_);
  EXPECT_FALSE(held.group.refilling);
  EXPECT_EQ(held.group.birth, 5U);
  EXPECT_EQ(held.group.epoch, 5U);
  EXPECT_EQ(held.inline_shard, kShard);
  VersionRecord late = call_->inline_record(8);
  late.epoch = 4;
  EXPECT_EQ(call_->verdict(at(key_, 5), late, kShard, CommitMode::roll_forward), Verdict::refused);
  VersionRecord next = call_->inline_record(9);
  next.epoch = 5;
  next.expect = old.id;
  EXPECT_EQ(call_->verdict(at(key_, 5), next, kShard), Verdict::ok);
}

TEST_P(LostRowTest, ARowThatCanBeReadStays) {
  ASSERT_EQ(call_->verdict(key_, call_->inline_record(1), kShard), Verdict::ok);
  EXPECT_FALSE(begin(key_, 5).value_or(true));
  EXPECT_FALSE(begin(DriveCaller::ref("absent"), 5).value_or(true));
  EXPECT_EQ(call_->read(key_).inline_shard, kShard);
  EXPECT_EQ(call_->read(key_).group.birth, 0U);
  EXPECT_TRUE(call_->read(DriveCaller::ref("absent")).state.empty());
}

TEST_P(LostRowTest, FilesThatItMayNameAreKept) {
  for (const unsigned file : {1U, 2U}) ASSERT_TRUE(call_->stage(static_cast<std::uint8_t>(file), kBody));
  ASSERT_EQ(call_->verdict(key_, call_->file_record(1, {{1, kBody}})), Verdict::ok);
  const ObjectRef small = DriveCaller::ref("small");
  ASSERT_EQ(call_->verdict(small, call_->inline_record(1), kShard), Verdict::ok);
  damage(key_);
  damage(small);
  OrphanReport report = orphans();
  EXPECT_EQ(report.files, 0U);
  EXPECT_EQ(report.kept, 2U);
  EXPECT_EQ(report.inline_shards, 0U);
  EXPECT_TRUE(on_disk(1) && on_disk(2));

  ASSERT_TRUE(begin(key_, 2).value_or(false));
  ASSERT_TRUE(begin(small, 3).value_or(false));
  EXPECT_EQ(readmit(small, 3), Verdict::ok);
  report = orphans();
  EXPECT_EQ(report.files, 0U) << "until the row that may come to name them is healed";
  EXPECT_EQ(report.kept, 2U);
  EXPECT_TRUE(on_disk(1) && on_disk(2));
  EXPECT_EQ(report.inline_shards, 1U);

  EXPECT_EQ(call_->verdict(at(key_, 2), call_->file_record(1, {{1, kBody}}), {}, CommitMode::heal),
            Verdict::ok)
      << "the file is found again";
  EXPECT_EQ(readmit(key_, 2), Verdict::ok);
  report = orphans();
  EXPECT_EQ(report.files, 1U);
  EXPECT_EQ(report.kept, 0U);
  EXPECT_TRUE(on_disk(1) && !on_disk(2));
}

TEST_P(LostRowTest, RowsOfAnUploadDoNotKeepItsCompletionAway) {
  begin_upload(*call_);
  const ObjectRef upload = DriveCaller::ref("k", KeySpace::upload, "UP");
  const ObjectRef part = DriveCaller::ref("k", KeySpace::part, std::string("UP\0\x01", 4));
  damage(part);
  EXPECT_EQ(call_->verdict(key_, completed(*call_, 9, {1, 2})), Verdict::ok);
  ASSERT_TRUE(call_->wait(world_.drive->withdraw(call_->ctx(), key_, call_->id(9))));
  call_->flush();
  EXPECT_TRUE(call_->has_file(1, kBody)) << "it may be the part's";
  const VersionRecord done = completed(*call_, 10, {1, 2});
  EXPECT_EQ(call_->verdict(key_, done), Verdict::ok);
  damage(upload);
  world_.drive->retire(key_, done.id);
  call_->flush();
  EXPECT_TRUE(call_->read(part).state.empty());
  EXPECT_TRUE(call_->read(upload).state.empty());
  EXPECT_EQ(call_->read(key_).state.versions.size(), 1U);
  EXPECT_TRUE(call_->has_file(1, kBody) && call_->has_file(2, kBody));
}

TEST_P(LostRowTest, ARecountBringsItsUsageInOrder) {
  ASSERT_EQ(call_->verdict(key_, call_->inline_record(1), kShard), Verdict::ok);
  damage(key_);  // from here on ids are others
  ASSERT_TRUE(begin(key_, 2).value_or(false));
  ASSERT_EQ(call_->verdict(at(key_, 2), call_->inline_record(1), kShard, CommitMode::heal), Verdict::ok);
  ASSERT_TRUE(call_->wait(world_.drive->recount_usage(call_->ctx(), BucketId{77})));
  const auto usage = call_->wait(world_.drive->usage(call_->ctx()));
  ASSERT_TRUE(usage && usage->size() == 1);
  EXPECT_EQ(usage->front().objects, 1);
  EXPECT_EQ(usage->front().object_bytes, 1000);
}

INSTANTIATE_TEST_SUITE_P(OnMemory, LostRowTest, testing::Values(true));
INSTANTIATE_TEST_SUITE_P(OnRocks, LostRowTest, testing::Values(false));

// Flips a bit of these bytes in the tables of an index; false: they lie in none.
bool flip_in_tables(const std::string& folder, const std::string& bytes) {
  for (const auto& entry : stdfs::directory_iterator(folder)) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    const std::string table(std::istreambuf_iterator<char>(file), {});
    const std::size_t at = table.find(bytes);
    if (at == std::string::npos) continue;
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(table[at] ^ 1));
    return file.flush().good();
  }
  return false;
}

// RocksDB's own checksum fails then, for all the rows of the block.
TEST(LostRow, InACorruptBlockOfTheIndexIsBegunAnewAsWell) {
  DriveWorld world;
  ASSERT_TRUE(world.format());
  ASSERT_TRUE(world.start());
  ObjectRef first = DriveCaller::ref("a"), second = DriveCaller::ref("b");
  std::optional<DriveCaller> call(std::in_place, *world.drive, world.shard, world.clock);
  for (const ObjectRef& ref : {first, second})
    ASSERT_EQ(call->verdict(ref, call->inline_record(1), kShard), Verdict::ok);
  world.stop();
  std::string row;
  {
    IndexBudget budget{{.memory_bytes = 16U << 20, .memtable_bytes = 4U << 20, .drives = 1}};
    RocksIndexFactory indexes(budget, world.fs);  // with a cache of its own
    const auto index = indexes.open(index_folder(world.folder()), IndexMode::existing);
    ASSERT_TRUE(index && (*index)->get(Column::rows, row_key(first), row, Tier::all));
  }
  ASSERT_TRUE(flip_in_tables(index_folder(world.folder()), row));
  const auto again = [&] {
    world.stop();
    ASSERT_TRUE(world.start());
    call.emplace(*world.drive, world.shard, world.clock);
  };
  again();
  std::uint64_t epoch = 0;
  for (ObjectRef ref : {first, second}) {
    ref.epoch = epoch;
    EXPECT_TRUE(call->wait(world.drive->read(call->ctx(), ref, ReadSpec{})).failed_with(Errc::corrupt));
    EXPECT_TRUE(call->commit(ref, call->inline_record(2), kShard).failed_with(Errc::corrupt));
    EXPECT_TRUE(call->wait(world.drive->begin_anew(call->ctx(), ref)).failed_with(Errc::stale_epoch));
    ref.epoch = ++epoch;
    EXPECT_TRUE(call->wait(world.drive->begin_anew(call->ctx(), ref)).value_or(false));
    EXPECT_TRUE(call->read(ref).state.refilling);
    EXPECT_EQ(call->verdict(ref, call->inline_record(1), kShard, CommitMode::heal), Verdict::ok);
    EXPECT_EQ(call->wait(world.drive->readmit_key(call->ctx(), ref, epoch)).value_or(Verdict::lacks),
              Verdict::ok);
  }
  again();
  for (const ObjectRef& ref : {first, second}) {
    EXPECT_EQ(call->read(ref).inline_shard, kShard);
    EXPECT_FALSE(call->read(ref).group.refilling);
  }
}

// What the committer remembers of a row is what it wrote: the row is written again.
TEST(LostRow, IsWrittenAgainWhereTheCommitterRemembersIt) {
  DriveWorld world(true);
  ASSERT_TRUE(world.format());
  ASSERT_TRUE(world.start());
  DriveCaller call(*world.drive, world.shard, world.clock);
  ObjectRef ref = DriveCaller::ref("k");
  ASSERT_EQ(call.verdict(ref, call.inline_record(1), kShard), Verdict::ok);
  std::string* row = world.memory.store(index_folder(world.folder()))->find(Column::rows, row_key(ref));
  ASSERT_NE(row, nullptr);
  (*row)[3] = static_cast<char>((*row)[3] ^ 1);
  EXPECT_TRUE(call.wait(world.drive->read(call.ctx(), ref, ReadSpec{})).failed_with(Errc::corrupt));
  ref.epoch = 9;
  EXPECT_FALSE(call.wait(world.drive->begin_anew(call.ctx(), ref)).value_or(true));
  EXPECT_EQ(call.read(ref).inline_shard, kShard);
  EXPECT_EQ(call.read(ref).group.birth, 0U);
}

}  // namespace
}  // namespace ostraka::disk
