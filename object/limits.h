// Numbers of the object folder.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "runtime/clock.h"

namespace ostraka::object {

inline constexpr std::size_t kFirstBytes = 4096;  // of a stripe, that a client sends before it gets a buffer
inline constexpr std::size_t kMaxBuckets = 10'000;
inline constexpr auto kNewBucketPatience = std::chrono::seconds(2);  // for the other nodes to know a bucket
inline constexpr auto kMarkPeriod = std::chrono::seconds(5);        // to look for marks that were left behind
inline constexpr auto kMarkPatience = std::chrono::seconds(5);      // to take one off
inline constexpr auto kMovePatience = std::chrono::seconds(15);     // for a slot that moves between drives,
inline constexpr auto kMovePause = std::chrono::milliseconds(100);  // asked for again after
inline constexpr auto kMoveSpare = std::chrono::seconds(5);  // for a slot that a write could do without
inline constexpr std::size_t kMaxBucketSettingsBytes = 256U << 10;
inline constexpr std::size_t kMinBucketNameBytes = 3;
inline constexpr std::size_t kMaxBucketNameBytes = 63;
inline constexpr std::size_t kMaxListKeys = 1000;  // of one page, as in S3
inline constexpr std::size_t kEraseConcurrency =
    16;  // keys of one DeleteObjects, or parts of one abort, at a time
inline constexpr std::size_t kMaxEraseBatch = 1000;           // as in S3
inline constexpr std::size_t kPartListRows = 1000;            // asked of a set at once
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

// Healing.
inline constexpr std::size_t kSlabsPerHeal = 4;   // so many buffers for each key that is healed at a time,
inline constexpr std::size_t kMaxHealWidth = 32;  // and no more than these
inline constexpr Duration kHealTime = std::chrono::hours(1);         // for one key
inline constexpr Duration kHealCallTime = std::chrono::seconds(10);  // for a drive to answer a question
inline constexpr std::size_t kHealHistory = 1000;                    // keys remembered
inline constexpr Duration kHealPoll = std::chrono::seconds(1);  // between two looks at the drives' counters
inline constexpr std::size_t kHealQueuePage = 1000;             // entries asked of a drive at once
inline constexpr std::size_t kHealQueueKept =
    16384;  // entries in memory, the oldest; the others wait on the drives
inline constexpr std::size_t kHealQueueDeferred = 65536;  // remembered as waiting for a drive that is away
inline constexpr Duration kHealRetryMin =
    std::chrono::seconds(1);  // between two tries of a key, doubled up to
inline constexpr Duration kHealRetryMax = std::chrono::minutes(10);
inline constexpr Duration kHealRescan =
    std::chrono::minutes(5);               // between two looks at a queue that stays as it is
inline constexpr int kHealScanShare = 20;  // reading the queue takes at most one part of the time in so many
inline constexpr Duration kRefillPoll = std::chrono::seconds(5);  // between two looks for drives to refill
inline constexpr Duration kRefillCheckpoint = std::chrono::seconds(5);  // between two checkpoints
inline constexpr Duration kRefillPause = std::chrono::seconds(10);  // before a refill that got stuck goes on,
inline constexpr Duration kRefillPauseYoung =
    std::chrono::seconds(30);  // doubled up to this, while what stands in the way may yet become old enough
                               // (twice kUploadRowAge of erasure/limits.h),
inline constexpr Duration kRefillPauseMax = std::chrono::minutes(5);  // and later up to this
inline constexpr std::size_t kRefillFailedKeys =
    4096;                                            // remembered, to be healed again; beyond: another walk
inline constexpr std::size_t kRefillRows = 1024;     // asked of a drive at a time
inline constexpr std::size_t kRefillBatch = 64;      // keys that the drives are asked about together,
inline constexpr std::size_t kRefillLeastBatch = 8;  // beside clients as few as these
inline constexpr std::size_t kRefillCalls = 64;      // of small calls to drives at a time
inline constexpr std::size_t kRefillBuckets = 1000;  // named in the status
inline constexpr std::size_t kHealRuns = 8;          // on demand, remembered
inline constexpr std::size_t kHealRunNamed = 1000;   // keys named by one

static_assert(kMaxParts <= 0xffff, "a part's number is two bytes of its row key");

}  // namespace ostraka::object
