// ErasureSet: the n drives of one placement group as one. Bodies are striped and encoded; versions are
// written and read by quorum with the commit protocol of ARCHITECTURE.md ("Commit"), checked by the protocol
// model. It cannot tell local drives from remote ones.
//
// Errors of all calls: unavailable (no quorum), in_doubt, deadline, no_space (more than n - w drives are
// full), io.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hlc.h"
#include "base/metrics.h"
#include "base/result.h"
#include "control/group_epochs.h"
#include "control/lock_service.h"
#include "disk/drive.h"
#include "erasure/codec.h"
#include "runtime/ctx.h"
#include "runtime/gate.h"
#include "runtime/random.h"

namespace ostraka::erasure {

// What the parts of a set share (set_core.h), and what drives said about a key (heal_look.h).
struct SetCore;
struct KeyLook;
using KeyLookPtr = std::shared_ptr<KeyLook>;

// What the sets of a node learn together; see set_shared.h.
struct SetShared;
std::shared_ptr<SetShared> make_set_shared();

// What all sets of a node are given. Members outlive the sets.
struct SetContext {
  Clock& clock;
  Random& random;
  Hlc& hlc;
  control::LockService& locks;
  Gate& background;  // laggards, retires, heal-queue entries, roll forwards
  MetricRegistry& metrics;
  Duration write_grace = std::chrono::milliseconds(200);  // for the drives beyond the write quorum
  Duration hedge_after = std::chrono::milliseconds(
      20);  // a shard read slower than this is hedged with parity; adapts upwards with observed latency
  std::shared_ptr<SetShared> shared = make_set_shared();
  control::GroupEpochs* epochs = nullptr;  // null: rows of a drive's index that cannot be read stay so
};

// A slab to be filled with up to kStripeBytes of object data, laid out so that the data shards are views of
// it.
struct StripeBuffer {
  Buffer slab;
  MutableByteSpan data;  // kStripeBytes long (or what is left of the body)
};

// A body on its way to the drives, or lying staged there.
struct StagedBody {
  std::uint64_t size = 0;
  DataId data;  // nil when inline or empty
  Geometry geometry;
  std::vector<Slice> inline_shards;  // n of them when inline
  std::vector<bool> staged_on;       // by slot: its shard file is durable there
  unsigned full = 0;                 // drives that had no room for theirs
  Shard* shard = nullptr;            // that staged it; null when no files lie on the drives
  std::shared_ptr<SetCore> core;     // of the set that staged it; the same
};

// Stages one body: fill stripe after stripe. Destroyed unfinished, it removes what it wrote. Up to two
// stripes are written while the next is filled. Not thread safe.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  virtual Task<Result<StripeBuffer>> next_stripe(Ctx& ctx) = 0;
  // bytes of stripe.data are filled; fewer than kStripeBytes only in the last stripe. Encodes parity and
  // starts the writes.
  virtual Task<Result<>> put_stripe(Ctx& ctx, StripeBuffer stripe, std::size_t bytes) = 0;
  // Footers and syncs; needs the write quorum.
  virtual Task<Result<StagedBody>> finish(Ctx& ctx) = 0;
};

// An elected version: what a read of the key says.
struct Elected {
  std::shared_ptr<const disk::VersionRecord>
      record;  // kind object, upload, part or delete_marker; never a tombstone
  disk::SharedBytes encoded;
  bool is_final = false;
  std::vector<std::uint8_t> shard_on;             // by slot: shard index the drive holds, 0xff none known
  std::vector<std::string> inline_shards;         // by slot; empty when not asked for or not there
  std::vector<std::shared_ptr<const void>> pins;  // keep the shard files while this lives
  std::shared_ptr<SetCore> core;                  // of the set that read it: its drives have the pins
};

// Streams a byte range of an elected version in order.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The next piece (up to one stripe), verified; empty at the end. Hedges to parity, decodes when a data
  // shard is missing or corrupt.
  virtual Task<Result<BufferChain>> next(Ctx& ctx) = 0;
};

// Decides under the commit lease whether a write may go on, given the newest committed version (nullptr: the
// key is absent).
using Precondition = std::function<Result<>(const disk::VersionRecord* current)>;

struct CommitSpec {
  disk::ObjectRef ref;
  disk::VersionRecord record;  // id, expect, epoch, geometry, quorum and parts' data ids of a simple body are
                               // filled in by commit
  std::optional<StagedBody>
      body;  // none: records without a body of their own (uploads, completed multiparts, markers)
  bool conditional = false;   // expect the predecessor that the precondition saw; otherwise any
  Precondition precondition;  // may be empty
};

struct Committed {
  disk::VersionRecord record;                           // as committed, with its id
  std::shared_ptr<const disk::VersionRecord> replaced;  // the version it replaced, when known
};

struct ListEntry {
  std::string key;  // or the common prefix
  std::string sub;
  bool common_prefix = false;
  std::shared_ptr<const disk::VersionRecord> record;  // null for a common prefix
};

struct SetListPage {
  std::vector<ListEntry> entries;  // ascending; live keys only
  bool end = false;
  std::string resume_key, resume_sub;  // when !end: go on after these
  bool resume_skips_prefix = false;    // resume_key is a common prefix: go on after all keys under it
};

// Reads a key that a listing cannot tell from the drives it asked; gives null when the key is absent. A
// listing goes over the keys of many groups, and only the set of a key's own group knows in which order its
// shards lie on the drives.
using KeyReader =
    std::function<Task<Result<std::shared_ptr<const disk::VersionRecord>>>(Ctx& ctx, disk::ObjectRef ref)>;

// What is the matter with one drive's part of a version.
enum class ShardState : std::uint8_t {
  good,       // the drive has the record and its shard (verified block by block when HealSpec::deep)
  offline,    // the drive did not answer
  no_record,  // it lacks the version
  no_shard,   // it has the record, but a shard file or inline shard is missing
  corrupt,    // a shard file or inline shard fails its checksums
  lost_row,   // what the drive knew of the key fails its checksum: it is forgotten; begun anew when `healed`
  not_looked_at  // nothing to be looked at: the key is absent, or nobody could tell its version
};

struct HealSpec {
  bool deep = false;  // read and verify every block on every drive; otherwise only that everything is there
  bool dry_run = false;  // only look
};

// What a heal found and did. States are those before the heal, by slot of the group.
struct HealReport {
  enum class Outcome : std::uint8_t {
    healthy,    // nothing was lacking on any drive
    healed,     // all that was lacking was made good
    partly,     // some drive was away, or did not take what it lacks, or it is a dry run: try again later
    absent,     // the key has no committed version; leftovers of dead writers were settled, tombstones purged
    undecided,  // too few drives answer to tell: try again later
    lost        // fewer than k good shards are left of a committed version, all drives having answered; or so
                // many drives have lost their rows of the key that a newer version may have been forgotten
  };
  Outcome outcome = Outcome::undecided;
  VersionId version;                                  // elected; kNoVersion when absent
  std::shared_ptr<const disk::VersionRecord> record;  // of it
  bool is_final = false;
  TimePoint looked_at{};  // when the drives were asked last
  struct Shard {
    ShardState state = ShardState::not_looked_at;
    bool healed = false;
    std::string detail;  // for people: which part, which blocks, why not
  };
  std::vector<Shard> shards;  // by slot
  std::uint64_t bytes_verified = 0, bytes_read = 0, bytes_written = 0;
  std::uint32_t readmissible = 0;  // bit by slot: rule 8 is met for this key: a read that carried the group's
                                   // epoch reached r full drives, all that is newer is settled as gone, and
                                   // the drive has the value (or the key is absent)
};

// Thread safe: requests come from every shard. It may go before its background tasks have ended.
class ErasureSet {
 public:
  virtual ~ErasureSet() = default;
  virtual Geometry geometry() const noexcept = 0;

  // geometry: of the object's storage class: as many drives as the set has, with other parity.
  // expected_bytes: 0 when unknown.
  virtual Task<Result<std::unique_ptr<BodyWriter>>> stage(Ctx& ctx, Geometry geometry,
                                                          std::uint64_t expected_bytes) = 0;
  // Encodes a small body in memory; data.size() <= kMaxInlineBytes. The slab needs no room for parity.
  virtual StagedBody encode_inline(Geometry geometry, ByteSpan data) = 0;
  // Drops a staged body that will not be committed, in the background.
  virtual void discard(StagedBody body) = 0;
  // Lease, read, precondition, commit, acknowledge; then retires lazily and records in the heal queue what a
  // drive missed. Errors also: whatever the precondition returns. Unless it is committed or in doubt, the
  // body has been discarded when this returns. The body may have been staged by another set of the group,
  // with other drives in some slots: those lack it, and count as having missed the commit.
  virtual Task<Result<Committed>> commit(Ctx& ctx, CommitSpec spec) = 0;
  // Commits a tombstone (also when the key is absent already: then nothing is written). Gives the version
  // that was removed, if any.
  virtual Task<Result<std::shared_ptr<const disk::VersionRecord>>> erase(Ctx& ctx, disk::ObjectRef ref,
                                                                         bool conditional,
                                                                         Precondition precondition) = 0;
  // not_found: the key is absent, for certain. with_inline asks for the data of small objects in the same
  // round.
  virtual Task<Result<Elected>> read(Ctx& ctx, disk::ObjectRef ref, bool with_inline) = 0;
  // The body of `elected`, restricted to range (of the object's bytes), from the drives that it was read
  // from; parts are walked through.
  virtual Result<std::unique_ptr<BodyReader>> open(disk::ObjectRef ref,
                                                   std::shared_ptr<const Elected> elected,
                                                   ByteRange range) = 0;
  // Looks at all drives' parts of a key's newest version and makes good what is lacking: settles leftovers of
  // dead writers, brings records and shards to drives that lack them, replaces corrupt ones, retires, purges.
  // Works for objects, uploads and parts, and for keys that a client is writing at the same time.
  // Rows of uploads that were completed or aborted go. Never waits for a slow drive for long: what it lacks
  // makes the outcome `partly`. Errors: deadline, corrupt (a record that does not decode).
  // ahead: what look_ahead() (look_ahead.h) has of this key; used while it is young, and as far as it goes.
  virtual Task<Result<HealReport>> heal(Ctx& ctx, disk::ObjectRef ref, HealSpec spec,
                                        KeyLookPtr ahead = {}) = 0;
  // The group's epoch was raised (a drive lost its data): calls carry it from now on. Never lowers it.
  virtual void raise_epoch(std::uint64_t epoch) noexcept = 0;
  virtual std::vector<disk::Drive*> drives() const = 0;  // by slot of the group
  virtual std::shared_ptr<SetCore> core() const = 0;
  // One merged, decided page of keys. reader: may be empty when all keys are of this set's group.
  virtual Task<Result<SetListPage>> list(Ctx& ctx, disk::ListSpec spec, KeyReader reader = {}) = 0;
};

// drives: in the group's slot order, n of them; they outlive the set. Shard i of every object lies on drive
// i: the placement rotates the order.
std::unique_ptr<ErasureSet> make_erasure_set(SetContext& context, std::uint16_t group, std::uint64_t epoch,
                                             Geometry geometry, std::vector<disk::Drive*> drives);

}  // namespace ostraka::erasure
