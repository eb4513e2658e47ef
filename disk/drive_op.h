// One change that waits for the committer, and its answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "disk/drive.h"
#include "disk/group_move_op.h"
#include "runtime/shard.h"
#include "runtime/task.h"

namespace ostraka::disk {

struct OpAnswer {
  Verdict verdict = Verdict::ok;
  VersionId newest;
  VersionId final_id;
  bool has = false;         // fence; correct_usage and begin_row: something was changed
  std::uint64_t birth = 0;  // fence
  std::vector<DataId>
      unknown;  // commit: nothing was done, since these files have to be looked up on disk first
  std::vector<DataId> orphans;  // take_orphans: which of the files are nobody's
  std::uint64_t dropped = 0;    // drop_inline: how many
};

enum class OpKind : std::uint8_t {
  commit,
  fence,
  withdraw,
  retire,
  purge,
  learn_epoch,
  put_system,
  erase_system,
  readmit,
  begin_row,
  readmit_row,
  correct_usage,
  take_orphans,
  drop_inline,
  move
};

struct DriveOp {
  OpKind kind = OpKind::commit;
  TimePoint deadline = kNoDeadline;
  ObjectRef ref;
  std::string row;  // the key of ref's row
  VersionId id;     // fence, withdraw, retire, purge

  // commit
  CommitMode mode = CommitMode::commit;
  HeldVersion version;
  std::shared_ptr<const VersionRecord> record;
  Slice inline_shard;
  bool retires = false;          // once it is committed: see CommitRequest::retire
  std::vector<DataId> files;     // take_orphans: that no row names
  std::vector<DataId> verified;  // of these, found on disk with a valid footer

  // put_system, erase_system
  std::string name, value;
  bool only_if_value = false;  // erase_system: only while the record has this value

  std::uint64_t birth = 0;               // readmit: of the group; readmit_row: of the row
  BucketUsage usage;                     // correct_usage: as counted; changes: when the count began
  std::vector<std::string> inline_keys;  // drop_inline: of values that no row names

  std::shared_ptr<MoveChange> move;  // move

  Shard* shard = nullptr;             // where the answer goes
  Completion<Result<OpAnswer>> done;  // none: nobody waits
};

}  // namespace ostraka::disk
