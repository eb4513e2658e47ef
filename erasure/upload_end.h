// Whether an upload has ended. Completing an upload ends with its rows dropped on each drive that learns that
// the completed version is final, without a tombstone: so a drive that was away then still has them. Aborting
// leaves tombstones. See object/multipart_store.h.
#pragma once

#include <string>

#include "erasure/set_core.h"

namespace ostraka::erasure {

enum class UploadState : std::uint8_t {
  open,       // in progress, as far as anybody can tell
  completed,  // the key's version was completed from it: its parts' files are the version's
  over,       // it has ended, and no version of the key names its parts
  unknown,    // too few drives answer to tell
};

// row: of the upload, or of one of its parts. Never `over` by mistake: an upload that a client may still use
// has its row on a write quorum, unless drives lost their data, and those are not taken to lack it.
Task<UploadState> upload_state(CorePtr core, const Ctx& ctx, const disk::ObjectRef& row);

disk::ObjectRef object_of(const disk::ObjectRef& row);

}  // namespace ostraka::erasure
