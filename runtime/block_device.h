// Which block device of the machine a file system lies on (Linux, sysfs).
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace ostraka {

// device: of a FileId. Gives the name of the whole disk, such as "sda" or "nvme0n1", also when the file
// system lies on a partition, or on a mapping of a single disk (LVM, dm-crypt). not_found: it has no such
// device (tmpfs, overlays, network file systems), or several. Blocks, without touching the device. sys: where
// sysfs is mounted.
Result<std::string> whole_disk_of(std::uint64_t device, const std::string& sys = "/sys");

}  // namespace ostraka
