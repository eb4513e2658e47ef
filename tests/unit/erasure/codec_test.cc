// Every geometry against the reference codec: parity, and every shard rebuilt from any k of the others.
#include "erasure/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/limits.h"
#include "tests/unit/erasure/seeded_random.h"

namespace ostraka::erasure {
namespace {

struct Shards {
  std::vector<std::vector<std::uint8_t>> bytes;
  std::vector<MutableByteSpan> spans;
  Shards(unsigned count, std::size_t size) : bytes(count, std::vector<std::uint8_t>(size)) {
    for (auto& shard : bytes) spans.emplace_back(shard);
  }
};

void encode_with(const Codec& codec, Shards& shards) {
  const unsigned k = codec.geometry().data_shards;
  const std::vector<ByteSpan> data(shards.spans.begin(), shards.spans.begin() + k);
  codec.encode(data, std::span(shards.spans).subspan(k));
}

std::vector<std::uint8_t> losses(SeededRandom& random, unsigned drives, unsigned count) {
  std::vector<std::uint8_t> all(drives);
  std::iota(all.begin(), all.end(), std::uint8_t{0});
  for (unsigned i = 0; i < count; ++i) std::swap(all[i], all[i + random.below(drives - i)]);
  all.resize(count);
  return all;
}

TEST(Geometry, QuorumsMeet) {
  for (unsigned k = 1; k <= kMaxDataShards; ++k) {
    for (unsigned m = 0; m <= k; ++m) {
      const auto geometry = make_geometry(k, m);
      ASSERT_TRUE(geometry.has_value());
      EXPECT_GT(geometry->write_quorum() + geometry->read_quorum(), geometry->drives());
      EXPECT_GT(2 * geometry->write_quorum(), geometry->drives());
      EXPECT_GE(geometry->write_quorum(), k);
      EXPECT_LE(geometry->read_quorum(), k);  // whoever reads k shards has asked a read quorum
    }
  }
  EXPECT_EQ(Geometry({4, 2}).write_quorum(), 4U);
  EXPECT_EQ(Geometry({4, 2}).read_quorum(), 3U);
  EXPECT_EQ(Geometry({2, 2}).write_quorum(), 3U);
}

TEST(Geometry, RefusesWhatCannotBe) {
  EXPECT_TRUE(make_geometry(0, 0).failed_with(Errc::invalid_argument));
  EXPECT_TRUE(make_geometry(2, 3).failed_with(Errc::invalid_argument));
  EXPECT_TRUE(make_geometry(17, 1).failed_with(Errc::invalid_argument));
  EXPECT_TRUE(make_geometry(16, 17).failed_with(Errc::invalid_argument));
  EXPECT_EQ(default_parity(1), 0U);
  EXPECT_EQ(default_parity(3), 1U);
  EXPECT_EQ(default_parity(6), 2U);
  EXPECT_EQ(default_parity(8), 4U);
}

TEST(Codec, EveryGeometryAgreesWithTheReference) {
  SeededRandom random(1);
  for (unsigned k = 1; k <= kMaxDataShards; ++k) {
    for (unsigned m = 0; m <= k; ++m) {
      const Geometry geometry = *make_geometry(k, m);
      const auto codec = make_isal_codec(geometry);
      const auto reference = make_reference_codec(geometry);
      ASSERT_EQ(codec->geometry(), geometry);
      const std::size_t size = 64 * (1 + random.below(3));
      Shards whole(k + m, size);
      for (unsigned i = 0; i < k; ++i) random.fill(whole.bytes[i]);
      Shards expected = whole.bytes.empty() ? Shards(0, 0) : Shards(k + m, size);
      for (unsigned i = 0; i < k; ++i)
        std::copy(whole.bytes[i].begin(), whole.bytes[i].end(), expected.bytes[i].begin());
      encode_with(*codec, whole);
      encode_with(*reference, expected);
      ASSERT_EQ(whole.bytes, expected.bytes) << k << "+" << m;

      for (unsigned lost_count = 1; lost_count <= m; lost_count += 1 + m / 4) {
        const auto lost = losses(random, k + m, lost_count);
        for (const Codec* decoder : {codec.get(), reference.get()}) {
          Shards damaged(k + m, size);
          bool present[kMaxSetDrives];
          for (unsigned i = 0; i < k + m; ++i) {
            present[i] = std::find(lost.begin(), lost.end(), i) == lost.end();
            if (present[i]) std::copy(whole.bytes[i].begin(), whole.bytes[i].end(), damaged.bytes[i].begin());
          }
          const std::span<const bool> given(present, k + m);
          ASSERT_TRUE(decoder->reconstruct(damaged.spans, given, lost).has_value());
          ASSERT_EQ(damaged.bytes, whole.bytes) << k << "+" << m << " lost " << lost_count;
        }
      }
    }
  }
}

TEST(Codec, OneLossTooManyIsUnavailable) {
  for (const Geometry geometry : {Geometry{1, 0}, Geometry{1, 1}, Geometry{3, 0}, Geometry{4, 2}}) {
    const auto codec = make_isal_codec(geometry);
    Shards shards(geometry.drives(), 64);
    bool present[kMaxSetDrives] = {};
    for (unsigned i = geometry.parity_shards + 1U; i < geometry.drives(); ++i) present[i] = true;
    const std::uint8_t wanted[] = {0};
    const std::span<const bool> given(present, geometry.drives());
    EXPECT_TRUE(codec->reconstruct(shards.spans, given, wanted).failed_with(Errc::unavailable));
  }
}

TEST(Codec, ManySurvivorSetsStayRightBeyondTheCache) {
  SeededRandom random(7);
  CodecCache cache;
  const auto codec = cache.get({12, 4});
  EXPECT_EQ(codec, cache.get({12, 4}));
  Shards whole(16, 128);
  for (unsigned i = 0; i < 12; ++i) random.fill(whole.bytes[i]);
  encode_with(*codec, whole);
  for (int round = 0; round < 300; ++round) {
    const auto lost = losses(random, 16, 1 + static_cast<unsigned>(random.below(4)));
    Shards damaged(16, 128);
    bool present[16];
    for (unsigned i = 0; i < 16; ++i) {
      present[i] = std::find(lost.begin(), lost.end(), i) == lost.end();
      if (present[i]) std::copy(whole.bytes[i].begin(), whole.bytes[i].end(), damaged.bytes[i].begin());
    }
    ASSERT_TRUE(codec->reconstruct(damaged.spans, present, lost).has_value());
    ASSERT_EQ(damaged.bytes, whole.bytes);
  }
}

}  // namespace
}  // namespace ostraka::erasure
