#include "disk/shard_file.h"

#include <bit>

#include "disk/limits.h"
#include "disk/wire.h"

namespace ostraka::disk {
namespace {

constexpr std::uint64_t kFooterMagic = 0x445241485354534fULL;   // "OSTSHARD"
constexpr std::uint64_t kTrailerMagic = 0x4c4941525454534fULL;  // "OSTTRAIL"
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kFooterHeadBytes = 8 + 2 + 1 + 1 + 1 + 3 + 16 + 4 + 4 + 8;
constexpr std::size_t kHashBytes = 16;

tl::unexpected<Error> corrupt(const char* what) {
  return fail(Errc::corrupt, std::string("shard file: ") + what);
}

std::size_t footer_bytes_for(std::uint64_t blocks) noexcept {
  return kFooterHeadBytes + blocks * kHashBytes;
}

// The hash in the trailer covers the footer and the trailer's own first half.
Hash128 tail_hash(ByteSpan footer_and_half) noexcept {
  return xxh3_128(footer_and_half);
}

}  // namespace

std::uint64_t ShardFooter::data_bytes() const noexcept {
  return blocks.empty() ? 0 : (blocks.size() - 1) * std::uint64_t{block_bytes} + last_block_bytes;
}

std::uint32_t ShardFooter::bytes_of(std::uint64_t block) const noexcept {
  return block + 1 == blocks.size() ? last_block_bytes : block_bytes;
}

std::size_t shard_tail_bytes(std::uint64_t blocks) noexcept {
  return footer_bytes_for(blocks) + kShardTrailerBytes;
}

std::string encode_shard_tail(const ShardFooter& footer) {
  std::string out;
  out.reserve(shard_tail_bytes(footer.blocks.size()));
  put_int(out, kFooterMagic);
  put_int(out, kVersion);
  put_int(out, footer.shard_index);
  put_int(out, footer.data_shards);
  put_int(out, footer.parity_shards);
  out.append(3, '\0');
  out.append(reinterpret_cast<const char*>(footer.data.bytes.data()), footer.data.bytes.size());
  put_int(out, footer.block_bytes);
  put_int(out, footer.last_block_bytes);
  put_int(out, std::uint64_t{footer.blocks.size()});
  for (const Hash128& hash : footer.blocks) {
    put_int(out, hash.low);
    put_int(out, hash.high);
  }
  put_int(out, std::uint64_t{out.size()});
  put_int(out, kTrailerMagic);
  const Hash128 hash = tail_hash(as_bytes(out));
  put_int(out, hash.low);
  put_int(out, hash.high);
  return out;
}

Result<std::size_t> shard_tail_length(ByteSpan trailer, std::uint64_t file_bytes) {
  if (trailer.size() != kShardTrailerBytes) return corrupt("too short");
  WireReader in(as_text(trailer));
  const auto footer_bytes = in.take_int<std::uint64_t>();
  if (in.take_int<std::uint64_t>() != kTrailerMagic) return corrupt("no trailer");
  if (footer_bytes < kFooterHeadBytes || (footer_bytes - kFooterHeadBytes) % kHashBytes != 0 ||
      footer_bytes > footer_bytes_for(kMaxShardBlocks) || footer_bytes + kShardTrailerBytes > file_bytes) {
    return corrupt("footer length");
  }
  return static_cast<std::size_t>(footer_bytes) + kShardTrailerBytes;
}

Result<ShardFooter> decode_shard_tail(ByteSpan tail, std::uint64_t file_bytes) {
  if (tail.size() < kShardTrailerBytes) return corrupt("too short");
  TRY(length, shard_tail_length(tail.last(kShardTrailerBytes), file_bytes));
  if (length > tail.size()) return corrupt("footer cut off");
  const ByteSpan whole = tail.last(length);
  WireReader check(as_text(whole.last(kHashBytes)));
  Hash128 stored;
  stored.low = check.take_int<std::uint64_t>();
  stored.high = check.take_int<std::uint64_t>();
  if (tail_hash(whole.first(length - kHashBytes)) != stored) return corrupt("footer checksum mismatch");

  WireReader in(as_text(whole));
  if (in.take_int<std::uint64_t>() != kFooterMagic) return corrupt("no footer");
  const auto version = in.take_int<std::uint16_t>();
  if (version > kVersion) {
    return fail(Errc::unsupported_version, "shard file of format " + std::to_string(version) +
                                               ": written by a newer release, this one knows up to " +
                                               std::to_string(kVersion));
  }
  if (version == 0) return corrupt("version 0");
  ShardFooter footer;
  footer.shard_index = in.take_int<std::uint8_t>();
  footer.data_shards = in.take_int<std::uint8_t>();
  footer.parity_shards = in.take_int<std::uint8_t>();
  in.take(3);
  const std::string_view id = in.take(footer.data.bytes.size());
  if (!in.ok()) return corrupt("footer cut off");
  std::memcpy(footer.data.bytes.data(), id.data(), id.size());
  footer.block_bytes = in.take_int<std::uint32_t>();
  footer.last_block_bytes = in.take_int<std::uint32_t>();
  const auto blocks = in.take_int<std::uint64_t>();
  if (!in.ok() || blocks > kMaxShardBlocks || length != shard_tail_bytes(blocks))
    return corrupt("number of blocks");
  if (footer.block_bytes > kMaxBlockBytes || footer.last_block_bytes > footer.block_bytes)
    return corrupt("block size");
  if ((blocks == 0) != (footer.last_block_bytes == 0)) return corrupt("size of the last block");
  footer.blocks.reserve(blocks);
  for (std::uint64_t i = 0; i < blocks; ++i) {
    Hash128 hash;
    hash.low = in.take_int<std::uint64_t>();
    hash.high = in.take_int<std::uint64_t>();
    footer.blocks.push_back(hash);
  }
  if (footer.data_bytes() + length != file_bytes) return corrupt("file length");
  return footer;
}

Hash128 fold_digest(Hash128 so_far, Hash128 block) noexcept {
  static_assert(std::endian::native == std::endian::little, "the words are hashed as they lie in memory");
  const std::uint64_t words[] = {so_far.low, so_far.high, block.low, block.high};
  return xxh3_128(ByteSpan(reinterpret_cast<const std::uint8_t*>(words), sizeof words));
}

Result<> check_shard(const ShardFooter& footer, const ShardRef& ref) {
  if (footer.data != ref.data) return corrupt("data id of another body");
  if (footer.shard_index != ref.shard_index) return corrupt("another shard of the body");
  if (footer.data_shards != ref.data_shards || footer.parity_shards != ref.parity_shards) {
    return corrupt("another geometry");
  }
  const StripeLayout layout{.data_shards = ref.data_shards, .part_bytes = ref.part_bytes};
  const std::uint64_t stripes = layout.stripes();
  if (footer.blocks.size() != stripes) return corrupt("another number of blocks");
  if (stripes > 0 && footer.last_block_bytes != layout.block_bytes(stripes - 1)) {
    return corrupt("last block of another size");
  }
  if (stripes > 1 && footer.block_bytes != layout.block_bytes(0)) return corrupt("blocks of another size");
  return {};
}

}  // namespace ostraka::disk
