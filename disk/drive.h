// Drive: the door of one drive. Local, remote, in-memory and faulty drives are the same to an erasure set.
//
// All bytes returned were verified against their checksums. Every call honours ctx.deadline. Implementations
// are thread safe: calls come from every shard, and a coroutine goes on on the shard it was started on.
// Errors of every call: deadline, unavailable (the drive is out of service, and nothing was begun),
// stale_epoch, io, corrupt, no_space; others are named at the call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/placement_group.h"
#include "base/result.h"
#include "disk/drive_condition.h"
#include "disk/key_state.h"
#include "disk/version_record.h"
#include "runtime/buffer_pool.h"
#include "runtime/ctx.h"
#include "runtime/task.h"

namespace ostraka::disk {

enum class KeySpace : std::uint8_t {
  object = 'o',
  part = 'p',
  upload = 'u'
};  // stored in row keys: never change

// Names one key row of the index. `sub` is empty for objects, upload id for uploads, upload id + part number
// for parts.
struct ObjectRef {
  BucketId bucket{};
  KeySpace space = KeySpace::object;
  std::string key;
  std::string sub;
  std::uint16_t group = 0;  // placement group of (bucket, key)
  std::uint64_t epoch = 0;  // the group's epoch as the caller knows it
};

struct DriveInfo {
  DriveId id;
  std::string path;  // folder or URL, for people
  unsigned slot = 0;
  bool online = false;
  bool refilling = false;  // formatted anew after it lost its data, and not full again yet
  std::string problem;     // why it is not online, or what it suffers from; for people
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;  // above the reserve
  std::uint64_t used_bytes = 0;
  std::uint64_t errors = 0;           // failed calls since start
  std::uint64_t heal_queue = 0;       // entries recorded on this drive
  std::uint64_t heal_recorded = 0;    // how many ever were, since the process that has it started
  DriveState state = DriveState::ok;  // other than ok only while it is not online
  std::uint64_t recent_errors =
      0;  // of the last minute: input/output errors and bytes that are not what was written
  LatencySummary reads, writes;      // of the drive's own calls, waiting for their turn not included
  std::optional<SmartReport> smart;  // nullopt: not asked, or it does not tell
};

// A shard file to be written: n blocks of block_bytes, the last may be shorter.
struct StageSpec {
  DataId data;
  std::uint8_t shard_index = 0;
  std::uint8_t data_shards = 1;
  std::uint8_t parity_shards = 0;
  std::uint32_t block_bytes = 0;     // of each full stripe's block; a multiple of 64
  std::uint64_t expected_bytes = 0;  // object data expected, 0 when unknown: to refuse early with no_space
};

// Writes one shard file. One call at a time. Destroyed before finish() has succeeded, it removes the file.
class ShardWriter {
 public:
  virtual ~ShardWriter() = default;
  // Appends the blocks in order. The slices' owners are held until the write is done.
  virtual Task<Result<>> append(Ctx& ctx, BufferChain blocks) = 0;
  // Nobody needs the file any more. An append that is out and whose writing has not begun lets go of its
  // slices now, and fails with closed when its turn comes; one that has begun goes on. No call follows.
  virtual void cancel() noexcept = 0;
  // Footer, sync of data and directory entry. Then the file is staged: durable, and named by no record yet.
  virtual Task<Result<>> finish(Ctx& ctx) = 0;
  // Of all blocks appended so far, as they were written: fold_digest() of shard_file.h. nullopt: not kept.
  // Not while a call is under way.
  virtual std::optional<Hash128> digest() const { return std::nullopt; }
};

// Where a verified block goes. bytes.size() must be the block's stored size.
struct BlockTarget {
  Buffer owner;
  MutableByteSpan bytes;
};

// Reads one shard file; keeps it open. Calls may overlap.
class ShardReader {
 public:
  virtual ~ShardReader() = default;
  // Reads and verifies blocks first, first + 1, ... into the targets. corrupt: names the block.
  virtual Task<Result<>> read_blocks(Ctx& ctx, std::uint64_t first, std::vector<BlockTarget> targets) = 0;
  // XXH3-128 of the block as it was written. nullopt: not at hand, or no such block.
  virtual std::optional<Hash128> digest(std::uint64_t) const noexcept { return std::nullopt; }
};

struct ShardRef {
  DataId data;
  std::uint8_t shard_index = 0;
  std::uint64_t part_bytes =
      0;  // object data in this body, from the version record: fixes the number and sizes of blocks
  std::uint8_t data_shards = 1;
  std::uint8_t parity_shards = 0;
};
ShardRef shard_ref(const PartRecord& part, std::uint8_t data_shards, std::uint8_t parity_shards,
                   unsigned shard_index) noexcept;

enum class CommitMode : std::uint8_t {
  commit,        // a coordinator's new version
  roll_forward,  // a version seen on some drives that may not be committed: fences hold
  heal,          // a version known to be committed: overrides a fence
};

struct CommitRequest {
  CommitMode mode = CommitMode::commit;
  std::shared_ptr<const VersionRecord> record;
  SharedBytes encoded;  // encode(*record), made once for all drives
  std::uint8_t shard_index = 0;
  Slice inline_shard;  // when record->inline_data; its owner is held until the batch is written
  // With CommitMode::heal, of a version known to be at its write quorum: what retire() does, in the same
  // batch.
  bool retire = false;
};

struct CommitAnswer {
  Verdict verdict = Verdict::refused;
  VersionId newest;  // what the drive holds after the call
  VersionId final_id;
};

struct FenceAnswer {
  bool has = false;         // the drive holds the version; otherwise it is fenced now
  std::uint64_t birth = 0;  // the group's birth on this drive while it refills, else 0
  VersionId final_id;
};

struct ReadSpec {
  bool with_inline = false;           // also the inline shard of a version
  VersionId inline_of = kAnyVersion;  // of this one; kAnyVersion: the newest
};

// One of the reads of a read_many.
struct KeyRead {
  ObjectRef ref;
  ReadSpec spec;
};

// What a drive answers to a read.
struct Held {
  KeyState state;
  GroupState group;          // as far as the key goes: a row that was begun anew has a birth of its own
  std::string inline_shard;  // of the version that ReadSpec names, verified; empty unless asked for and there
  std::shared_ptr<const void> pin;  // while it lives, the shard files that `state` names stay on the drive
};

// A page of a drive's ordered scan of object or upload or part rows.
struct ListSpec {
  BucketId bucket{};
  KeySpace space = KeySpace::object;
  std::string prefix;  // of the key
  std::string start;   // first key to return (key bytes, then sub for uploads and parts; see start_sub)
  std::string start_sub;
  bool after_start = false;  // start itself is excluded
  std::string delimiter;  // non-empty: the scan returns the first live row of each common prefix, then seeks
                          // past the prefix
  std::size_t max_rows = 1000;
  std::optional<GroupBits> groups;  // only rows of keys of these groups; nullopt: of all
  std::size_t max_looked = 0;       // rows looked at, also of other groups, before the page ends; 0: the
                                    // drive decides
};

struct ListRow {
  std::string_view key;  // into the page's storage
  std::string_view sub;
  std::string_view row;  // encoded key row: decode_key_row. One that does not decode says nothing, not even
                         // that the key is absent; equal rows on two drives differ at most in shard_index,
                         // final_at and what is about their births
};

struct ListPage {
  std::vector<ListRow> rows;  // ascending by key, then sub
  bool end = false;           // nothing follows the last row
  // Unless `end`: all rows before this place have been looked at. Empty key: all up to the last row, of which
  // there is one then.
  std::string next_key, next_sub;
  // Of the groups asked for, those that the drive cannot tell about: they are being refilled, have left it or
  // have not arrived. None of their rows is in the page, and that says nothing.
  GroupBits silent;
  std::shared_ptr<const void> storage;
};

struct ShardHealth {
  bool present = false;
  std::uint64_t blocks = 0;
  std::vector<std::uint64_t> corrupt_blocks;
};

// A page of all rows of a drive, whatever bucket and key space they are of, in the order of their row keys,
// which is the same on every drive.
struct RowScanSpec {
  std::string after;  // row key: only rows behind it; empty: from the first
  std::string until;  // row key: only rows before it; empty: to the last
  std::size_t max_rows = 1000;
};

struct ScannedRow {
  std::string_view row_key;  // into the page's storage
  BucketId bucket{};
  KeySpace space = KeySpace::object;
  std::string_view key;
  std::string_view sub;
  std::string_view row;  // encoded key row: decode_key_row; corrupt when it failed its checksum
};

struct RowPage {
  std::vector<ScannedRow> rows;     // ascending by row_key
  std::uint64_t nameless_rows = 0;  // left out, since what should be their keys is none
  std::string last;                 // row key of the last row looked at: go on after it
  bool end = false;
  std::shared_ptr<const void> storage;
};

// What a drive holds of a bucket: kept with every batch, so it is exact at any moment, crashes included.
struct BucketUsage {
  BucketId bucket{};
  std::int64_t objects = 0;       // keys whose newest version here is an object
  std::int64_t object_bytes = 0;  // of these, as their clients see them
  std::int64_t uploads = 0;       // multipart uploads in progress
  std::int64_t part_bytes = 0;    // of their parts
  std::uint64_t changes = 0;      // grows with every change of the numbers above
};

// Looks for what no record names: shard files and inline shards that dead writers left behind. One search a
// drive at a time.
struct OrphanSpec {
  std::uint8_t first = 0, last = 255;  // shard files whose data id starts with a byte in this range; inline
                                       // shards with the range that ends with 255
  std::int64_t older_than_ms = 0;      // unix time: younger files may belong to a writer that lives
  bool remove = false;
  std::size_t max = 1000;  // of the ids reported
};

struct OrphanReport {
  std::uint64_t files = 0, file_bytes = 0;  // found, and removed when asked to
  std::uint64_t kept = 0;  // more files: not removed, since a row that cannot be read may name them
  std::uint64_t inline_shards = 0;
  std::vector<DataId> some;  // of the files
};

class GroupMoves;  // group_move.h

class Drive {
 public:
  virtual ~Drive() = default;
  // For who moves groups between drives. nullptr: the drive cannot take part in that. As long as the drive.
  virtual GroupMoves* moves() noexcept { return nullptr; }
  virtual DriveId id() const noexcept = 0;
  // Calls travel over the network: where another drive will do, ask that first.
  virtual bool remote() const noexcept { return false; }
  virtual bool online() const noexcept = 0;  // a hint: calls fail fast with unavailable while it is false
  virtual Task<Result<DriveInfo>> info(Ctx& ctx) = 0;

  virtual Task<Result<std::unique_ptr<ShardWriter>>> stage(Ctx& ctx, StageSpec spec) = 0;
  // Removes staged files that no record names; for a write that will not be committed. Idempotent.
  virtual Task<Result<>> discard(Ctx& ctx, DataId data) = 0;
  // One atomic, synced batch. Refused when the staged files that the record names are not here with a valid
  // footer.
  virtual Task<Result<CommitAnswer>> commit(Ctx& ctx, ObjectRef ref, CommitRequest request) = 0;
  virtual Task<Result<FenceAnswer>> fence(Ctx& ctx, ObjectRef ref, VersionId id) = 0;
  virtual Task<Result<Verdict>> withdraw(Ctx& ctx, ObjectRef ref, VersionId id) = 0;
  // Lazy: rides on a later batch, and returns at once. Where the version is, its id becomes final, and what
  // it replaced is dropped, record and data, together with the parts' rows of the multipart upload it was
  // completed from (their files now belong to the version); the upload's own row becomes a final tombstone.
  virtual void retire(ObjectRef ref, VersionId id) = 0;
  virtual Task<Result<Verdict>> purge(Ctx& ctx, ObjectRef ref, VersionId id) = 0;

  virtual Task<Result<Held>> read(Ctx& ctx, ObjectRef ref, ReadSpec spec) = 0;
  // The same without suspending, when all of it lies in memory; nullopt otherwise. Remote drives always
  // answer nullopt.
  virtual std::optional<Result<Held>> try_read(const ObjectRef& ref, ReadSpec spec) = 0;
  virtual Task<Result<std::unique_ptr<ShardReader>>> open_shard(Ctx& ctx,
                                                                ShardRef ref) = 0;  // not_found, corrupt
  // The same without a call of its own: what open_shard() would say, the reader's first read says. nullptr:
  // nothing would be saved by that.
  virtual std::unique_ptr<ShardReader> open_shard_later(const ShardRef&) { return nullptr; }
  virtual Task<Result<ListPage>> list(Ctx& ctx, ListSpec spec) = 0;
  virtual Task<Result<ShardHealth>> verify(Ctx& ctx, ShardRef ref) = 0;

  // --- for healer and scanner
  // A row fails its checksum: its key answers `corrupt` to every call. The drive has forgotten what it held
  // of the key, its fences and what was final, and is from now on one that was emptied for this key alone
  // (rule 8), born in ref.epoch. False: the row can be read, and stays. stale_epoch: ref.epoch is not newer
  // than what the drive knew. Durable.
  virtual Task<Result<bool>> begin_anew(Ctx& ctx, ObjectRef ref) = 0;
  // The row that was begun anew in the epoch `birth` is full again; one that was so for long, and says
  // nothing else, goes. refused: another birth. Durable.
  virtual Task<Result<Verdict>> readmit_key(Ctx& ctx, ObjectRef ref, std::uint64_t birth) = 0;
  // The group is full on this drive again (rule 8 of the protocol), if its birth is still this one. Durable.
  virtual Task<Result<>> readmit(Ctx& ctx, std::uint16_t group, std::uint64_t birth) = 0;
  // The drive's state of each group, all kPlacementGroups of them.
  virtual Task<Result<std::vector<GroupState>>> groups(Ctx& ctx) = 0;
  virtual Task<Result<RowPage>> scan(Ctx& ctx, RowScanSpec spec) = 0;
  // What read() says of each of up to kMaxKeyReads keys, in one call: quickest in the order of their row
  // keys. Answers to the first of them, at least one, when all together would be larger than
  // kMaxKeyReadBytes. An error of one key's row is in its place.
  virtual Task<Result<std::vector<Result<Held>>>> read_many(Ctx& ctx, std::vector<KeyRead> reads) = 0;
  virtual Task<Result<std::vector<BucketUsage>>> usage(Ctx& ctx) = 0;  // ascending by bucket
  // Counts a bucket's rows anew and corrects the kept numbers where they differ. True when they did.
  // unavailable: the bucket changed too often meanwhile.
  virtual Task<Result<bool>> recount_usage(Ctx& ctx, BucketId bucket) = 0;
  virtual Task<Result<OrphanReport>> find_orphans(Ctx& ctx, OrphanSpec spec) = 0;

  // Small system records outside of any bucket (control documents, the heal queue), synced. Names are ordered
  // bytes.
  virtual Task<Result<>> put_system(Ctx& ctx, std::string name, std::string value) = 0;
  virtual Task<Result<>> erase_system(Ctx& ctx, std::string name) = 0;
  struct SystemRecord {
    std::string name, value;
  };
  virtual Task<Result<std::vector<SystemRecord>>> scan_system(Ctx& ctx, std::string prefix,
                                                              std::size_t max) = 0;
  // The same, but only names behind `after`: page by page through a long queue.
  virtual Task<Result<std::vector<SystemRecord>>> scan_system_after(Ctx& ctx, std::string prefix,
                                                                    std::string after, std::size_t max) = 0;
  // Erases the record only while its value is this one; conflict: it is another by now. Success also when
  // there is none.
  virtual Task<Result<>> erase_system_if(Ctx& ctx, std::string name, std::string value) = 0;
};

// The layout of one body in stripes and blocks. The geometry decides it alone, so every reader computes the
// same.
struct StripeLayout {
  std::uint8_t data_shards = 1;
  std::uint64_t part_bytes = 0;
  std::uint64_t stripes() const noexcept;                           // ceil(part_bytes / kStripeBytes)
  std::uint64_t stripe_bytes(std::uint64_t stripe) const noexcept;  // object data in it
  std::uint32_t block_bytes(std::uint64_t stripe) const noexcept;   // of each of its shards, padded
  std::uint64_t block_offset(std::uint64_t stripe) const noexcept;  // in the shard file
};
// Bytes of one shard's block of a stripe with this much object data: a full stripe pads to 4096, so that
// offsets stay aligned; a short one to 64.
std::uint32_t shard_block_bytes(std::uint64_t stripe_bytes, unsigned data_shards) noexcept;

}  // namespace ostraka::disk
