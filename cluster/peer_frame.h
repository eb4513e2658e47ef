// The frame around the head and the body of one call between nodes, or of its answer: cluster/FORMAT.md,
// "Peer protocol".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/result.h"
#include "runtime/buffer_pool.h"

namespace ostraka::cluster {

inline constexpr std::size_t kPeerFrameBytes = 56;  // before the head

enum class FrameKind : std::uint8_t { call = 1, answer = 2, error = 3 };

struct PeerFrame {
  FrameKind kind = FrameKind::call;
  std::uint32_t head_bytes = 0;
  std::uint32_t body_bytes = 0;
  Hash128 head_hash, body_hash;
};

bool is_peer_method(std::string_view method) noexcept;  // [a-z0-9_.-], at most 64

std::uint64_t total_bytes(const BufferChain& body) noexcept;
// The frame and the head, to be followed by the body. method: of the call, for the answer too. Head and body
// are within kMaxPeerHead and kMaxPeerBody. body_hash: what goes into the frame as such, where the caller
// knows better than to compute it.
std::string encode_frame(FrameKind kind, std::string_view method, std::string_view head,
                         const BufferChain& body, std::optional<Hash128> body_hash = std::nullopt);
// prefix: kPeerFrameBytes. Errors: unsupported_version, malformed (no frame, or for another call), corrupt
// (its checksum is wrong), too_large.
Result<PeerFrame> decode_frame(ByteSpan prefix, std::string_view method);
// Error: corrupt.
Result<> check_head(const PeerFrame& frame, std::string_view head);

// The head of an error's frame.
std::string encode_error(const Error& error);
// What stands in it; a code that this release does not know is internal, with its name in the detail.
Error decode_error(std::string_view head);

}  // namespace ostraka::cluster
