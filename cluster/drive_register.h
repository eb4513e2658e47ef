// DriveRegister: what is known of each drive beyond its own folder: which incarnation of it counts, and which
// file system it lay on. Kept in the control store, so that a folder alone can never pretend. Byte format:
// cluster/FORMAT.md, "Drive register".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace ostraka::cluster {

inline constexpr std::string_view kDriveRegister = "control/drives";  // its document

struct RegisteredDrive {
  Uuid incarnation{};       // of format.json; nil: as the deployment was formatted
  std::string mount_point;  // of the file system that its folder lay on when it was last seen
  bool operator==(const RegisteredDrive&) const = default;
};

// By slot; nullopt: never seen.
using DriveRegister = std::vector<std::optional<RegisteredDrive>>;

std::string encode_drive_register(const DriveRegister& drives);
Result<DriveRegister> decode_drive_register(std::string_view json);  // malformed, unsupported_version

}  // namespace ostraka::cluster
