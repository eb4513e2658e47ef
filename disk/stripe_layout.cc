#include <algorithm>

#include "base/limits.h"
#include "disk/drive.h"

namespace ostraka::disk {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kSimd = 64;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

ShardRef shard_ref(const PartRecord& part, std::uint8_t data_shards, std::uint8_t parity_shards,
                   unsigned shard_index) noexcept {
  ShardRef ref;
  ref.data = part.data;
  ref.shard_index = static_cast<std::uint8_t>(shard_index);
  ref.part_bytes = part.size;
  ref.data_shards = data_shards;
  ref.parity_shards = parity_shards;
  return ref;
}

std::uint32_t shard_block_bytes(std::uint64_t stripe_bytes, unsigned data_shards) noexcept {
  const std::uint64_t share = (stripe_bytes + data_shards - 1) / data_shards;
  return static_cast<std::uint32_t>(round_up(share, stripe_bytes == kStripeBytes ? kPage : kSimd));
}

std::uint64_t StripeLayout::stripes() const noexcept {
  return part_bytes / kStripeBytes + (part_bytes % kStripeBytes == 0 ? 0 : 1);
}

std::uint64_t StripeLayout::stripe_bytes(std::uint64_t stripe) const noexcept {
  const std::uint64_t begin = stripe * kStripeBytes;
  return begin >= part_bytes ? 0 : std::min<std::uint64_t>(kStripeBytes, part_bytes - begin);
}

std::uint32_t StripeLayout::block_bytes(std::uint64_t stripe) const noexcept {
  return shard_block_bytes(stripe_bytes(stripe), data_shards);
}

std::uint64_t StripeLayout::block_offset(std::uint64_t stripe) const noexcept {
  return stripe * shard_block_bytes(kStripeBytes, data_shards);
}

}  // namespace ostraka::disk
