#include "erasure/inline_body.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "base/limits.h"
#include "disk/drive.h"

namespace ostraka::erasure {
namespace {

// The shards side by side in one buffer, those in `present` filled.
struct Laid {
  Buffer slab;
  std::size_t block = 0;
  std::vector<MutableByteSpan> spans;
  std::array<bool, kMaxSetDrives> present{};
  std::span<const bool> given() const noexcept { return {present.data(), spans.size()}; }
};

Laid lay_out(const Geometry& geometry, std::uint64_t size, const std::vector<std::string>& shards) {
  Laid laid;
  laid.block = disk::shard_block_bytes(size, geometry.data_shards);
  laid.slab = Buffer::on_heap(laid.block * geometry.drives());
  for (unsigned i = 0; i < geometry.drives(); ++i) {
    laid.spans.push_back(laid.slab.span().subspan(i * laid.block, laid.block));
    if (i >= shards.size() || shards[i].size() != laid.block) continue;
    std::memcpy(laid.spans[i].data(), shards[i].data(), laid.block);
    laid.present[i] = true;
  }
  return laid;
}

}  // namespace

bool plausible_inline_size(std::uint64_t size) noexcept {
  return size <= kMaxInlineBytes;
}

std::vector<Slice> encode_inline_shards(const Codec& codec, ByteSpan data) {
  CHECK(!data.empty() && data.size() <= kMaxInlineBytes);
  const Geometry geometry = codec.geometry();
  const unsigned k = geometry.data_shards;
  const std::size_t block = disk::shard_block_bytes(data.size(), k);
  const Buffer slab = Buffer::on_heap(block * geometry.drives());
  std::memcpy(slab.data(), data.data(), data.size());
  std::memset(slab.data() + data.size(), 0, block * k - data.size());
  std::vector<ByteSpan> whole;
  std::vector<MutableByteSpan> parity;
  std::vector<Slice> out;
  for (unsigned i = 0; i < geometry.drives(); ++i) {
    const MutableByteSpan shard = slab.span().subspan(i * block, block);
    if (i < k) {
      whole.push_back(shard);
    } else {
      parity.push_back(shard);
    }
    out.push_back(Slice{slab, shard});
  }
  codec.encode(whole, parity);
  return out;
}

Result<Slice> assemble_inline(const Codec& codec, std::uint64_t size, const std::vector<std::string>& shards,
                              ByteRange range) {
  const Geometry geometry = codec.geometry();
  const unsigned k = geometry.data_shards;
  const std::size_t block = disk::shard_block_bytes(size, k);
  CHECK(range.begin < range.end && range.end <= size && size <= kMaxInlineBytes);
  const auto first = static_cast<unsigned>(range.begin / block);
  const auto last = static_cast<unsigned>((range.end - 1) / block);
  bool whole = true;
  for (unsigned i = first; i <= last; ++i) whole = whole && i < shards.size() && shards[i].size() == block;
  if (!whole) {
    Laid laid = lay_out(geometry, size, shards);
    std::vector<std::uint8_t> missing;
    for (unsigned i = first; i <= last; ++i)
      if (!laid.present[i]) missing.push_back(static_cast<std::uint8_t>(i));
    TRY_VOID(codec.reconstruct(laid.spans, laid.given(), missing));
    const ByteSpan bytes = laid.slab.span().subspan(range.begin, range.size());
    return Slice{laid.slab, bytes};
  }
  const Buffer out = Buffer::on_heap(range.size());
  for (unsigned i = first; i <= last; ++i) {
    const std::uint64_t shard_begin = std::uint64_t{i} * block;
    const std::uint64_t begin = std::max(range.begin, shard_begin);
    const std::uint64_t end = std::min(range.end, shard_begin + block);
    std::memcpy(out.data() + (begin - range.begin), shards[i].data() + (begin - shard_begin), end - begin);
  }
  return Slice{out, out.span()};
}

Result<Slice> rebuild_inline_shard(const Codec& codec, std::uint64_t size,
                                   const std::vector<std::string>& shards, unsigned shard) {
  const unsigned n = codec.geometry().drives();
  const Buffer out = Buffer::on_heap(disk::shard_block_bytes(size, codec.geometry().data_shards));
  std::array<MutableByteSpan, kMaxSetDrives> spans;
  spans.fill(out.span());  // of the missing ones only the wanted is written to
  std::array<bool, kMaxSetDrives> present{};
  for (unsigned i = 0; i < std::min<std::size_t>(n, shards.size()); ++i) {
    if (shards[i].size() != out.size()) continue;
    // those that are present are only read
    auto* bytes = const_cast<char*>(shards[i].data());  // NOLINT(cppcoreguidelines-pro-type-const-cast)
    spans[i] = MutableByteSpan(reinterpret_cast<std::uint8_t*>(bytes), shards[i].size());
    present[i] = true;
  }
  if (present[shard]) {
    std::memcpy(out.data(), spans[shard].data(), out.size());
  } else {
    const std::uint8_t wanted[] = {static_cast<std::uint8_t>(shard)};
    TRY_VOID(codec.reconstruct(std::span(spans).first(n), std::span(present).first(n), wanted));
  }
  return Slice{out, out.span()};
}

}  // namespace ostraka::erasure
