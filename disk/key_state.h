// What one drive knows of one key, and the commit protocol's rules for changing it: pure functions, no I/O.
// They are the class Drive of the protocol model, rule by rule; every drive (local, in-memory) applies
// exactly these. Byte format: disk/FORMAT.md, "Key row".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace ostraka::disk {

using SharedBytes = std::shared_ptr<const std::string>;

struct HeldVersion {
  VersionId id;
  VersionId expect = kAnyVersion;
  std::uint64_t epoch = 0;
  bool tombstone = false;  // nothing to reconstruct: any one holder can vouch for its content
  std::uint8_t data_shards = 1;
  std::uint8_t write_quorum = 1;
  std::uint8_t shard_index = 0;  // which shard of the stripe this drive holds
  bool has_inline = false;       // its shard lies in the inline column
  bool has_files = false;        // its shards lie in files
  bool from_upload =
      false;  // an object completed from a multipart upload: its files belonged to the part rows before
  SharedBytes record;  // encoded VersionRecord, the same on every drive
};

// A group's membership state on this drive (rule 8 of the protocol).
struct GroupState {
  std::uint64_t epoch = 0;  // newest the drive knows
  std::uint64_t birth = 0;  // the epoch it was last emptied in
  bool refilling = false;   // emptied and not readmitted yet
};

struct KeyState {
  VersionId final_id;                 // newest version known to be at write quorum
  std::int64_t final_at_ms = 0;       // when this drive learnt it
  std::vector<VersionId> fences;      // versions this drive promised never to accept
  std::vector<HeldVersion> versions;  // newest first
  // Of a row that was begun anew since it could not be read any more: for this key the drive is one that was
  // emptied (rule 8 of the protocol).
  std::uint64_t birth = 0;            // the epoch it was begun in; 0: it never was
  bool refilling = false;             // and not readmitted yet
  std::int64_t readmitted_at_ms = 0;  // when that was

  bool says_nothing() const noexcept { return final_id.is_none() && fences.empty() && versions.empty(); }
  bool empty() const noexcept { return says_nothing() && birth == 0; }
  const HeldVersion* find(VersionId id) const noexcept;
  VersionId newest() const noexcept;  // kNoVersion when none
};

enum class Verdict : std::uint8_t {
  ok,       // taken, or held already
  refused,  // fenced, older than what is held, or another predecessor
  newer,    // heal only: the drive knows a newer final version, so it does not need this one
  lacks,    // retire only: a time becomes final only where its version is
  final,    // withdraw only: it is committed
};

// What a change leaves behind for the drive to clean up once the batch is durable.
struct Dropped {
  std::vector<HeldVersion> versions;
};

// Rule 8: commits, roll forwards, fences and withdrawals of an older epoch than the drive knows are refused.
bool epoch_is_current(const GroupState& group, std::uint64_t epoch) noexcept;

// The group's state as far as this key goes.
GroupState group_of_key(const GroupState& group, const KeyState& state) noexcept;

// group: that of the key.
Verdict apply_commit(KeyState& state, const GroupState& group, HeldVersion version);
Verdict apply_roll_forward(KeyState& state, const GroupState& group, HeldVersion version);
Verdict apply_heal(KeyState& state, HeldVersion version);
struct FenceVerdict {
  bool has = false;
  VersionId final_id;
};
FenceVerdict apply_fence(KeyState& state, VersionId id);
Verdict apply_withdraw(KeyState& state, VersionId id, Dropped& dropped);
Verdict apply_retire(KeyState& state, VersionId id, std::int64_t now_ms, Dropped& dropped);
// Drops tombstone, fences and final time together, when the tombstone is newest and final.
Verdict apply_purge(KeyState& state, VersionId id, Dropped& dropped);
// The row that was begun anew in the epoch `birth` has all that it should have. One that was readmitted long
// ago and says nothing else is dropped: nobody can come any more with what it had forgotten. refused: another
// birth.
Verdict apply_readmit(KeyState& state, std::uint64_t birth, std::int64_t now_ms);

std::string encode_key_row(const KeyState& state);
Result<KeyState> decode_key_row(std::string_view row);  // corrupt, unsupported_version

}  // namespace ostraka::disk
