// Numbers of the disk folder.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/limits.h"

namespace ostraka::disk {

inline constexpr std::size_t kMaxRecordBytes =
    4U << 20;  // an encoded VersionRecord: 10,000 parts of about 110 bytes, and metadata
inline constexpr std::size_t kMaxFences = 1U << 16;    // of one key row, when it is decoded
inline constexpr std::size_t kFencesTaken = 1024;      // of one key row, before further ones are refused
inline constexpr std::size_t kMaxVersions = 1U << 20;  // of one key row, when it is decoded
inline constexpr std::size_t kMaxSubBytes = 256;       // of a row key
inline constexpr std::uint64_t kMaxShardBlocks = kMaxPartBytes / kStripeBytes;  // of one shard file
inline constexpr std::uint32_t kMaxBlockBytes = kStripeBytes;
inline constexpr std::size_t kMaxInlineShardBytes = kMaxInlineBytes + 64;
inline constexpr std::size_t kMaxSystemNameBytes = 1024;
inline constexpr std::size_t kMaxSystemValueBytes = 16U << 20;

inline constexpr std::string_view kHealQueue =
    "heal/";  // names of system records that are counted as heal-queue entries

inline constexpr unsigned kDriveThreads = 4;         // for calls that block: reads, shard files, scans
inline constexpr std::size_t kMaxQueuedJobs = 4096;  // of those threads; beyond it calls fail fast
inline constexpr std::size_t kMaxQueuedOps = 16384;  // of the committer; beyond it calls fail fast
inline constexpr std::size_t kMaxQueuedBytes =
    256U << 20;  // of the committer: buffers of inline shards, which a drive that hangs would pile up
inline constexpr std::size_t kMaxBatchOps = 1024;        // of one synced batch
inline constexpr std::size_t kMaxBatchBytes = 8U << 20;  // of one synced batch, inline shards counted
inline constexpr std::size_t kRecentRowBytes =
    256U << 10;  // of rows that the committer remembers, in each of two generations
inline constexpr std::size_t kMaxListRows = 10000;      // of one page
inline constexpr std::size_t kMaxListBytes = 8U << 20;  // of one page
inline constexpr std::size_t kMaxListLooked = 100'000;  // rows looked at for one page
inline constexpr int kListTries = 4;  // of a page, while groups come to the drive or leave it

inline constexpr std::size_t kMaxKeyReads = 256;           // of one read_many
inline constexpr std::size_t kMaxKeyReadBytes = 8U << 20;  // of its answer: records and inline shards

inline constexpr std::size_t kMoveStepRows = 4000;       // looked at for one page of rows that move,
inline constexpr std::size_t kMovePageRows = 256;        // and in it,
inline constexpr std::size_t kMovePageBytes = 4U << 20;  // but at least one

inline constexpr std::size_t kScanStepRows =
    1000;  // of one job of a long scan, which leaves the threads to others
inline constexpr std::int64_t kStagedForMs =
    24 *
    3'600'000LL;  // a staged file that nobody has committed for longer is looked up on disk, like others'
inline constexpr std::size_t kScanStepFiles = 100;   // the same of a job that looks at files or removes them
inline constexpr std::size_t kScanStepInline = 200;  // and of one that reads inline shards
inline constexpr std::size_t kOrphanFiles = 1U << 18;       // shard files compared with one scan of the rows
inline constexpr std::size_t kMaxNamedInSearch = 1U << 20;  // files named by commits while orphans are sought
inline constexpr int kRecountTries = 5;                     // of a bucket that changes while it is counted

inline constexpr std::chrono::milliseconds kRetireDelay{
    100};  // a retire without company is written after this long
inline constexpr std::chrono::milliseconds kHealthPeriod{500};  // between two looks at an idle drive's folder
inline constexpr std::chrono::milliseconds kSpacePeriod{200};   // between two questions for the free space
inline constexpr std::chrono::milliseconds kReopenMin{
    250};  // between two tries to open a drive that went away, doubled up to
inline constexpr std::chrono::milliseconds kReopenMax{8000};
inline constexpr std::chrono::seconds kStuckAfter{
    15};  // without any call under way coming to its end: the drive does not answer
inline constexpr std::chrono::seconds kWatchPeriod{1};  // between two looks at what its calls say about it
inline constexpr std::int64_t kBirthKeptMs =
    300'000;  // a row that was begun anew and says nothing else stays for so long; see erasure/limits.h
inline constexpr std::int64_t kMaxClockAheadMs =
    60'000;  // a version id further ahead of the drive's clock is refused
inline constexpr std::int64_t kMaxStepAheadMs =
    1000;  // unless it is no more than so much later than what the drive holds of the key
inline constexpr std::uint64_t kMinReserveBytes =
    64ULL << 20;  // kept free for tombstones, retires and compaction: this much,
inline constexpr std::uint64_t kReserveDivisor = 100;  // and at least 1 % of the file system

static_assert(kMaxShardBlocks * kStripeBytes == kMaxPartBytes);
static_assert(kMaxInlineShardBytes * 8 < kMaxBatchBytes);

}  // namespace ostraka::disk
