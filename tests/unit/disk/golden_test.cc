// The bytes in tests/golden/disk were written by the first release. Today's code must read them, and write
// the same; a change that breaks this test breaks every drive there is: make a new format version beside the
// old one. OSTRAKA_WRITE_GOLDEN=1 writes files that are missing, never ones that exist.
#include <gtest/gtest.h>

#include <cstdlib>

#include "disk/drive_format.h"
#include "disk/group_table.h"
#include "disk/inline_value.h"
#include "disk/row_key.h"
#include "disk/shard_file.h"
#include "disk/usage_table.h"
#include "tests/unit/disk/drive_caller.h"
#include "tests/unit/disk/drive_world.h"

namespace ostraka::disk {
namespace {

namespace stdfs = std::filesystem;

const std::string kGolden = OSTRAKA_SOURCE_DIR "/tests/golden/disk/";

bool writing() {
  return std::getenv("OSTRAKA_WRITE_GOLDEN") != nullptr;
}

std::string golden(const std::string& name, const std::string& today) {
  if (writing() && !stdfs::exists(kGolden + name)) spill(kGolden + name, today);
  return slurp(kGolden + name);
}

VersionRecord golden_record() {
  VersionRecord record;
  record.id = {std::uint64_t{1'700'000'000'123} << 16 | 7, 0x01020304};
  record.expect = {std::uint64_t{1'600'000'000'000} << 16, 9};
  record.epoch = 3;
  record.data_shards = 4;
  record.parity_shards = 2;
  record.write_quorum = 4;
  record.size = 2 * kStripeBytes + 1000;
  PartRecord part;
  part.number = 1;
  part.size = record.size;
  part.data = data_id(0x5a);
  part.md5 = std::string(16, 'm');
  part.checksum = std::string("\x01\x02\x03\x04", 4);
  part.modified_ms = 1'700'000'000'100;
  record.parts.push_back(part);
  record.modified_ms = 1'700'000'000'123;
  record.etag = "6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d-1";
  record.storage_class = "REDUCED_REDUNDANCY";
  record.checksum_algorithm = ChecksumAlgorithm::crc32c;
  record.checksum_type = ChecksumType::composite;
  record.checksum = std::string("\x0a\x0b\x0c\x0d", 4);
  record.headers = {{"content-type", "text/plain"}};
  record.user_metadata = {{"colour", "green"}};
  record.tags = {{"team", "red"}};
  record.upload_id = "upload-1";
  return record;
}

KeyState golden_state() {
  KeyState state;
  state.final_id = {std::uint64_t{1'600'000'000'000} << 16, 9};
  state.final_at_ms = 1'600'000'000'050;
  state.fences = {{std::uint64_t{1'700'000'000'999} << 16, 1}};
  const VersionRecord record = golden_record();
  HeldVersion newest;
  newest.id = record.id;
  newest.expect = record.expect;
  newest.epoch = record.epoch;
  newest.data_shards = 4;
  newest.write_quorum = 4;
  newest.shard_index = 5;
  newest.has_files = newest.from_upload = true;
  newest.record = std::make_shared<const std::string>(encode(record));
  HeldVersion old;
  old.id = state.final_id;
  old.expect = kNoVersion;
  old.has_inline = true;
  old.record = std::make_shared<const std::string>("any bytes");
  HeldVersion stone;
  stone.id = {5, 5};
  stone.tombstone = true;
  stone.record = std::make_shared<const std::string>();
  state.versions = {newest, old, stone};
  return state;
}

TEST(Golden, VersionRecord) {
  const std::string today = encode(golden_record());
  EXPECT_EQ(golden("version_record.bin", today), today);
  EXPECT_TRUE(decode_version_record(as_bytes(today)));
}

TEST(Golden, KeyRow) {
  const std::string today = encode_key_row(golden_state());
  EXPECT_EQ(golden("key_row.bin", today), today);
  EXPECT_TRUE(decode_key_row(today));
}

TEST(Golden, KeyRowWithABirth) {
  KeyState state = golden_state();
  state.birth = 300;
  state.refilling = true;
  state.readmitted_at_ms = 1'600'000'000'060;
  const std::string today = encode_key_row(state);
  EXPECT_EQ(golden("key_row.v2.bin", today), today);
  const auto back = decode_key_row(today);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->birth, 300U);
}

TEST(Golden, RowKeys) {
  std::string today;
  for (const KeySpace space : {KeySpace::object, KeySpace::upload, KeySpace::part}) {
    today += row_key(BucketId{0x0102030405060708}, space, std::string("k\0\xc3\xa9/", 5),
                     part_sub("upload-1", 10000)) +
             "\n";
  }
  today += inline_key("row", golden_record().id);
  EXPECT_EQ(golden("row_keys.bin", today), today);
}

TEST(Golden, ShardFile) {
  ShardFooter footer;
  footer.data = data_id(0x5a);
  footer.shard_index = 5;
  footer.data_shards = 4;
  footer.parity_shards = 2;
  footer.block_bytes = 4096;
  footer.last_block_bytes = 64;
  const std::string first(4096, 'a'), second(64, 'b');
  footer.blocks = {xxh3_128(as_bytes(first)), xxh3_128(as_bytes(second))};
  const std::string today = first + second + encode_shard_tail(footer);
  const std::string stored = golden("shard_file.bin", today);
  EXPECT_EQ(stored, today);
  const auto back = decode_shard_tail(as_bytes(stored), stored.size());
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(back->blocks, footer.blocks);
}

TEST(Golden, SmallValues) {
  class OneValue final : public IndexBatch {
   public:
    std::string value;
    void put(Column, std::string_view, std::span<const std::string_view> parts) override {
      for (const std::string_view part : parts) value.append(part);
    }
    void erase(Column, std::string_view) override {}
    std::size_t bytes() const override { return value.size(); }
    bool empty() const override { return value.empty(); }
    void clear() override { value.clear(); }
  };
  OneValue inline_value;
  put_inline(inline_value, "key", golden_record().id, as_bytes("shard bytes"));
  EXPECT_EQ(golden("inline_value.bin", inline_value.value), inline_value.value);
  std::string shard = inline_value.value;
  ASSERT_TRUE(check_inline(shard, golden_record().id));
  EXPECT_EQ(shard, "shard bytes");
  const GroupState group{.epoch = 7, .birth = 3, .refilling = true};
  const std::string record = GroupTable::record_name(513) + GroupTable::encode(group);
  EXPECT_EQ(golden("group_record.bin", record), record);
  BucketUsage usage;
  usage.bucket = BucketId{0x0102030405060708};
  usage.objects = 3;
  usage.object_bytes = 70'000'000'000;
  usage.uploads = 1;
  usage.part_bytes = 5U << 20;
  usage.changes = std::uint64_t{1'700'000'000'123} << 10;
  const std::string usage_record = UsageTable::record_name(usage.bucket) + UsageTable::encode(usage);
  EXPECT_EQ(golden("usage_record.bin", usage_record), usage_record);
}

TEST(Golden, DriveFormat) {
  const std::string today = encode_drive_format(test_format());
  const std::string stored = golden("format.json", today);
  EXPECT_EQ(stored, today);
  EXPECT_TRUE(decode_drive_format(stored, "drive"));
  DriveFormat replaced = test_format();
  replaced.incarnation.bytes.fill(0xe7);
  replaced.refilling = true;
  const std::string second = encode_drive_format(replaced);
  const std::string stored_second = golden("format.v2.json", second);
  EXPECT_EQ(stored_second, second);
  const auto back = decode_drive_format(stored_second, "drive");
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(back->incarnation, replaced.incarnation);
  EXPECT_TRUE(back->refilling);
  EXPECT_TRUE(decode_drive_format(stored, "drive")->incarnation.is_nil());
  const auto newer = decode_drive_format(slurp(kGolden + "format.newer.json"), "/mnt/drive7");
  ASSERT_TRUE(newer.failed_with(Errc::unsupported_version));
  EXPECT_NE(newer.error().detail.find("/mnt/drive7: written by a newer release (drive format 3"),
            std::string::npos);
}

// A whole drive folder of the first release: what later releases must open.
TEST(Golden, DriveFolder) {
  const std::string stored = kGolden + "drive-v1";
  DriveWorld world;
  if (writing() && !stdfs::exists(stored)) {
    ASSERT_TRUE(world.format());
    ASSERT_TRUE(world.start());
    DriveCaller c(*world.drive, world.shard, world.clock);
    VersionRecord small = c.inline_record(1);
    small.id = {1000, 1};
    ASSERT_EQ(c.verdict(c.ref("small"), small, kShard), Verdict::ok);
    ASSERT_TRUE(c.stage(1, 1000));
    VersionRecord big = c.file_record(2, {{1, 1000}});
    big.id = {2000, 1};
    ASSERT_EQ(c.verdict(c.ref("big"), big), Verdict::ok);
    ASSERT_TRUE(c.wait(world.drive->put_system(c.ctx(), "heal/x", "entry")));
    world.stop();
    stdfs::copy(world.folder(), stored, stdfs::copy_options::recursive);
    stdfs::remove_all(world.folder());
  }
  stdfs::copy(stored, world.folder(), stdfs::copy_options::recursive);
  const auto started = world.start();
  ASSERT_TRUE(started) << started.error().detail;
  DriveCaller c(*world.drive, world.shard, world.clock);
  EXPECT_EQ(c.read(c.ref("small")).inline_shard, kShard);
  EXPECT_EQ(c.read(c.ref("big")).state.newest(), (VersionId{2000, 1}));
  const auto reader = c.open(1, 1000);
  ASSERT_TRUE(reader) << reader.error().detail;
  const auto block = c.read_block(**reader, 0, shard_block_bytes(1000, 4));
  ASSERT_TRUE(block);
  EXPECT_EQ(*block, c.block(1, 0, shard_block_bytes(1000, 4)));
  EXPECT_EQ(c.wait(world.drive->info(c.ctx()))->heal_queue, 1U);
  EXPECT_EQ(c.list({}), (std::vector<std::string>{"big", "small"}));
  const auto usage =
      c.wait(world.drive->usage(c.ctx()));  // that release kept none: counted when it was opened
  ASSERT_TRUE(usage);
  ASSERT_EQ(usage->size(), 1U);
  EXPECT_EQ((*usage)[0].objects, 2);
  EXPECT_EQ((*usage)[0].object_bytes, 2000);
}

}  // namespace
}  // namespace ostraka::disk
