#include "base/checksum.h"

#include <gtest/gtest.h>

#include <random>

#include "base/encoding.h"

namespace ostraka {
namespace {

constexpr ChecksumAlgorithm kAll[] = {ChecksumAlgorithm::crc32,     ChecksumAlgorithm::crc32c,
                                      ChecksumAlgorithm::crc64nvme, ChecksumAlgorithm::sha1,
                                      ChecksumAlgorithm::sha256,    ChecksumAlgorithm::md5,
                                      ChecksumAlgorithm::sha512,    ChecksumAlgorithm::xxhash64,
                                      ChecksumAlgorithm::xxhash3,   ChecksumAlgorithm::xxhash128};
constexpr ChecksumAlgorithm kCrcs[] = {ChecksumAlgorithm::crc32, ChecksumAlgorithm::crc32c,
                                       ChecksumAlgorithm::crc64nvme};

// One bit at a time, as the definition has it: the oracle of the kernels.
template <class Word>
Word bitwise_crc(Word seed, ByteSpan bytes, Word reversed_poly) {
  Word crc = static_cast<Word>(~seed);
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ reversed_poly : crc >> 1;
  }
  return static_cast<Word>(~crc);
}

std::vector<std::uint8_t> noise(std::size_t size) {
  std::mt19937 random(static_cast<unsigned>(size) + 1);
  std::vector<std::uint8_t> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

std::string checksum_of(ChecksumAlgorithm algorithm, ByteSpan bytes) {
  const auto checksum = make_checksum(algorithm);
  checksum->update(bytes);
  return checksum->finish();
}

TEST(Crc, PublishedCheckValues) {
  const ByteSpan digits = as_bytes("123456789");
  EXPECT_EQ(crc32(0, digits), 0xcbf43926U);
  EXPECT_EQ(crc32c(0, digits), 0xe3069283U);
  EXPECT_EQ(crc64nvme(0, digits), 0xae8b14860a799888ULL);
}

TEST(Crc, KernelsAgreeWithTheDefinitionAtEveryLengthAndSplit) {
  const auto bytes = noise(1200);
  for (std::size_t size = 0; size <= bytes.size(); size += size < 300 ? 1 : 37) {
    const ByteSpan all = ByteSpan(bytes).subspan(bytes.size() - size);  // unaligned starts too
    EXPECT_EQ(crc32(0, all), bitwise_crc<std::uint32_t>(0, all, 0xedb88320U)) << size;
    EXPECT_EQ(crc32c(0, all), bitwise_crc<std::uint32_t>(0, all, 0x82f63b78U)) << size;
    EXPECT_EQ(crc64nvme(0, all), bitwise_crc<std::uint64_t>(0, all, 0x9a6c9329ac4bc9b5ULL)) << size;
    const ByteSpan head = all.first(size / 3), tail = all.subspan(size / 3);
    EXPECT_EQ(crc32(crc32(0, head), tail), crc32(0, all)) << size;
    EXPECT_EQ(crc32c(crc32c(0, head), tail), crc32c(0, all)) << size;
    EXPECT_EQ(crc64nvme(crc64nvme(0, head), tail), crc64nvme(0, all)) << size;
  }
}

TEST(Crc, CombinesPartsIntoTheWhole) {
  for (const auto algorithm : kCrcs) {
    for (const std::size_t cut : {0U, 1U, 7U, 128U, 4097U, 10000U}) {
      const auto bytes = noise(10000);
      const ByteSpan a = ByteSpan(bytes).first(cut), b = ByteSpan(bytes).subspan(cut);
      EXPECT_EQ(combine_crc(algorithm, checksum_of(algorithm, a), checksum_of(algorithm, b), b.size()),
                checksum_of(algorithm, bytes))
          << to_string(algorithm) << " " << cut;
    }
  }
}

// 2^61 + 1 zero bytes cannot be fed, but appending n zeros twice must be appending 2n zeros.
TEST(Crc, CombinesHugeLengths) {
  for (const auto algorithm : kCrcs) {
    const std::string start = checksum_of(algorithm, as_bytes("start"));
    const std::string zero_crc(checksum_size(algorithm), '\0');
    const std::uint64_t half = 1ULL << 62;
    const std::string twice =
        combine_crc(algorithm, combine_crc(algorithm, start, zero_crc, half), zero_crc, half);
    EXPECT_EQ(twice, combine_crc(algorithm, start, zero_crc, 2 * half));
  }
}

TEST(Checksum, NamesRoundTrip) {
  for (const auto algorithm : kAll) {
    EXPECT_EQ(parse_checksum_algorithm(to_string(algorithm)), algorithm);
    EXPECT_EQ(parse_checksum_algorithm(to_lower(to_string(algorithm))), algorithm);
    EXPECT_EQ(checksum_of(algorithm, as_bytes("x")).size(), checksum_size(algorithm));
  }
  EXPECT_FALSE(parse_checksum_algorithm(""));
  EXPECT_FALSE(parse_checksum_algorithm("CRC33"));
  EXPECT_EQ(make_checksum(ChecksumAlgorithm::none), nullptr);
}

TEST(Checksum, StreamsAndStartsAnew) {
  const auto bytes = noise(70000);
  for (const auto algorithm : kAll) {
    const auto stream = make_checksum(algorithm);
    for (ByteSpan rest = bytes; !rest.empty(); rest = rest.subspan(std::min<std::size_t>(rest.size(), 997))) {
      stream->update(rest.first(std::min<std::size_t>(rest.size(), 997)));
    }
    EXPECT_EQ(stream->finish(), checksum_of(algorithm, bytes)) << to_string(algorithm);
    EXPECT_EQ(stream->finish(), checksum_of(algorithm, {})) << to_string(algorithm);
  }
}

TEST(Checksum, KnownValuesAsAwsEncodesThem) {
  const ByteSpan digits = as_bytes("123456789");
  EXPECT_EQ(hex(checksum_of(ChecksumAlgorithm::crc32, digits)), "cbf43926");
  EXPECT_EQ(hex(checksum_of(ChecksumAlgorithm::crc32c, digits)), "e3069283");
  EXPECT_EQ(hex(checksum_of(ChecksumAlgorithm::crc64nvme, digits)), "ae8b14860a799888");
  EXPECT_EQ(hex(checksum_of(ChecksumAlgorithm::md5, as_bytes("abc"))), "900150983cd24fb0d6963f7d28e17f72");
  // xxHash's own values for the empty message and seed 0, printed big-endian.
  EXPECT_EQ(hex(checksum_of(ChecksumAlgorithm::xxhash64, {})), "ef46db3751d8e999");
  EXPECT_EQ(hex(checksum_of(ChecksumAlgorithm::xxhash3, {})), "2d06800538d394c2");
  EXPECT_EQ(hex(checksum_of(ChecksumAlgorithm::xxhash128, {})), "99aa06d3014798d86001c324468d497f");
}

}  // namespace
}  // namespace ostraka
