#include "erasure/heal_queue.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace ostraka::erasure {
namespace {

HealEntry sample() {
  HealEntry entry;
  entry.reason = HealReason::damaged_shard;
  entry.bucket = BucketId{0x1122334455667788};
  entry.space = disk::KeySpace::part;
  entry.key = "a/\xc3\xa9";
  entry.sub = std::string("up\0", 3) + "1";
  entry.version = VersionId{0x0102030405060708, 9};
  entry.group = 513;
  entry.slots = 0x80000001;
  entry.when_ms = 1700000000123;
  return entry;
}

// The bytes are in the queues of drives out there: this must never change.
TEST(HealEntry, Golden) {
  EXPECT_EQ(hex(encode(sample())),
            "01027000887766554433221108070605040302010900000001020100008"
            "07b68e5cf8b0100000400612fc3a9040075700031598ec1f212dce88c");
  EXPECT_EQ(heal_entry_name(sample()), "heal/1122334455667788/p/c866a36290c9d77666023552945fb596");
}

TEST(HealEntry, RoundTrips) {
  const auto back = decode_heal_entry(as_bytes(encode(sample())));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(*back, sample());
}

TEST(HealEntry, EveryFlippedOrMissingByteIsNoticed) {
  const std::string good = encode(sample());
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_FALSE(decode_heal_entry(as_bytes(bad)).has_value()) << at;
    EXPECT_FALSE(decode_heal_entry(as_bytes(good.substr(0, at))).has_value()) << at;
  }
  EXPECT_FALSE(decode_heal_entry(as_bytes(good + "x")).has_value());
  std::string future = good;
  future[0] = 2;
  EXPECT_TRUE(decode_heal_entry(as_bytes(future)).failed_with(Errc::unsupported_version));
}

TEST(HealEntry, OneNameAKey) {
  HealEntry other = sample();
  other.version.time += 1;
  other.slots = 4;
  EXPECT_EQ(heal_entry_name(other), heal_entry_name(sample()));
  other.sub = "2";
  EXPECT_NE(heal_entry_name(other), heal_entry_name(sample()));
}

}  // namespace
}  // namespace ostraka::erasure
