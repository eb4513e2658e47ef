// What a row says that could not be read any more, and was begun anew: the drive has forgotten what it knew
// of the key, as one that was emptied (rule 8 of the protocol).
#pragma once

#include <cstdint>
#include <optional>

#include "disk/key_state.h"

namespace ostraka::disk {

// The row, begun anew in `epoch`. nullopt: that is not newer than all that the drive knew, nor then than what
// it has forgotten.
std::optional<KeyState> begin_row(const GroupState& group, std::uint64_t epoch);

}  // namespace ostraka::disk
