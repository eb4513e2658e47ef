// Rows of a drive's index that cannot be read. The drive has forgotten what it held of the key, what it
// promised and what was final, and answers nothing about it. It begins the row anew, as a drive that was
// emptied for this key alone (rule 8 of the protocol), in an epoch that was raised for that; is healed as
// such a drive; and is readmitted for the key.
#pragma once

#include <cstdint>

#include "erasure/heal_look.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

// By bit of the slot: drives that have a row of the key, and cannot read it.
std::uint32_t lost_rows(const KeyLook& look);

// Makes the drives of `slots` begin their rows anew, and raises the group's epoch when it takes that. Gives
// those that did, or can read their row again; they are to be looked at again, with the set's new epoch.
Task<std::uint32_t> begin_lost_rows(CorePtr core, const Ctx& ctx, disk::ObjectRef ref, std::uint32_t slots);

// Readmits the rows that were begun anew on the drives of `full`, where rule 8 is met. Gives those that are
// not readmitted: of all drives that answered.
Task<std::uint32_t> readmit_rows(CorePtr core, const Ctx& ctx, disk::ObjectRef ref, const KeyLook& look,
                                 std::uint32_t full);

// Rows of a key were lost on so many drives that too few full ones are left to decide anything (more than
// parity makes good). When all drives have answered, what they have is all there is: the rows are readmitted,
// where that leaves enough full drives, so that the key can be read, as far as it is there, and written.
// Drives that were emptied stay as they are. True: look again.
Task<bool> readmit_beyond_parity(CorePtr core, const Ctx& ctx, disk::ObjectRef ref, const KeyLook& look);

}  // namespace ostraka::erasure
