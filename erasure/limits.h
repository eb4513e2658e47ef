// Numbers of this folder. What other folders need too is in base/limits.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "disk/limits.h"
#include "runtime/clock.h"

namespace ostraka::erasure {

// No call that changes a drive carries a deadline further away than this from the moment at which the drives
// were asked about what it rests on.
inline constexpr Duration kLongestCall = std::chrono::seconds(60);
// A tombstone that has been final for longer is purged: no call that was made before it can come any more.
// Twice as long, since drives keep that time by the wall clock, which is set now and then (more than a second
// forward is noticed, and nothing is purged for as long again), and since reading, electing and calling take
// some seconds.
inline constexpr Duration kPurgeAfter = 2 * kLongestCall;
// The same, to compare with times that drives and version ids tell.
inline constexpr std::int64_t kLongestCallMs =
    std::chrono::duration_cast<std::chrono::milliseconds>(kLongestCall).count();
inline constexpr std::int64_t kPurgeAfterMs =
    std::chrono::duration_cast<std::chrono::milliseconds>(kPurgeAfter).count();
static_assert(disk::kBirthKeptMs >= kPurgeAfterMs,
              "calls from before a row was begun anew must have ended when it goes");
// By then every drive has learnt that a tombstone is final, unless it hangs.
inline constexpr Duration kRetiredWithin = std::chrono::seconds(5);
// A heal has as much time as it takes to rebuild the object this fast, whatever its caller gives it.
inline constexpr std::uint64_t kSlowHeal = 8U << 20;  // bytes a second
// How long a read that cannot be decided waits for drives that do not answer, before it says so.
inline constexpr Duration kUndecidedWait = std::chrono::seconds(5);
// How long a write that failed waits for the drives that decide what became of it.
inline constexpr Duration kSettleWait = std::chrono::seconds(5);
// Laggards of a commit have this long before what they missed is written down.
inline constexpr Duration kHealEntryDelay = std::chrono::seconds(1);

// A drive hangs when it has answered none of the calls that were given up on for so long. Writes that can do
// without it leave it out then.
inline constexpr Duration kHangsAfter = std::chrono::seconds(1);
// A heal does not go by what the drives said longer ago than this.
inline constexpr Duration kLookAheadKept = std::chrono::seconds(5);
// A part of at most so many bytes is rebuilt without looking whether an earlier heal has done that already.
inline constexpr std::uint64_t kUnseenRebuild = 16U << 20;
// How long a heal waits for an answer of one drive before it goes on without it.
inline constexpr Duration kHealCallWait = std::chrono::seconds(10);
// A heal has time: a source that is slower than this is helped out by another one.
inline constexpr Duration kHealHedge = std::chrono::seconds(1);
// A heal that finds few free slabs leaves them to the clients and tries again, at growing intervals; after so
// many tries it stands in line for one, as everybody.
inline constexpr Duration kHealSlabPause = std::chrono::milliseconds(2);
inline constexpr int kHealSlabTries = 8;
inline constexpr std::size_t kHealSlabShare = 4;  // one in so many stays free for the clients
// A row of an upload is not taken for a leftover while calls of its writer, or of the upload's end, may be
// under way.
inline constexpr Duration kUploadRowAge = 2 * kLongestCall;

inline constexpr int kCommitAttempts = 3;
inline constexpr int kReadAttempts = 4;
inline constexpr int kHealAttempts = 6;

inline constexpr unsigned kStripesPerAppend = 2;  // written by one call, to save thread hops
inline constexpr unsigned kLagStripes =
    2;  // a drive that falls further behind than this is dropped from the write
// Stripes that are read by one call: one where all drives are at hand, which is as much as stays in a core's
// cache until it is sent. A call over the network costs far more than what it carries, so where some drive is
// remote they grow from one, for a quick first byte, to this many, as long as the blocks of a shard are not
// more than kRemoteReadBytes and enough slabs are free.
inline constexpr unsigned kMaxStripesPerRead = 2;
static_assert(kMaxStripesPerRead <= 2, "the blocks of a shard that a partial read left out must be adjacent");
inline constexpr std::size_t kRemoteReadBytes = 1U << 20;
// Computing a block reads all the others of its stripe, so it pays only while those are few.
inline constexpr unsigned kMostDataForParityAtHand = 8;
inline constexpr std::size_t kReadAheadShare = 4;  // no more than one in so many slabs is in use then

inline constexpr std::size_t kDecodeTables = 64;  // survivor sets remembered, per geometry
inline constexpr std::size_t kPurgeQueue =
    16384;  // tombstones remembered, by all sets of a node; the scanner finds the others
inline constexpr std::size_t kPurgesAtOnce = 64;
inline constexpr std::size_t kListYieldKeys = 128;  // keys merged between two suspensions
inline constexpr std::size_t kMaxListRows = 1024;   // rows asked of a drive at a time
inline constexpr std::size_t kListSpareRows =
    32;  // asked beyond its share of a drive that has a part of the keys
inline constexpr unsigned kListMostDoublings = 5;  // of that share, from page to page

}  // namespace ostraka::erasure
