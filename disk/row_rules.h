// Rules for whole rows, which only the committer applies (and the tests' drive in memory): a row that cannot
// be read any more, and that of an upload that has ended.
#pragma once

#include <cstdint>
#include <optional>

#include "disk/key_state.h"
#include "disk/version_record.h"

namespace ostraka::disk {

// A row that could not be read, begun anew in `epoch`: the drive has forgotten what it knew of the key, as
// one that was emptied (rule 8 of the protocol). nullopt: that is not newer than all that the drive knew, nor
// then than what it has forgotten.
std::optional<KeyState> begin_row(const GroupState& group, std::uint64_t epoch);

// The version `completed`, which was made from an upload, is final on this drive: the upload's row becomes a
// final tombstone with the version's id, the same on every drive, to be healed and purged as any other. The
// id is later than the upload's (object/multipart_store.cc), but for clocks that are half a minute apart. So
// a drive that missed all this learns from the others that the upload has ended. One that is a tombstone
// already stays as it is; one that holds no version is dropped.
void apply_upload_end(KeyState& upload, const HeldVersion& completed, const VersionRecord& record,
                      std::int64_t now_ms);

}  // namespace ostraka::disk
