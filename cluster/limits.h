// Numbers of the cluster folder.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/limits.h"

namespace ostraka::cluster {

inline constexpr std::size_t kMaxDocumentNameBytes = 512;
inline constexpr std::size_t kMaxDocumentBytes = 1U << 20;
inline constexpr std::size_t kMaxDocuments = 100'000;  // live or erased, in one control store
inline constexpr std::size_t kMaxImportBytes = 256U << 20;
inline constexpr auto kDocumentGrace = std::chrono::milliseconds(200);  // for the drives beyond the majority

inline constexpr double kSpreadTolerance = 0.1;  // between what a drive carries and what its size says
inline constexpr double kRebalanceSlack = 0.05;  // of a drive's share, that no data is moved for
inline constexpr int kPlacementPuts = 20;        // of a document that all nodes change

// Growing and shrinking.
inline constexpr double kDrainFullest = 0.95;                          // of the drives that stay
inline constexpr auto kRebalancePeriod = std::chrono::seconds(1);      // between looks at what there is to do
inline constexpr auto kRebalanceBackoffMin = std::chrono::seconds(2);  // after an error, doubled up to
inline constexpr auto kRebalanceBackoffMax = std::chrono::seconds(60);
inline constexpr auto kRebalanceTry = std::chrono::minutes(10);  // at what was decided, then it is begun anew
inline constexpr auto kRebalanceLook = std::chrono::seconds(5);  // for drives to say how large they are
// A leader that dies in a hand-over leaves groups that no drive answers for: while there are moves, others
// look after it so often, and depose one whose drives have all been away for so long, instead of waiting for
// its lease to end. One member at most once in that time, as it may be alive and just out of reach.
inline constexpr auto kLeaderLook = std::chrono::milliseconds(250);
inline constexpr auto kLeaderAway = std::chrono::milliseconds(500);
inline constexpr auto kLeaderTrust = std::chrono::minutes(1);

// Moves of slots.
// For a drive to answer a mover, beyond which the step is for another time: one that vanished says nothing.
inline constexpr auto kMoveCall = std::chrono::seconds(20);
// For a drive that went while groups are handed over to it, to come back; then they are taken back.
inline constexpr auto kMoveStranded = std::chrono::seconds(10);
inline constexpr int kMoveRounds = 20;           // over what has changed, before the groups are sealed
inline constexpr std::size_t kMoveFewRows = 64;  // changed, that may be copied while the groups are sealed
inline constexpr std::uint64_t kMoveFewBytes = 16U << 20;  // likewise, with the files that they name
inline constexpr int kMoveImports = 4;                   // of one page, whose files may be dropped meanwhile
inline constexpr std::size_t kMoveRecords = 256;         // of the system column, at a time
inline constexpr std::size_t kMoveCopyBytes = 1U << 20;  // of a shard file, at a time
inline constexpr std::size_t kMaxMoves = 4096;           // in a plan
// What other nodes say of how fast slots may be moved.
inline constexpr auto kMovePaceEvery = std::chrono::milliseconds(100);  // they are asked,
inline constexpr std::size_t kMovePaceNodes = 32;                       // so many at a time
inline constexpr auto kMovePaceCall = std::chrono::seconds(2);
inline constexpr auto kMovePaceLife = std::chrono::seconds(5);  // what one said counts, if no more is heard

inline constexpr std::size_t kMaxPeerHead = 16U << 20;  // of a peer call or its answer: a page of a listing
inline constexpr std::size_t kMaxPeerBody = 4U << 20;
inline constexpr std::size_t kUncountedHead = 64U << 10;  // of a call: needs no share of the memory for calls
inline constexpr std::size_t kMaxPeerPage = 15U << 20;    // of rows or records in one answer
inline constexpr std::size_t kMaxPeerBlocks = 256;        // of a shard file in one body
inline constexpr std::size_t kMaxPeerIds = 1U << 16;      // of orphans in one answer

// Calls on the drives of other nodes.
inline constexpr std::size_t kMaxCallHead = 2U << 20;      // of a request without a record or a system record
inline constexpr std::size_t kSystemScanStep = 256;        // records asked of a drive at a time,
inline constexpr std::size_t kSystemScanBytes = 4U << 20;  // and sent at a time, at least one
inline constexpr std::size_t kMaxReadBody = kStripeBytes;  // of blocks that are read by one call
inline constexpr std::size_t kReadSlabs = 128;             // of kMaxReadBody, of all calls that read blocks
inline constexpr std::size_t kReadSlabsKept = 4;           // when nobody reads
inline constexpr std::size_t kSmallBlocks = 64U << 10;     // read into memory of their own, not into a slab
inline constexpr std::size_t kMaxRetiresWaiting = 1024;    // to be sent to one drive
inline constexpr std::size_t kMaxErrandBytes = 1U << 20;   // of retires in one message
inline constexpr std::size_t kMaxErrandIds = 1U << 13;     // of each kind in one message
inline constexpr auto kErrandDelay = std::chrono::milliseconds(20);  // then they go without company
inline constexpr auto kErrandRetry = std::chrono::seconds(1);
inline constexpr auto kErrandCall = std::chrono::seconds(5);
// A retire that is older is not carried out: the tombstone that came after it may have been purged by then.
// Less than erasure::kPurgeAfter by what two clocks may differ.
inline constexpr auto kRetireLife = std::chrono::seconds(60);

// Errands ride along with any request: five kinds of ids, one of them with the id of a file.
static_assert(kMaxErrandBytes + kMaxErrandIds * (5 * 9 + 20) + (400U << 10) <= kMaxCallHead);

// What a peer keeps alive on this node, and for how long after it was last heard of.
inline constexpr auto kPeerLease = std::chrono::minutes(3);
inline constexpr auto kPeerRenewal = std::chrono::seconds(45);  // by the peer
inline constexpr auto kReaderIdle = std::chrono::minutes(2);    // a file that nobody reads is closed
inline constexpr auto kLeaseSweep = std::chrono::seconds(10);
inline constexpr std::size_t kMaxPins = 1U << 17;      // of all peers together, on all drives of this node
inline constexpr std::size_t kMaxPeerPins = 1U << 15;  // of one
inline constexpr std::size_t kMaxReaders = 2048;       // open shard files
inline constexpr std::size_t kMaxPeerReaders = 512;
inline constexpr std::size_t kMaxWriters = 4096;
inline constexpr std::size_t kMaxPeerWriters = 1024;

// Commit leases on the nodes' lock servers.
inline constexpr auto kLockLease = std::chrono::seconds(10);   // of a node that is not heard of any more
inline constexpr auto kLockRenewal = std::chrono::seconds(3);  // by the holder
inline constexpr auto kLockDoubt = std::chrono::seconds(1);  // in silence; if others wait, it is asked after
inline constexpr auto kLockPlace = std::chrono::seconds(3);  // in a line, of a node that does not ask again
inline constexpr auto kLockPoll = std::chrono::seconds(1);   // the longest that an answer waits for the lock
inline constexpr auto kLockCall = std::chrono::seconds(1);   // for a node to answer, beyond that
// For as many as are needed, where none of those that have answered refuses: they may be short of CPU.
inline constexpr auto kLockSilence = std::chrono::seconds(4);
inline constexpr auto kLockRetry = std::chrono::milliseconds(100);
inline constexpr auto kLockPatience = std::chrono::milliseconds(500);  // with some of the leases, not enough
inline constexpr std::size_t kMaxLockNameBytes = 2048;
inline constexpr std::size_t kMaxLocks = 1U << 16;  // held and waited for, of all peers together
inline constexpr std::size_t kMaxPeerLocks = 1U << 14;
inline constexpr std::size_t kMaxLockLine = 1024;        // that wait for one
inline constexpr std::size_t kMaxLockPolls = 1024;       // answers that wait
inline constexpr std::size_t kMaxLocksEnded = 1U << 16;  // claims that ended before they came
inline constexpr std::size_t kMaxLockReleases = 4096;  // in one message; twice that wait to be sent to a node
inline constexpr std::size_t kMaxLockRenewals = 256;   // in one message
// Of a key. As many as there are nodes, up to this: more would cost calls and bear no more lost nodes than
// the most parity there is.
inline constexpr std::size_t kMaxLockServers = 15;
inline constexpr auto kLockSweep = std::chrono::milliseconds(500);

static_assert(2 * kLockRenewal + kLockCall < kLockLease, "a renewal may be lost");
static_assert(kLockPoll + kLockCall < kLockPlace);
static_assert(kLockSilence + kLockRenewal + kLockCall < kLockLease,
              "what was granted first is renewed in time");

// What a node without a membership lease may still write (cluster/write_permit.h).
inline constexpr auto kWriteGrace = std::chrono::seconds(30);  // after its lease
inline constexpr auto kPermitPeriod = std::chrono::seconds(2);
inline constexpr auto kPermitCall = std::chrono::seconds(1);
inline constexpr auto kPermitLook = std::chrono::milliseconds(50);
inline constexpr auto kPermitLife = std::chrono::seconds(5);
inline constexpr auto kWriteLife = std::chrono::seconds(60);  // the longest that a write takes from its begin

static_assert(kPermitPeriod + kPermitCall < kPermitLife);

// How a node finds out about a drive of another one.
inline constexpr auto kProbePeriod = std::chrono::seconds(5);
inline constexpr auto kProbeAwayMin = std::chrono::milliseconds(250);  // while it is away, doubled up to
inline constexpr auto kProbeAwayMax = std::chrono::seconds(4);
inline constexpr auto kProbeCall = std::chrono::seconds(2);
inline constexpr auto kProbeLate = std::chrono::milliseconds(250);  // then it was this node that stood still
inline constexpr auto kProbeSilence = std::chrono::seconds(1);      // calls are out, and none is answered

static_assert(kMaxPeerPage < kMaxPeerHead);
static_assert(kPeerRenewal * 3 < kPeerLease, "a renewal may be lost");
static_assert(kPeerRenewal + kMaxPeerPins / kMaxErrandIds * kPeerRenewal / 3 < kPeerLease,
              "they are renewed in several messages");

// etcd. A document with its name and mark, in base64, is well below its limit of 1.5 MiB a request.
inline constexpr std::size_t kMaxEtcdAnswer = 32U << 20;             // an answer, or one message of a watch
inline constexpr std::size_t kMaxEtcdMessageBytes = 1024;            // of an error, for the log
inline constexpr std::size_t kMaxEtcdKeys = kMaxDocuments + 10'000;  // of one cluster
inline constexpr std::size_t kEtcdPageKeys = 512;  // of a range; fewer where an answer is too large
inline constexpr auto kEtcdConnect = std::chrono::seconds(2);
inline constexpr auto kEtcdAttempt = std::chrono::seconds(2);    // for one member to answer
inline constexpr auto kEtcdElection = std::chrono::seconds(5);   // for members without a leader to elect one
inline constexpr auto kEtcdPatience = std::chrono::seconds(10);  // to learn what became of a change
inline constexpr auto kEtcdRetry = std::chrono::milliseconds(100);
// A watch that says nothing for so long is opened anew, since a dead connection is silent, too.
inline constexpr auto kEtcdSilence = std::chrono::seconds(5);
inline constexpr std::size_t kMaxMemberNameBytes = 255;
inline constexpr std::size_t kMaxMemberBytes = 64U << 10;
inline constexpr auto kMemberRetry = std::chrono::seconds(1);        // while another process has the name
inline constexpr auto kMemberPause = std::chrono::milliseconds(50);  // between two things a member says
inline constexpr auto kEtcdEcho = std::chrono::milliseconds(500);    // for the watch to tell of an own change

}  // namespace ostraka::cluster
