// Merged listings: the ordered scans of some drives, side by side, so that a read quorum of the drives of
// each group is among them. A key on which the drives that were asked about its group agree, with its newest
// version final, is taken as it is; any other is read from all drives of its own group.
#pragma once

#include "erasure/erasure_set.h"
#include "erasure/list_field.h"

namespace ostraka::erasure {

// reader: the record of a key as the set of its own group sees it. Groups may move between drives while it
// runs: a drive that has given one away, or has not got all of it yet, says that it cannot tell.
// `unavailable` then means that the field is too old, or the slot just on its way.
Task<Result<SetListPage>> list_keys(ListFieldPtr field, Ctx& ctx, disk::ListSpec spec, KeyReader reader);

}  // namespace ostraka::erasure
