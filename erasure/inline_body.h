// Small bodies whose shards lie in the index: one stripe, encoded and put together in memory.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "erasure/codec.h"
#include "runtime/buffer_pool.h"

namespace ostraka::erasure {

// n slices of one buffer. data must not be empty.
std::vector<Slice> encode_inline_shards(const Codec& codec, ByteSpan data);
// Bytes [range.begin, range.end) of a body of `size` bytes. shards: in shard order; those that are empty are
// missing. Errors: unavailable (fewer than k are there).
Result<Slice> assemble_inline(const Codec& codec, std::uint64_t size, const std::vector<std::string>& shards,
                              ByteRange range);
// One missing shard. Errors: unavailable.
Result<Slice> rebuild_inline_shard(const Codec& codec, std::uint64_t size,
                                   const std::vector<std::string>& shards, unsigned shard);
// Whether a record's inline body can be what it says; drives are not trusted with sizes.
bool plausible_inline_size(std::uint64_t size) noexcept;

}  // namespace ostraka::erasure
