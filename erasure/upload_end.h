// The end of rows of multipart uploads. Completing an upload ends with its rows dropped on each drive that
// learns that the completed version is final, without a tombstone: so a drive that was away then still has
// them. Aborting leaves tombstones. See object/multipart_store.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "erasure/heal_look.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

enum class RowEnd : std::uint8_t {
  open,       // the upload is in progress, or the row is a tombstone already: to be healed as any other
  unknown,    // too few drives answer to tell, or calls may be under way
  there_yet,  // the upload has ended; some drive still has the row, or nothing may be changed (dry_run)
  gone        // the upload has ended, and its row is on its way out everywhere
};

// row: of an upload, or of one of its parts; look: at that row. When the key's version was completed from the
// upload, that version is brought to every drive first, so that none loses parts it has yet to name. Never
// ends an upload by mistake: one that a client may still use has its row on a write quorum, but for drives
// that lost their data, and those are not taken to lack it.
Task<Result<RowEnd>> end_upload_row(CorePtr core, Ctx& ctx, const disk::ObjectRef& row, const KeyLook& look,
                                    bool dry_run);

// Under it parts are committed and the upload is completed or aborted, one after the other.
std::string upload_lease(std::string_view upload_id);

// A part of an open upload that is lost (see HealReport): it is erased, so that completing the upload tells
// the client what is missing, instead of making an object that nobody can read. Not while it may still be
// needed, or cannot be erased: the next heal of the part comes here again.
Task<> erase_lost_part(CorePtr core, Ctx& ctx, disk::ObjectRef row, VersionId lost);

}  // namespace ostraka::erasure
