#include "disk/inline_value.h"

#include <array>

#include "base/hash.h"
#include "disk/wire.h"

namespace ostraka::disk {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kTrailerBytes = 1 + 12 + 16;

// Covers format and version id through its seed material: shard hash, then format and id.
Hash128 proof(const Hash128& shard, std::string_view head) {
  std::string text;
  text.reserve(16 + head.size());
  put_int(text, shard.low);
  put_int(text, shard.high);
  text.append(head);
  return xxh3_128(as_bytes(text));
}

}  // namespace

void put_inline(IndexBatch& batch, std::string_view key, VersionId id, ByteSpan shard) {
  std::string trailer;
  put_int(trailer, kVersion);
  put_version_id(trailer, id);
  const Hash128 hash = proof(xxh3_128(shard), trailer);
  put_int(trailer, hash.low);
  put_int(trailer, hash.high);
  const std::array<std::string_view, 2> parts{as_text(shard), trailer};
  batch.put(Column::inline_data, key, parts);
}

Result<> check_inline(std::string& value, VersionId id) {
  if (value.size() < kTrailerBytes) return fail(Errc::corrupt, "inline shard: too short");
  const std::string_view trailer = std::string_view(value).substr(value.size() - kTrailerBytes);
  WireReader in(trailer);
  const auto version = in.take_int<std::uint8_t>();
  const VersionId stored = in.take_version_id();
  Hash128 hash;
  hash.low = in.take_int<std::uint64_t>();
  hash.high = in.take_int<std::uint64_t>();
  const ByteSpan shard = as_bytes(value).first(value.size() - kTrailerBytes);
  if (proof(xxh3_128(shard), trailer.substr(0, 13)) != hash)
    return fail(Errc::corrupt, "inline shard: checksum mismatch");
  if (version > kVersion) return fail(Errc::unsupported_version, "inline shard of a newer release");
  if (stored != id) return fail(Errc::corrupt, "inline shard of another version");
  value.resize(shard.size());
  return {};
}

}  // namespace ostraka::disk
