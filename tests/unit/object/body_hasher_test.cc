#include "object/body_hasher.h"

#include <gtest/gtest.h>

#include "base/hash.h"

namespace ostraka::object {
namespace {

constexpr ChecksumAlgorithm kAll[] = {ChecksumAlgorithm::crc32,     ChecksumAlgorithm::crc32c,
                                      ChecksumAlgorithm::crc64nvme, ChecksumAlgorithm::sha1,
                                      ChecksumAlgorithm::sha256,    ChecksumAlgorithm::md5,
                                      ChecksumAlgorithm::sha512,    ChecksumAlgorithm::xxhash64,
                                      ChecksumAlgorithm::xxhash3,   ChecksumAlgorithm::xxhash128};

std::string sum(ChecksumAlgorithm algorithm, std::string_view text) {
  const auto checksum = make_checksum(algorithm);
  checksum->update(as_bytes(text));
  return checksum->finish();
}

Task<> update(BodyHasher* hasher, Shard* shard, std::string_view text) {
  for (std::size_t at = 0; at < text.size(); at += 7) {
    const ByteSpan slice = as_bytes(text.substr(at, 7));
    co_await hasher->update(*shard, slice);
  }
}

Result<BodyDigests> hash(const BodyExpectations& expect, ChecksumAlgorithm stored, std::string_view text,
                         const std::optional<std::string>& trailer = {}) {
  SystemClock clock;
  Shard shard(0, clock, ShardSpec{4096, 1, 0});
  BodyHasher hasher(expect, stored);
  run_to_end(shard, update(&hasher, &shard, text));
  return hasher.finish(trailer);
}

const std::string kText = "the quick brown fox jumps over the lazy dog";

TEST(BodyHasher, StoresOneAlgorithmAndVerifiesAnother) {
  for (const auto stored : kAll) {
    for (const auto claimed : kAll) {
      BodyExpectations expect;
      expect.size = kText.size();
      expect.algorithm = claimed;
      expect.checksum = sum(claimed, kText);
      expect.sha256 = digest(DigestKind::sha256, kText);
      expect.md5 = digest(DigestKind::md5, kText);
      const auto good = hash(expect, stored, kText);
      ASSERT_TRUE(good.has_value()) << to_string(stored) << " " << to_string(claimed);
      EXPECT_EQ(good->md5, digest(DigestKind::md5, kText));
      EXPECT_EQ(good->checksum, sum(stored, kText));
      (*expect.checksum)[0] ^= 1;
      EXPECT_TRUE(hash(expect, stored, kText).failed_with(Errc::bad_digest));
    }
  }
}

TEST(BodyHasher, EachClaimIsVerified) {
  BodyExpectations expect;
  expect.sha256 = digest(DigestKind::sha256, "other");
  EXPECT_TRUE(hash(expect, ChecksumAlgorithm::crc32, kText).failed_with(Errc::payload_hash_mismatch));
  expect = {};
  expect.md5 = digest(DigestKind::md5, "other");
  EXPECT_TRUE(hash(expect, ChecksumAlgorithm::crc32, kText).failed_with(Errc::bad_digest));
}

TEST(BodyHasher, TrailersAreVerified) {
  BodyExpectations expect;
  expect.algorithm = ChecksumAlgorithm::crc32c;
  expect.trailer_checksum = [] { return std::optional<std::string>(); };
  EXPECT_TRUE(
      hash(expect, ChecksumAlgorithm::sha1, kText, sum(ChecksumAlgorithm::crc32c, kText)).has_value());
  EXPECT_TRUE(hash(expect, ChecksumAlgorithm::sha1, kText, sum(ChecksumAlgorithm::crc32c, "x"))
                  .failed_with(Errc::bad_digest));
}

TEST(BodyHasher, EmptyBody) {
  const auto empty = hash({}, ChecksumAlgorithm::crc64nvme, "");
  ASSERT_TRUE(empty.has_value());
  EXPECT_EQ(empty->md5, digest(DigestKind::md5, ""));
  EXPECT_EQ(empty->checksum, sum(ChecksumAlgorithm::crc64nvme, ""));
}

}  // namespace
}  // namespace ostraka::object
