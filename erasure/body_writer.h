// The BodyWriter of an erasure set. A slab holds one stripe: data shard i is [i * B, (i + 1) * B) with B =
// disk::shard_block_bytes(bytes, k), the last ones padded with zeros, parity follows. So the body is received
// in place and only parity is computed.
//
// Each drive has a pump: a coroutine that writes its blocks in order, two stripes a call. A drive that fails
// is dropped; one that lags keeps at most kLagStripes waiting beyond the call it is in, then it is dropped
// too, and so it is when buffers are short: what the drive has not begun to write gives its buffers back. A
// drive that hangs is left out from the start when the others are enough. The write goes on while a write
// quorum remains.
#pragma once

#include <memory>

#include "erasure/erasure_set.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

// Errors: invalid_argument (a geometry of another number of drives), internal (the pool's slabs are too small
// for it).
Task<Result<std::unique_ptr<BodyWriter>>> open_body_writer(CorePtr core, Ctx& ctx, Geometry geometry,
                                                           std::uint64_t expected_bytes);

}  // namespace ostraka::erasure
