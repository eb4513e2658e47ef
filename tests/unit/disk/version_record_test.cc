#include "disk/version_record.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "disk/limits.h"

namespace ostraka::disk {
namespace {

VersionRecord full_record() {
  VersionRecord record;
  record.id = {0x123456789abcULL << 16 | 3, 42};
  record.expect = {0x123456789aaaULL << 16, 41};
  record.epoch = 9;
  record.kind = RecordKind::object;
  record.data_shards = 6;
  record.parity_shards = 2;
  record.write_quorum = 6;
  record.size = 12'000'000;
  for (std::uint32_t number : {1U, 7U}) {
    PartRecord part;
    part.number = number;
    part.size = 6'000'000;
    part.data.bytes.fill(static_cast<std::uint8_t>(number));
    part.md5 = std::string(16, 'm');
    part.checksum = std::string(4, '\0');
    part.modified_ms = 1'700'000'000'000 + number;
    record.parts.push_back(part);
  }
  record.modified_ms = 1'700'000'000'999;
  record.etag = "0123456789abcdef0123456789abcdef-2";
  record.storage_class = "REDUCED_REDUNDANCY";
  record.checksum_algorithm = ChecksumAlgorithm::crc32c;
  record.checksum_type = ChecksumType::composite;
  record.checksum = std::string("\x00\x01\x02\xff", 4);
  record.headers = {{"content-type", "text/plain"}, {"cache-control", ""}};
  record.user_metadata = {{"colour", "\xc3\xa9t\xc3\xa9"}};
  record.tags = {{"a", "b"}, {"c", "d"}};
  record.upload_id = "upload-1";
  return record;
}

void expect_equal(const VersionRecord& a, const VersionRecord& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.expect, b.expect);
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.data_shards, b.data_shards);
  EXPECT_EQ(a.parity_shards, b.parity_shards);
  EXPECT_EQ(a.write_quorum, b.write_quorum);
  EXPECT_EQ(a.inline_data, b.inline_data);
  EXPECT_EQ(a.size, b.size);
  ASSERT_EQ(a.parts.size(), b.parts.size());
  for (std::size_t i = 0; i < a.parts.size(); ++i) {
    EXPECT_EQ(a.parts[i].number, b.parts[i].number);
    EXPECT_EQ(a.parts[i].size, b.parts[i].size);
    EXPECT_EQ(a.parts[i].data, b.parts[i].data);
    EXPECT_EQ(a.parts[i].md5, b.parts[i].md5);
    EXPECT_EQ(a.parts[i].checksum, b.parts[i].checksum);
    EXPECT_EQ(a.parts[i].modified_ms, b.parts[i].modified_ms);
  }
  EXPECT_EQ(a.modified_ms, b.modified_ms);
  EXPECT_EQ(a.etag, b.etag);
  EXPECT_EQ(a.storage_class, b.storage_class);
  EXPECT_EQ(a.checksum_algorithm, b.checksum_algorithm);
  EXPECT_EQ(a.checksum_type, b.checksum_type);
  EXPECT_EQ(a.checksum, b.checksum);
  EXPECT_EQ(a.headers, b.headers);
  EXPECT_EQ(a.user_metadata, b.user_metadata);
  EXPECT_EQ(a.tags, b.tags);
  EXPECT_EQ(a.upload_id, b.upload_id);
}

TEST(VersionRecord, KeepsEveryField) {
  const VersionRecord record = full_record();
  const auto back = decode_version_record(as_bytes(encode(record)));
  ASSERT_TRUE(back) << back.error().detail;
  expect_equal(record, *back);
}

TEST(VersionRecord, KeepsTheThreeFormsOfExpectAndEveryKind) {
  for (const VersionId expect : {kNoVersion, kAnyVersion, VersionId{1, 0}, VersionId{0, 1}}) {
    for (const RecordKind kind : {RecordKind::object, RecordKind::tombstone, RecordKind::delete_marker,
                                  RecordKind::upload, RecordKind::part}) {
      VersionRecord record;
      record.expect = expect;
      record.kind = kind;
      record.inline_data = true;
      const auto back = decode_version_record(as_bytes(encode(record)));
      ASSERT_TRUE(back);
      expect_equal(record, *back);
    }
  }
}

TEST(VersionRecord, TheSameRecordGivesTheSameBytes) {
  EXPECT_EQ(encode(full_record()), encode(full_record()));
}

TEST(VersionRecord, TheLargestRecordFits) {
  VersionRecord record = full_record();
  PartRecord part = record.parts[0];
  part.size = kMaxPartBytes;
  part.checksum = std::string(64, 'c');
  record.size = kMaxObjectBytes;
  record.parts.assign(kMaxParts, part);
  const std::string bytes = encode(record);
  EXPECT_LT(bytes.size(), kMaxRecordBytes);
  EXPECT_TRUE(decode_version_record(as_bytes(bytes)));
}

TEST(VersionRecord, NewerFormatsAreRefusedByName) {
  std::string bytes = encode(full_record());
  ASSERT_EQ(bytes.substr(0, 2), "\x08\x01");  // field 1: the format
  bytes[1] = 2;
  const auto answer = decode_version_record(as_bytes(bytes));
  ASSERT_TRUE(answer.failed_with(Errc::unsupported_version));
  EXPECT_NE(answer.error().detail.find("format 2"), std::string::npos);
}

TEST(VersionRecord, TheGistIsThatOfTheWhole) {
  const std::string whole = encode(full_record());
  const auto gist = decode_record_gist(whole);
  ASSERT_TRUE(gist) << gist.error().detail;
  EXPECT_EQ(gist->kind, full_record().kind);
  EXPECT_EQ(gist->size, full_record().size);
  VersionRecord empty;
  empty.kind = RecordKind::tombstone;
  const auto of_empty = decode_record_gist(encode(empty));
  ASSERT_TRUE(of_empty);
  EXPECT_EQ(of_empty->kind, RecordKind::tombstone);
  EXPECT_EQ(of_empty->size, 0U);
  for (std::size_t bytes = 0; bytes < 20; ++bytes)
    EXPECT_TRUE(decode_record_gist(whole.substr(0, bytes)).failed_with(Errc::corrupt)) << bytes;
  EXPECT_TRUE(decode_record_gist("not a protobuf at all").failed_with(Errc::corrupt));
}

TEST(VersionRecord, NonsenseIsCorrupt) {
  EXPECT_TRUE(decode_version_record({}).failed_with(Errc::corrupt));
  EXPECT_TRUE(decode_version_record(as_bytes("not a protobuf at all")).failed_with(Errc::corrupt));
  const auto refuses = [](auto change) {
    VersionRecord record = full_record();
    change(record);
    return decode_version_record(as_bytes(encode(record))).failed_with(Errc::corrupt);
  };
  EXPECT_TRUE(refuses([](VersionRecord& r) { r.data_shards = 0; }));
  EXPECT_TRUE(refuses([](VersionRecord& r) { r.data_shards = 17; }));
  EXPECT_TRUE(refuses([](VersionRecord& r) { r.parity_shards = 7; }));
  EXPECT_TRUE(refuses([](VersionRecord& r) { r.write_quorum = 0; }));
  EXPECT_TRUE(refuses([](VersionRecord& r) { r.write_quorum = 9; }));
  EXPECT_TRUE(refuses([](VersionRecord& r) { r.size = kMaxObjectBytes + 1; }));
  EXPECT_TRUE(refuses([](VersionRecord& r) { r.kind = static_cast<RecordKind>(9); }));
  EXPECT_TRUE(refuses([](VersionRecord& r) { r.parts[0].number = kMaxParts + 1; }));
  EXPECT_TRUE(refuses([](VersionRecord& r) { r.checksum_algorithm = static_cast<ChecksumAlgorithm>(99); }));
}

}  // namespace
}  // namespace ostraka::disk
