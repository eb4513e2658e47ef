// Numbers that several folders share. Each folder has a limits.h of its own for the rest.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ostraka {

inline constexpr std::size_t kStripeBytes = 1U << 20;  // object data in one encoded block
inline constexpr std::size_t kMaxInlineBytes =
    128U << 10;  // objects up to this size keep their shards in the index
inline constexpr std::size_t kHashSliceBytes = 256U
                                               << 10;  // most bytes hashed or encoded between two suspensions
inline constexpr unsigned kMaxDataShards = 16;
inline constexpr unsigned kMaxParityShards = 16;
inline constexpr unsigned kMaxSetDrives = 32;
inline constexpr unsigned kPlacementGroups = 1024;
inline constexpr std::size_t kMaxKeyBytes = 1024;
inline constexpr std::size_t kMaxUserMetadataBytes = 2048;
inline constexpr unsigned kMaxParts = 10000;
inline constexpr std::uint64_t kMinPartBytes = 5ULL << 20;
inline constexpr std::uint64_t kMaxPartBytes = 5ULL << 30;
inline constexpr std::uint64_t kMaxPutBytes = 5ULL << 30;     // one PutObject
inline constexpr std::uint64_t kMaxObjectBytes = 5ULL << 40;  // by multipart
static_assert(kMaxDataShards + kMaxParityShards == kMaxSetDrives);
static_assert(kMaxInlineBytes < kStripeBytes);

}  // namespace ostraka
