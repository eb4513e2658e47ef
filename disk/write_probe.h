// The probe of a drive that is not written to: a small file is written, synced, read back and removed, and a
// record of the index is read.
#pragma once

#include <string>

#include "base/result.h"

namespace ostraka::disk {

class DriveCore;
struct OpenDrive;

std::string probe_path(const std::string& folder);

// Blocks. Errors: unavailable (the folder is not the drive's any more: says nothing about the device),
// corrupt (read back something else), io, no_space, overloaded.
Result<> probe_drive(DriveCore& core, OpenDrive& life);

}  // namespace ostraka::disk
