#include "disk/shard_file.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace ostraka::disk {
namespace {

ShardFooter sample(std::size_t blocks) {
  ShardFooter footer;
  footer.data.bytes.fill(0xab);
  footer.shard_index = 5;
  footer.data_shards = 4;
  footer.parity_shards = 2;
  footer.block_bytes = shard_block_bytes(kStripeBytes, 4);
  footer.last_block_bytes = blocks == 0 ? 0 : shard_block_bytes(1000, 4);
  for (std::size_t i = 0; i < blocks; ++i) footer.blocks.push_back({i, ~i});
  return footer;
}

ShardRef ref_of(const ShardFooter& footer) {
  ShardRef ref;
  ref.data = footer.data;
  ref.shard_index = footer.shard_index;
  ref.data_shards = footer.data_shards;
  ref.parity_shards = footer.parity_shards;
  ref.part_bytes = footer.blocks.empty() ? 0 : (footer.blocks.size() - 1) * kStripeBytes + 1000;
  return ref;
}

TEST(ShardFile, FooterComesBackWhole) {
  for (const std::size_t blocks : {0U, 1U, 2U, 5120U}) {
    const ShardFooter footer = sample(blocks);
    const std::string tail = encode_shard_tail(footer);
    EXPECT_EQ(tail.size(), shard_tail_bytes(blocks));
    const std::uint64_t file_bytes = footer.data_bytes() + tail.size();
    std::string more = tail;  // more than the tail may be passed
    more.insert(0, 100, 'x');
    const ByteSpan given = blocks == 0 ? as_bytes(tail) : as_bytes(more);
    const auto back = decode_shard_tail(given, file_bytes);
    ASSERT_TRUE(back) << back.error().detail;
    EXPECT_EQ(back->blocks, footer.blocks);
    EXPECT_EQ(back->data, footer.data);
    EXPECT_EQ(back->data_bytes(), footer.data_bytes());
    EXPECT_TRUE(check_shard(*back, ref_of(footer)));
    const auto length = shard_tail_length(as_bytes(tail).last(kShardTrailerBytes), file_bytes);
    ASSERT_TRUE(length);
    EXPECT_EQ(*length, tail.size());
  }
}

TEST(ShardFile, EveryFlippedBitAndEveryOtherLengthIsCorrupt) {
  const ShardFooter footer = sample(3);
  const std::string tail = encode_shard_tail(footer);
  const std::uint64_t file_bytes = footer.data_bytes() + tail.size();
  for (std::size_t i = 0; i < tail.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = tail;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      EXPECT_TRUE(decode_shard_tail(as_bytes(bad), file_bytes).failed_with(Errc::corrupt)) << i << "." << bit;
    }
    EXPECT_TRUE(decode_shard_tail(as_bytes(tail).first(i), file_bytes).failed_with(Errc::corrupt)) << i;
    EXPECT_TRUE(decode_shard_tail(as_bytes(tail).last(i), file_bytes).failed_with(Errc::corrupt)) << i;
  }
  EXPECT_TRUE(decode_shard_tail(as_bytes(tail), file_bytes - 1).failed_with(Errc::corrupt));
  EXPECT_TRUE(decode_shard_tail(as_bytes(tail), file_bytes + 1).failed_with(Errc::corrupt));
}

TEST(ShardFile, AnotherShardIsNotTakenForThisOne) {
  const ShardFooter footer = sample(3);
  const auto refuses = [&](auto change) {
    ShardRef ref = ref_of(footer);
    change(ref);
    return check_shard(footer, ref).failed_with(Errc::corrupt);
  };
  EXPECT_FALSE(refuses([](ShardRef&) {}));
  EXPECT_TRUE(refuses([](ShardRef& r) { r.data.bytes[15] = 0; }));
  EXPECT_TRUE(refuses([](ShardRef& r) { r.shard_index = 4; }));
  EXPECT_TRUE(refuses([](ShardRef& r) { r.data_shards = 3; }));
  EXPECT_TRUE(refuses([](ShardRef& r) { r.parity_shards = 1; }));
  EXPECT_TRUE(refuses([](ShardRef& r) { r.part_bytes += kStripeBytes; }));
  EXPECT_TRUE(refuses([](ShardRef& r) { r.part_bytes += 300; }));
}

}  // namespace
}  // namespace ostraka::disk
