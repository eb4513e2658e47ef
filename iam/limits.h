// The numbers of iam/.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ostraka::iam {

inline constexpr std::int64_t kMaxClockSkewMs = 15 * 60 * 1000;
inline constexpr std::uint64_t kMaxPresignSeconds = 7 * 24 * 3600;
inline constexpr std::size_t kMaxSignedHeaders = 128;
inline constexpr std::size_t kMaxCachedSigningKeys = 1024;
inline constexpr std::size_t kMaxPolicyBytes =
    20U << 10;  // base64 of a POST policy; AWS allows 20 KB for the whole form
inline constexpr std::size_t kMaxPolicyConditions = 1000;
inline constexpr std::size_t kChunkLineBytes = 1024;  // a chunk's header or one trailer, in aws-chunked
inline constexpr std::size_t kMaxTrailers = 16;

}  // namespace ostraka::iam
