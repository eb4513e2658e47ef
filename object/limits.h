// Numbers of the object folder.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.h"

namespace ostraka::object {

inline constexpr std::size_t kFirstBytes = 4096;  // of a stripe, that a client sends before it gets a buffer
inline constexpr std::size_t kMaxBuckets = 10'000;
inline constexpr std::size_t kMaxBucketSettingsBytes = 256U << 10;
inline constexpr std::size_t kMinBucketNameBytes = 3;
inline constexpr std::size_t kMaxBucketNameBytes = 63;
inline constexpr std::size_t kMaxListKeys = 1000;  // of one page, as in S3
inline constexpr std::size_t kEraseConcurrency =
    16;  // keys of one DeleteObjects, or parts of one abort, at a time
inline constexpr std::size_t kMaxEraseBatch = 1000;           // as in S3
inline constexpr std::size_t kPartListRows = 1000;            // asked of a set at once
inline constexpr std::size_t kMergeRows = 250;                // asked of each of several sets at once
inline constexpr std::size_t kUploadIdBytes = 40;             // 24 hexadecimal digits of time, 16 of chance
inline constexpr std::uint64_t kMaxCopyBytes = kMaxPutBytes;  // of one CopyObject or UploadPartCopy source
inline constexpr std::size_t kSlabsPerCopy =
    4;  // so many buffers of its shard each copy that runs may count on
inline constexpr std::size_t kScanRows = 256;         // asked of a drive at a time
inline constexpr std::size_t kScanFindings = 1000;    // keys named by the report of a pass
inline constexpr std::size_t kScanParallel = 4;       // keys healed at a time by a pass on demand
inline constexpr std::size_t kScanDeferred = 4096;    // keys being written that a pass comes back to
inline constexpr std::size_t kScanIncomplete = 1000;  // buckets named as not wholly verified; beyond: all are
inline constexpr std::size_t kMeteredBuckets = 256;   // that have metrics of their own
static_assert(kMaxParts <= 0xffff, "a part's number is two bytes of its row key");

}  // namespace ostraka::object
