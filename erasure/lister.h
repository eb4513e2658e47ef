// Merged listing of a set: the ordered scans of a read quorum of drives, side by side. A key on which they
// all agree, with its newest version final, is taken as it is; any other is read from all drives.
#pragma once

#include "erasure/erasure_set.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

// reader: see ErasureSet::list.
Task<Result<SetListPage>> list_keys(CorePtr core, Ctx& ctx, disk::ListSpec spec, KeyReader reader);

}  // namespace ostraka::erasure
