// The shard files of one version on all drives of the set: looking at them, rebuilding those that are missing
// or damaged, and committing the version with them where it was lacking.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "disk/drive.h"
#include "erasure/erasure_set.h"
#include "erasure/set_core.h"
#include "erasure/version_push.h"

namespace ostraka::erasure {

// What a second look at the drives says of a version whose rebuilding took long.
struct SecondLook {
  enum class Verdict : std::uint8_t {
    wanted,   // it is still the key's version
    history,  // it has been replaced or deleted
    unclear
  };
  Verdict verdict = Verdict::unclear;
  TimePoint commit_by;  // when wanted
};

struct FileHealSpec {
  disk::ObjectRef ref;
  std::shared_ptr<const disk::VersionRecord> record;
  disk::SharedBytes encoded;
  disk::CommitMode mode = disk::CommitMode::heal;
  bool retire = false;         // see CommitRequest
  std::vector<bool> answered;  // by slot: drives to be looked at
  std::vector<bool> holders;   // by slot: drives that hold the version
  std::vector<bool> targets;   // by slot: drives whose files are rebuilt, and that get the version if need be
  bool deep = false;
  // Drives that hold the version are believed to have its files: of these only as many are opened as a
  // rebuild takes, unless it finds that some are damaged.
  bool sparing = false;
  // kLongestCall after the look that elected the version: nothing is committed later, since it may have been
  // deleted, and the tombstone purged. The rebuilt files stay then, and the next heal finds them.
  TimePoint commit_by = kNoDeadline;
  std::function<Task<SecondLook>()> look_again;  // for what takes longer; may be empty
};

struct FileHealReport {
  // By slot: what was found of the files (never no_record), and whether files and version are there now.
  std::vector<HealReport::Shard> shards;
  bool lost =
      false;  // a part cannot be rebuilt: all drives answered, fewer than k good shards are left of it
  std::uint64_t bytes_verified = 0, bytes_read = 0, bytes_written = 0;
};

// The record's geometry fits the set. Parts are durable at a write quorum each, so each is looked at by
// itself.
Task<FileHealReport> heal_files(CorePtr core, const Ctx& ctx, FileHealSpec spec);

// push_version, with shard files rebuilt.
Task<std::vector<std::uint8_t>> bring_version(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref,
                                              PushSpec spec, unsigned need);

bool has_files(const disk::VersionRecord& record) noexcept;

}  // namespace ostraka::erasure
