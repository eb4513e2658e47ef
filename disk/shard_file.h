// The format of shard files: blocks, a footer with a hash of each, a trailer to find the footer by. Pure
// functions over bytes. Byte format: disk/FORMAT.md, "Shard file".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/result.h"
#include "disk/drive.h"

namespace ostraka::disk {

struct ShardFooter {
  DataId data;
  std::uint8_t shard_index = 0;
  std::uint8_t data_shards = 1;
  std::uint8_t parity_shards = 0;
  std::uint32_t block_bytes = 0;       // of every block but the last
  std::uint32_t last_block_bytes = 0;  // 0 when there is no block
  std::vector<Hash128> blocks;         // XXH3-128 of each

  std::uint64_t data_bytes() const noexcept;  // of all blocks: where the footer begins
  std::uint32_t bytes_of(std::uint64_t block) const noexcept;
};

inline constexpr std::size_t kShardTrailerBytes = 32;

// Footer and trailer of a file with that many blocks.
std::size_t shard_tail_bytes(std::uint64_t blocks) noexcept;

// What stands after the last block: footer and trailer.
std::string encode_shard_tail(const ShardFooter& footer);

// tail: the last bytes of a file of file_bytes, trailer included; at least the whole footer. corrupt,
// unsupported_version.
Result<ShardFooter> decode_shard_tail(ByteSpan tail, std::uint64_t file_bytes);

// How long footer and trailer are, from the last kShardTrailerBytes bytes of the file. corrupt,
// unsupported_version.
Result<std::size_t> shard_tail_length(ByteSpan trailer, std::uint64_t file_bytes);

// One digest for all blocks of a shard file: from the zero digest, fold the XXH3-128 of each in, in their
// order. It is the XXH3-128 of `so_far` and `block`, each low then high, little-endian.
Hash128 fold_digest(Hash128 so_far, Hash128 block) noexcept;

// corrupt, unless the footer is that of the shard named, block for block.
Result<> check_shard(const ShardFooter& footer, const ShardRef& ref);

}  // namespace ostraka::disk
