// Bringing a version to drives that lack it, with its inline shard rebuilt from the others. Shard files are
// not rebuilt here: a drive that has none staged refuses, and waits for the healer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "disk/drive.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

struct PushSpec {
  disk::CommitMode mode = disk::CommitMode::roll_forward;
  std::shared_ptr<const disk::VersionRecord> record;
  disk::SharedBytes encoded;
  std::vector<std::uint8_t> holders;  // slots
  std::vector<std::uint8_t> targets;  // slots
  std::vector<std::string> shards;    // inline ones, by slot, if they are at hand
  bool retire = false;                // heals of a version known to be at its write quorum: see CommitRequest
  TimePoint commit_by = kNoDeadline;  // kLongestCall after the drives were asked about the version
};

// Slots that took it, until there are `need` of them or all answered or the deadline.
Task<std::vector<std::uint8_t>> push_version(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref,
                                             PushSpec spec, unsigned need);
// push_version, or what does the same and rebuilds shard files as well (file_heal.h).
using BringVersion = Task<std::vector<std::uint8_t>> (*)(CorePtr, const Ctx&, const disk::ObjectRef&,
                                                         PushSpec, unsigned);

}  // namespace ostraka::erasure
