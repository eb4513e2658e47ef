// What every Drive must do for healer and scanner: the part of DriveSuite that is about the drive as a whole.
#pragma once

#include "tests/unit/disk/drive_caller.h"
#include "tests/unit/disk/drive_upload_suite.h"

namespace ostraka::disk {

template <class Backend>
class DriveUpkeepSuite : public testing::Test {
 protected:
  std::vector<std::string> scan(RowScanSpec spec, RowPage* out = nullptr) {
    auto page = call_.wait(backend_.drive().scan(call_.ctx(), std::move(spec)));
    EXPECT_TRUE(page) << page.error().detail;
    std::vector<std::string> keys;
    if (!page) return keys;
    for (const ScannedRow& row : page->rows) {
      EXPECT_TRUE(decode_key_row(row.row));
      EXPECT_TRUE(keys.empty() || last_row_ < row.row_key);
      last_row_ = row.row_key;
      keys.push_back(std::string(1, static_cast<char>(row.space)) + ":" + std::string(row.key) +
                     (row.sub.empty() ? "" : "|" + std::string(row.sub)));
    }
    if (out != nullptr) *out = std::move(*page);
    return keys;
  }
  BucketUsage usage(std::uint64_t bucket = 77) {
    const auto all = call_.wait(backend_.drive().usage(call_.ctx()));
    EXPECT_TRUE(all) << all.error().detail;
    for (const BucketUsage& usage : all.value_or(std::vector<BucketUsage>{})) {
      if (usage.bucket == BucketId{bucket}) return usage;
    }
    return {};
  }
  // The numbers kept are those that a new count finds.
  void expect_exact() {
    const auto corrected = call_.wait(backend_.drive().recount_usage(call_.ctx(), BucketId{77}));
    ASSERT_TRUE(corrected) << corrected.error().detail;
    EXPECT_FALSE(*corrected);
  }
  OrphanReport orphans(bool remove) {
    OrphanSpec spec;
    spec.older_than_ms = backend_.clock().unix_ms() + 3'600'000;
    spec.remove = remove;
    const auto report = call_.wait(backend_.drive().find_orphans(call_.ctx(), spec));
    EXPECT_TRUE(report) << report.error().detail;
    return report.value_or(OrphanReport{});
  }

  Backend backend_;
  DriveCaller call_{backend_.drive(), backend_.shard(), backend_.clock()};
  std::string last_row_;
};
TYPED_TEST_SUITE_P(DriveUpkeepSuite);

TYPED_TEST_P(DriveUpkeepSuite, ScansAllRowsInOrderAndInPages) {
  auto& c = this->call_;
  const std::string odd("n\0l", 3);
  begin_upload(c);
  for (unsigned i = 0; i < 3; ++i)
    ASSERT_EQ(c.verdict(c.ref("key" + std::to_string(i)), c.inline_record(50 + i), kShard), Verdict::ok);
  ASSERT_EQ(c.verdict(c.ref(odd), c.inline_record(60), kShard), Verdict::ok);
  ObjectRef other = c.ref("a");
  other.bucket = BucketId{3};
  ASSERT_EQ(c.verdict(other, c.inline_record(70), kShard), Verdict::ok);

  RowPage page;
  const auto all = this->scan({}, &page);
  const std::string sub1 = std::string("UP\0\x01", 4), sub2 = std::string("UP\0\x02", 4);
  const std::vector<std::string> expected = {"o:a",      "o:key0",      "o:key1",      "o:key2",
                                             "o:" + odd, "p:k|" + sub1, "p:k|" + sub2, "u:k|UP"};
  EXPECT_EQ(all, expected);
  EXPECT_TRUE(page.end);
  EXPECT_EQ(page.nameless_rows, 0U);
  ASSERT_EQ(page.rows.size(), expected.size());
  EXPECT_EQ(page.rows[0].bucket, BucketId{3});
  EXPECT_EQ(page.rows[1].bucket, BucketId{77});
  EXPECT_EQ(page.last, page.rows.back().row_key);
  const std::string third(page.rows[2].row_key), sixth(page.rows[5].row_key);

  this->last_row_.clear();
  std::vector<std::string> paged;
  RowScanSpec spec;
  spec.max_rows = 3;
  for (bool end = false; !end;) {
    RowPage next;
    const auto keys = this->scan(spec, &next);
    EXPECT_LE(keys.size(), 3U);
    paged.insert(paged.end(), keys.begin(), keys.end());
    spec.after = next.last;
    end = next.end;
  }
  EXPECT_EQ(paged, expected);

  this->last_row_.clear();
  RowScanSpec range;
  range.after = third;
  range.until = sixth;
  EXPECT_EQ(this->scan(range), (std::vector<std::string>{expected[3], expected[4]}));
}

TYPED_TEST_P(DriveUpkeepSuite, UsageFollowsObjects) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  EXPECT_EQ(this->usage().objects, 0);
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), kShard), Verdict::ok);
  EXPECT_EQ(this->usage().objects, 1);
  EXPECT_EQ(this->usage().object_bytes, 1000);
  const std::uint64_t changes = this->usage().changes;
  VersionRecord larger = c.inline_record(2);
  larger.size = 2500;
  ASSERT_EQ(c.verdict(ref, larger, kShard), Verdict::ok);
  EXPECT_EQ(this->usage().objects, 1);
  EXPECT_EQ(this->usage().object_bytes, 2500);
  EXPECT_GT(this->usage().changes, changes);
  ASSERT_TRUE(c.wait(c.drive().withdraw(c.ctx(), ref, c.id(2))));
  EXPECT_EQ(this->usage().object_bytes, 1000) << "the one before is the newest again";
  c.retire(ref, 1);
  EXPECT_EQ(this->usage().object_bytes, 1000);
  VersionRecord rolled = c.inline_record(3);
  rolled.size = 70;
  ASSERT_EQ(c.verdict(ref, rolled, kShard, CommitMode::roll_forward), Verdict::ok);
  EXPECT_EQ(this->usage().object_bytes, 70);
  ASSERT_EQ(c.verdict(c.ref("healed"), c.inline_record(4), kShard, CommitMode::heal), Verdict::ok);
  EXPECT_EQ(this->usage().objects, 2);
  this->expect_exact();
  const std::uint64_t before_delete = this->usage().changes;
  for (const char* key : {"k", "healed"}) {
    ASSERT_EQ(c.verdict(c.ref(key), c.record(9, RecordKind::tombstone)), Verdict::ok);
    c.retire(c.ref(key), 9);
    const auto purged = c.wait(c.drive().purge(c.ctx(), c.ref(key), c.id(9)));
    ASSERT_TRUE(purged);
    EXPECT_EQ(*purged, Verdict::ok);
  }
  EXPECT_EQ(this->usage().objects, 0);
  EXPECT_EQ(this->usage().object_bytes, 0);
  this->expect_exact();
  ASSERT_EQ(c.verdict(ref, c.inline_record(20), kShard), Verdict::ok);
  EXPECT_GT(this->usage().changes, before_delete) << "also when the bucket was empty in between";
  ASSERT_EQ(c.verdict(ref, c.record(21, RecordKind::delete_marker)), Verdict::ok);
  EXPECT_EQ(this->usage().objects, 0) << "its newest version is no object";
  EXPECT_EQ(this->usage(78).objects, 0);
}

TYPED_TEST_P(DriveUpkeepSuite, UsageFollowsUploads) {
  auto& c = this->call_;
  begin_upload(c);
  EXPECT_EQ(this->usage().uploads, 1);
  EXPECT_EQ(this->usage().part_bytes, static_cast<std::int64_t>(2 * kBody));
  EXPECT_EQ(this->usage().objects, 0);
  this->expect_exact();
  ASSERT_EQ(c.verdict(c.ref("k"), completed(c, 9, {2})), Verdict::ok);
  EXPECT_EQ(this->usage().objects, 1);
  EXPECT_EQ(this->usage().object_bytes, static_cast<std::int64_t>(kBody));
  c.retire(c.ref("k"), 9);
  EXPECT_EQ(this->usage().uploads, 0);
  EXPECT_EQ(this->usage().part_bytes, 0);
  EXPECT_EQ(this->usage().object_bytes, static_cast<std::int64_t>(kBody));
  this->expect_exact();
}

TYPED_TEST_P(DriveUpkeepSuite, FilesInUseAreNoOrphans) {
  auto& c = this->call_;
  begin_upload(c);                 // files 1 and 2, of part rows
  ASSERT_TRUE(c.stage(3, kBody));  // staged
  ASSERT_TRUE(c.stage(4, kBody));
  ASSERT_EQ(c.verdict(c.ref("big"), c.file_record(30, {{4, kBody}})), Verdict::ok);
  ASSERT_EQ(c.verdict(c.ref("small"), c.inline_record(31), kShard), Verdict::ok);
  ASSERT_TRUE(c.stage(5, kBody));
  ASSERT_EQ(c.verdict(c.ref("read"), c.file_record(32, {{5, kBody}})), Verdict::ok);
  const Held reader = c.read(c.ref("read"));
  ASSERT_EQ(c.verdict(c.ref("read"), c.inline_record(33), kShard), Verdict::ok);
  c.retire(c.ref("read"), 33);
  const OrphanReport report = this->orphans(true);
  EXPECT_EQ(report.files, 0U);
  EXPECT_EQ(report.inline_shards, 0U);
  for (std::uint8_t file = 1; file <= 5; ++file) EXPECT_TRUE(c.has_file(file, kBody)) << int{file};
  EXPECT_EQ(c.read(c.ref("small")).inline_shard, kShard);
  EXPECT_EQ(c.verdict(c.ref("late"), c.file_record(40, {{3, kBody}})), Verdict::ok);
}

TYPED_TEST_P(DriveUpkeepSuite, GroupsTellTheirEpochs) {
  auto& c = this->call_;
  ObjectRef ref = c.ref("k");
  ref.group = 9;
  ref.epoch = 4;
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), kShard), Verdict::ok);
  const auto groups = c.wait(c.drive().groups(c.ctx()));
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), kPlacementGroups);
  EXPECT_EQ((*groups)[9].epoch, 4U);
  EXPECT_FALSE((*groups)[9].refilling);
  EXPECT_EQ((*groups)[10].epoch, 0U);
  EXPECT_TRUE(c.wait(c.drive().readmit(c.ctx(), 9, 4))) << "it is full already";
}

inline KeyRead key_read(ObjectRef ref, bool with_inline = true, VersionId inline_of = kAnyVersion) {
  KeyRead out;
  out.ref = std::move(ref);
  out.spec.with_inline = with_inline;
  out.spec.inline_of = inline_of;
  return out;
}

TYPED_TEST_P(DriveUpkeepSuite, ManyKeysAreReadAsOneIs) {
  auto& c = this->call_;
  ASSERT_TRUE(c.stage(4, kBody));
  ASSERT_EQ(c.verdict(c.ref("big"), c.file_record(1, {{4, kBody}})), Verdict::ok);
  ASSERT_EQ(c.verdict(c.ref("small"), c.inline_record(2), "two"), Verdict::ok);
  ASSERT_EQ(c.verdict(c.ref("twice"), c.inline_record(3), "three"), Verdict::ok);
  ASSERT_EQ(c.verdict(c.ref("twice"), c.inline_record(4), "four"), Verdict::ok);
  ObjectRef other = c.ref("small");
  other.bucket = BucketId{3};
  std::vector<KeyRead> reads{key_read(c.ref("twice"), true, c.id(3)),
                             key_read(c.ref("twice")),
                             key_read(c.ref("absent")),
                             key_read(other),
                             key_read(c.ref("small"), false),
                             key_read(c.ref("small")),
                             key_read(c.ref("big"))};
  const auto answers = c.wait(c.drive().read_many(c.ctx(), reads));
  ASSERT_TRUE(answers) << answers.error().detail;
  ASSERT_EQ(answers->size(), reads.size());
  const std::vector<std::string> shards = {"three", "four", "", "", "", "two", ""};
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const Result<Held>& held = (*answers)[i];
    ASSERT_TRUE(held) << i << " " << held.error().detail;
    EXPECT_EQ(held->inline_shard, shards[i]) << i;
    EXPECT_EQ(encode_key_row(held->state), encode_key_row(c.read(reads[i].ref).state)) << i;
  }
  // The answer pins files, as that of a read does.
  ASSERT_EQ(c.verdict(c.ref("big"), c.inline_record(9), kShard), Verdict::ok);
  c.retire(c.ref("big"), 9);
  EXPECT_TRUE(c.has_file(4, kBody));
  EXPECT_TRUE(c.wait(c.drive().read_many(c.ctx(), {}))->empty());
}

TYPED_TEST_P(DriveUpkeepSuite, ReadingManyKeysTeachesTheirEpochs) {
  auto& c = this->call_;
  std::vector<KeyRead> reads{key_read(c.ref("a")), key_read(c.ref("b"))};
  reads[0].ref.epoch = 7;
  reads[1].ref.group = 6;
  reads[1].ref.epoch = 3;
  const auto answers = c.wait(c.drive().read_many(c.ctx(), reads));
  ASSERT_TRUE(answers && answers->size() == 2);
  ASSERT_TRUE((*answers)[0] && (*answers)[1]);
  EXPECT_EQ((*answers)[0]->group.epoch, 7U);
  EXPECT_EQ((*answers)[1]->group.epoch, 3U);
  ObjectRef older = c.ref("a");
  older.epoch = 6;
  EXPECT_TRUE(c.commit(older, c.inline_record(1), kShard).failed_with(Errc::stale_epoch));
}

TYPED_TEST_P(DriveUpkeepSuite, ReadingManyKeysIsBounded) {
  auto& c = this->call_;
  const std::string large(kMaxInlineShardBytes, 'x');
  const std::size_t count = kMaxKeyReadBytes / large.size() + 5;
  std::vector<KeyRead> reads;
  for (unsigned i = 0; i < count; ++i) {
    reads.push_back(key_read(c.ref("key" + std::to_string(i))));
    ASSERT_EQ(c.verdict(reads.back().ref, c.inline_record(i + 1), large), Verdict::ok);
  }
  const auto answers = c.wait(c.drive().read_many(c.ctx(), reads));
  ASSERT_TRUE(answers);
  EXPECT_GT(answers->size(), count / 2);
  EXPECT_LT(answers->size(), count);
  for (const Result<Held>& held : *answers) EXPECT_EQ(held->inline_shard.size(), large.size());
  reads.resize(kMaxKeyReads + 1, reads.front());
  EXPECT_TRUE(c.wait(c.drive().read_many(c.ctx(), reads)).failed_with(Errc::invalid_argument));
}

TYPED_TEST_P(DriveUpkeepSuite, ARowThatCanBeReadIsNotBegunAnew) {
  auto& c = this->call_;
  ObjectRef ref = c.ref("k");
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), kShard), Verdict::ok);
  ref.epoch = 9;
  const auto begun = c.wait(c.drive().begin_anew(c.ctx(), ref));
  ASSERT_TRUE(begun) << begun.error().detail;
  EXPECT_FALSE(*begun);
  const auto readmitted = c.wait(c.drive().readmit_key(c.ctx(), ref, 9));
  ASSERT_TRUE(readmitted) << readmitted.error().detail;
  EXPECT_EQ(*readmitted, Verdict::refused);
  const Held held = c.read(ref);
  EXPECT_EQ(held.inline_shard, kShard);
  EXPECT_EQ(held.state.birth, 0U);
  EXPECT_FALSE(held.group.refilling);
}

REGISTER_TYPED_TEST_SUITE_P(DriveUpkeepSuite, ARowThatCanBeReadIsNotBegunAnew, ScansAllRowsInOrderAndInPages,
                            UsageFollowsObjects, UsageFollowsUploads, FilesInUseAreNoOrphans,
                            GroupsTellTheirEpochs, ManyKeysAreReadAsOneIs, ReadingManyKeysTeachesTheirEpochs,
                            ReadingManyKeysIsBounded);

}  // namespace ostraka::disk
