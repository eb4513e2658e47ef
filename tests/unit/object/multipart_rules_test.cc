#include "object/multipart_rules.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/hash.h"
#include "object/limits.h"

namespace ostraka::object {
namespace {

std::string sum(ChecksumAlgorithm algorithm, std::string_view text) {
  const auto checksum = make_checksum(algorithm);
  checksum->update(as_bytes(text));
  return checksum->finish();
}

// Parts whose contents are known; all but the last claim to be as large as parts must be.
struct Upload {
  explicit Upload(ChecksumAlgorithm algorithm, std::optional<ChecksumType> type = {}) {
    record.checksum_algorithm = algorithm;
    record.checksum_type = *resolve_checksum_type(algorithm, type);
    for (std::uint32_t n : {1U, 2U, 7U}) {
      const std::string text = content(n);
      disk::PartRecord part;
      part.number = n;
      part.size = text.size();
      part.md5 = digest(DigestKind::md5, text);
      part.checksum = sum(effective_algorithm(record), text);
      parts.push_back(part);
      CompletePart wanted;
      wanted.number = n;
      wanted.etag = hex(part.md5);
      spec.parts.push_back(wanted);
    }
  }
  static std::string content(std::uint32_t n) {
    return std::string(n == 7 ? 10 : kMinPartBytes, static_cast<char>('a' + n));
  }
  Result<disk::VersionRecord> complete() const { return assemble(spec, record, parts); }
  disk::VersionRecord record;
  std::vector<disk::PartRecord> parts;
  CompleteSpec spec;
};

TEST(MultipartRules, ETagIsTheDigestOfTheDigests) {
  const Upload upload(ChecksumAlgorithm::none);
  const auto done = upload.complete();
  ASSERT_TRUE(done.has_value());
  std::string md5s;
  for (const auto& part : upload.parts) md5s += part.md5;
  EXPECT_EQ(done->etag, hex(digest(DigestKind::md5, md5s)) + "-3");
  EXPECT_EQ(done->size, 2 * kMinPartBytes + 10);
  EXPECT_EQ(done->parts.size(), 3U);
}

TEST(MultipartRules, FullObjectChecksumsCombine) {
  const std::string whole = Upload::content(1) + Upload::content(2) + Upload::content(7);
  for (const auto algorithm : {ChecksumAlgorithm::none, ChecksumAlgorithm::crc64nvme,
                               ChecksumAlgorithm::crc32, ChecksumAlgorithm::crc32c}) {
    Upload upload(algorithm, ChecksumType::full_object);
    const auto done = upload.complete();
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(done->checksum_type, ChecksumType::full_object);
    EXPECT_EQ(done->checksum, sum(effective_algorithm(upload.record), whole)) << to_string(algorithm);
    upload.spec.checksum = done->checksum;
    EXPECT_TRUE(upload.complete().has_value());
    (*upload.spec.checksum)[0] ^= 1;
    EXPECT_TRUE(upload.complete().failed_with(Errc::bad_digest));
  }
}

TEST(MultipartRules, CompositeChecksumsAreOfTheChecksums) {
  for (const auto algorithm :
       {ChecksumAlgorithm::crc32, ChecksumAlgorithm::sha1, ChecksumAlgorithm::sha256}) {
    const Upload upload(algorithm);
    const auto done = upload.complete();
    ASSERT_TRUE(done.has_value());
    std::string sums;
    for (const auto& part : upload.parts) sums += part.checksum;
    EXPECT_EQ(done->checksum_type, ChecksumType::composite);
    EXPECT_EQ(done->checksum, sum(algorithm, sums));
  }
}

TEST(MultipartRules, ChecksumTypes) {
  using enum ChecksumAlgorithm;
  EXPECT_EQ(*resolve_checksum_type(none, {}), ChecksumType::full_object);
  EXPECT_EQ(*resolve_checksum_type(crc64nvme, {}), ChecksumType::full_object);
  EXPECT_EQ(*resolve_checksum_type(crc32, {}), ChecksumType::composite);
  EXPECT_EQ(*resolve_checksum_type(sha256, {}), ChecksumType::composite);
  EXPECT_EQ(*resolve_checksum_type(crc32c, ChecksumType::full_object), ChecksumType::full_object);
  EXPECT_TRUE(resolve_checksum_type(sha1, ChecksumType::full_object).failed_with(Errc::invalid_argument));
  EXPECT_TRUE(resolve_checksum_type(crc64nvme, ChecksumType::composite).failed_with(Errc::invalid_argument));
}

TEST(MultipartRules, OrderPartsAndSizes) {
  Upload upload(ChecksumAlgorithm::crc32);
  std::swap(upload.spec.parts[0], upload.spec.parts[1]);
  EXPECT_TRUE(upload.complete().failed_with(Errc::invalid_part_order));
  upload = Upload(ChecksumAlgorithm::crc32);
  upload.spec.parts[1] = upload.spec.parts[0];
  EXPECT_TRUE(upload.complete().failed_with(Errc::invalid_part_order));
  upload = Upload(ChecksumAlgorithm::crc32);
  upload.spec.parts[1].number = 3;
  EXPECT_TRUE(upload.complete().failed_with(Errc::invalid_part));
  upload = Upload(ChecksumAlgorithm::crc32);
  upload.spec.parts[1].etag = upload.spec.parts[0].etag;
  EXPECT_TRUE(upload.complete().failed_with(Errc::invalid_part));
  upload = Upload(ChecksumAlgorithm::crc32);
  upload.spec.parts[1].algorithm = ChecksumAlgorithm::crc32;
  upload.spec.parts[1].checksum = upload.parts[1].checksum;
  EXPECT_TRUE(upload.complete().has_value());
  upload.spec.parts[1].checksum = upload.parts[0].checksum;
  EXPECT_TRUE(upload.complete().failed_with(Errc::invalid_part));
  upload = Upload(ChecksumAlgorithm::crc32);
  upload.parts[0].size = kMinPartBytes - 1;
  EXPECT_TRUE(upload.complete().failed_with(Errc::part_too_small));
  upload = Upload(ChecksumAlgorithm::crc32);
  upload.spec.parts.erase(upload.spec.parts.begin(), upload.spec.parts.end() - 1);
  EXPECT_TRUE(upload.complete().has_value());  // a single part may be small, and others may be left out
  upload.spec.parts.clear();
  EXPECT_TRUE(upload.complete().failed_with(Errc::invalid_argument));
  upload = Upload(ChecksumAlgorithm::crc32);
  upload.spec.object_size = 2 * kMinPartBytes + 10;
  EXPECT_TRUE(upload.complete().has_value());
  upload.spec.object_size = 1;
  EXPECT_TRUE(upload.complete().failed_with(Errc::invalid_argument));
  upload = Upload(ChecksumAlgorithm::crc32);
  upload.parts[0].size = kMaxObjectBytes;
  EXPECT_TRUE(upload.complete().failed_with(Errc::too_large));
}

TEST(MultipartRules, Names) {
  SystemRandom random;
  const std::string a = make_upload_id(VersionId{1, 1}, random);
  const std::string b = make_upload_id(VersionId{2, 1}, random);
  EXPECT_LT(a, b);
  EXPECT_NE(make_upload_id(VersionId{1, 1}, random), a);
  EXPECT_TRUE(is_upload_id(a));
  EXPECT_EQ(a.size(), kUploadIdBytes);
  for (const std::string& bad : {std::string(), a + "0", a.substr(1), std::string(kUploadIdBytes, 'x'),
                                 std::string(kUploadIdBytes, '/')})
    EXPECT_FALSE(is_upload_id(bad));
  for (const std::uint32_t n : {1U, 2U, 255U, 256U, 10000U}) EXPECT_EQ(part_number_of(a, part_sub(a, n)), n);
  EXPECT_LT(part_sub(a, 255), part_sub(a, 256));
  EXPECT_EQ(part_number_of(b, part_sub(a, 1)), std::nullopt);
  EXPECT_EQ(part_number_of(a, a), std::nullopt);
}

}  // namespace
}  // namespace ostraka::object
