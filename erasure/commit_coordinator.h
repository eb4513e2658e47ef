// One write of one key: lease, read, precondition, commit, acknowledge, retire (rules 2 to 5, 7 and 9 of the
// protocol).
#pragma once

#include <memory>
#include <optional>

#include "erasure/erasure_set.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

// A write that ended in doubt: what is to be settled.
struct Doubt {
  disk::HeldVersion version;
  std::shared_ptr<const disk::VersionRecord> record;    // of it
  std::shared_ptr<const disk::VersionRecord> replaced;  // the version it would replace, when known
  bool begun = false;  // some drive was asked to take a version, whatever became of it
};

// What object-layer calls come down to: a version to be committed, or a tombstone.
struct WriteSpec {
  disk::ObjectRef ref;
  // Its id, if any, is what the version has to be later than, beside all that is known of the key.
  disk::VersionRecord record;
  std::optional<StagedBody> body;
  bool conditional = false;
  Precondition precondition;
  bool only_if_present = false;  // an absent key needs no tombstone: succeeds without writing
  std::shared_ptr<Doubt> doubt;  // filled in by a write that ends with in_doubt; null: nobody wants to know
  // A body that was not begun with stays as it was, for another try; otherwise it is discarded.
  bool keeps_body = false;
  // A slot of the group is on its way between drives. All drives are asked about the key first, and nothing
  // is begun unless as many answer for the group as are needed: a body that was sent to too few is lost.
  bool slot_moves = false;
  // All drives are asked first, likewise, and nothing is begun unless every drive in service that is to take
  // it answers for the group: unavailable. For a moment in which a slot is expected to answer again.
  bool whole = false;
};
WriteSpec write_of(CommitSpec spec);
WriteSpec write_of_tombstone(disk::ObjectRef ref, bool conditional, Precondition precondition,
                             std::int64_t now_ms);

struct Written {
  std::shared_ptr<const disk::VersionRecord> record;  // null when nothing needed to be written
  std::shared_ptr<const disk::VersionRecord>
      replaced;  // null when the key was absent or its version is not known
};

// A body that was not committed, for certain, is discarded; with keeps_body only if it was begun. The spec is
// good for another try, but for a body that was begun. unavailable: nothing was written.
Task<Result<Written>> write_version(CorePtr core, Ctx& ctx, WriteSpec& spec);

// In the background.
void discard_body(const CorePtr& core, const Ctx& ctx, DataId data);
// Remembers a tombstone that all drives of the set have, to be purged when it is time.
void remember_tombstone(const CorePtr& core, const disk::ObjectRef& ref, VersionId id);
// Asks all drives, and purges when every one is full, has the tombstone as newest and final, and the longest
// deadline has passed (rule 9). True when all drives have dropped it.
Task<bool> purge_tombstone(CorePtr core, Ctx ctx, disk::ObjectRef ref, VersionId id);
// Purges tombstones that have been final for long enough, in the background. Cheap when there are none.
void purge_due_tombstones(const CorePtr& core, const Ctx& ctx);

}  // namespace ostraka::erasure
