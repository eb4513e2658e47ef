#include "disk/row_key.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/limits.h"

namespace ostraka::disk {
namespace {

using namespace std::string_literals;

TEST(RowKey, BytesAreAsDocumented) {
  EXPECT_EQ(row_key(BucketId{0x0102030405060708}, KeySpace::part, "a\0b"s, "sub"),
            "\x01\x02\x03\x04\x05\x06\x07\x08"s + "p" + "a\0\xff"s + "b\0\x01"s + "sub");
  EXPECT_EQ(inline_key("k", VersionId{1, 2}), "k\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xfd");
  EXPECT_EQ(part_sub("up", 258), "up\x01\x02");
}

TEST(RowKey, OrderIsThatOfTheKeysWhateverBytesTheyHave) {
  std::vector<std::string> keys = {"",     "\0"s,    "\0\0"s,    "\0\x01"s,  "\0\xff"s, "\x01", "a",
                                   "a\0"s, "a\0\0"s, "a\0b"s,    "a\x01",    "a/",      "a/b",  "a0",
                                   "ab",   "b",      "\xc3\xa9", "\xff\xff", "\xff"};
  std::sort(keys.begin(), keys.end());
  for (std::size_t i = 1; i < keys.size(); ++i) {
    const std::string before = row_key(BucketId{1}, KeySpace::object, keys[i - 1], "");
    const std::string after = row_key(BucketId{1}, KeySpace::object, keys[i], "");
    EXPECT_LT(before, after) << i;
    EXPECT_LT(row_key(BucketId{1}, KeySpace::part, keys[i - 1], "\xff\xff\xff"),
              row_key(BucketId{1}, KeySpace::part, keys[i], ""))
        << "subs stay with their key: " << i;
  }
}

TEST(RowKey, SplitGivesBackKeyAndSub) {
  for (const std::string& key : {""s, "a"s, "a\0b\0"s, "\0\0"s, "x/y"s}) {
    for (const std::string& sub : {""s, "sub"s, "\0\x01\xff"s}) {
      std::string back;
      const std::string whole = row_key(BucketId{7}, KeySpace::upload, key, sub);
      const auto rest = split_row_key(whole, back);
      ASSERT_TRUE(rest);
      EXPECT_EQ(back, key);
      EXPECT_EQ(*rest, sub);
    }
  }
}

TEST(RowKey, SplitRefusesWhatIsNoRowKey) {
  const std::string head = "12345678o";
  for (const std::string& bad :
       {""s, head, head + "abc", head + "abc\0"s, head + "a\0\x02"s, head + "a\0\0"s}) {
    std::string key;
    EXPECT_FALSE(split_row_key(bad, key));
  }
}

TEST(RowKey, PrefixBoundsHoldExactlyTheKeysUnderIt) {
  const std::string low = row_key_prefix(BucketId{1}, KeySpace::object, "a/");
  const std::string high = after_prefix(low);
  const auto inside = [&](const std::string& key) {
    const std::string row = row_key(BucketId{1}, KeySpace::object, key, "");
    return row >= low && row < high;
  };
  EXPECT_TRUE(inside("a/"));
  EXPECT_TRUE(inside("a/\xff\xff"));
  EXPECT_FALSE(inside("a"));
  EXPECT_FALSE(inside("a0"));
  EXPECT_EQ(after_prefix("a\xff\xff"), "b");
  EXPECT_EQ(after_prefix("\xff"), "");
  EXPECT_EQ(after_prefix(""), "");
}

TEST(StripeLayout, BlocksCoverTheBodyInEveryGeometry) {
  for (unsigned k = 1; k <= kMaxDataShards; ++k) {
    for (const std::uint64_t bytes :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{64}, std::uint64_t{kStripeBytes - 1},
          std::uint64_t{kStripeBytes}, std::uint64_t{kStripeBytes + 1}, 5 * kStripeBytes + 4097}) {
      const StripeLayout layout{.data_shards = static_cast<std::uint8_t>(k), .part_bytes = bytes};
      std::uint64_t seen = 0, offset = 0;
      for (std::uint64_t s = 0; s < layout.stripes(); ++s) {
        EXPECT_EQ(layout.block_offset(s), offset);
        EXPECT_GE(std::uint64_t{layout.block_bytes(s)} * k, layout.stripe_bytes(s));
        EXPECT_LT(std::uint64_t{layout.block_bytes(s)}, layout.stripe_bytes(s) / k + 4097);
        EXPECT_EQ(layout.block_bytes(s) % 64, 0U);
        if (layout.stripe_bytes(s) == kStripeBytes) {
          EXPECT_EQ(layout.block_bytes(s) % 4096, 0U);
        }
        seen += layout.stripe_bytes(s);
        offset += layout.block_bytes(s);
      }
      EXPECT_EQ(seen, bytes);
      EXPECT_EQ(layout.stripe_bytes(layout.stripes()), 0U);
    }
  }
  EXPECT_EQ(shard_block_bytes(0, 4), 0U);
}

}  // namespace
}  // namespace ostraka::disk
