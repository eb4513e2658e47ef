// Reading one key's row, and its inline shard when asked for, with the files that it names pinned.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "disk/drive.h"
#include "disk/drive_core.h"

namespace ostraka::disk {

// nullopt only with Tier::memory: not all of it lies in memory. corrupt: the row failed its checksum. A
// damaged inline shard is left out, and counted.
std::optional<Result<Held>> read_row(DriveCore& core, OpenDrive& life, const ObjectRef& ref,
                                     const ReadSpec& spec, Tier tier);

// The same of many keys, as far as the answer may be large. Blocks.
Result<std::vector<Result<Held>>> read_rows(DriveCore& core, OpenDrive& life,
                                            const std::vector<KeyRead>& reads);

// Limits of what a caller may name. invalid_argument.
Result<> check_ref(const ObjectRef& ref);

}  // namespace ostraka::disk
