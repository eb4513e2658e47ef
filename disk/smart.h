// What a device tells of itself (SMART), as smartctl of smartmontools prints it in JSON.
// Source: smartmontools, smartctl(8) --json; the names of the members are those of its release 7.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "disk/drive_condition.h"

namespace ostraka::disk {

// Takes what is there and has the right type, whatever the rest is. malformed: no JSON object. The device's
// name is not set.
Result<SmartReport> parse_smart(std::string_view json);

// Asks a disk by its name, such as "sda". Blocks for as long as a program may take. not_found: there is no
// such program, or the disk tells nothing (for want of permission, often); others: those of run_process().
Result<SmartReport> read_smart(const std::string& smartctl, const std::string& disk);

}  // namespace ostraka::disk
