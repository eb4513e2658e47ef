// format.json: which deployment a drive folder belongs to, and which drive of it this is. Byte format:
// disk/FORMAT.md, "format.json".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "disk/meta_index.h"
#include "runtime/fs.h"

namespace ostraka::disk {

inline constexpr std::size_t kMaxDrives = 1024;  // of a deployment

struct DriveFormat {
  DeploymentId deployment;
  unsigned slot = 0;            // of this drive in `drives`
  std::vector<DriveId> drives;  // of the erasure set, by slot: the same list on every drive
  std::uint8_t data_shards = 1;
  std::uint8_t parity_shards = 0;
  std::int64_t created_ms = 0;
  Uuid incarnation{};      // new whenever the drive is formatted in the place of one that lost its data; nil:
                           // never
  bool refilling = false;  // formatted so, and not filled again yet

  DriveId drive() const { return drives[slot]; }
};

std::string encode_drive_format(const DriveFormat& format);
// folder: for the message. corrupt, unsupported_version.
Result<DriveFormat> decode_drive_format(std::string_view text, const std::string& folder);

// What lies in the folder: its format, or nothing, when it is missing or empty (or an interrupted
// format_drive left it so) and may be formatted. Errors, each naming folder, cause and next step: wrong_drive
// (files of somebody else), corrupt, unsupported_version, io.
Result<std::optional<DriveFormat>> inspect_drive(Fs& fs, const std::string& folder);

// Record of the index that says whose it is: without it the first that opens the index writes it.
inline constexpr std::string_view kIdentityRecord{"\0identity", 9};
std::string index_identity(const DriveFormat& format);

// What a new index holds from the start: names and values of its system column.
using FirstRecords = std::vector<std::pair<std::string, std::string>>;

// Makes the folder a drive: durable when it returns, and never touches a folder that inspect_drive() does not
// call empty.
Result<> format_drive(Fs& fs, MetaIndexFactory& indexes, const std::string& folder, const DriveFormat& format,
                      const FirstRecords& records = {});

// The folder of a drive in use, locked against other processes.
struct OpenFolder {
  std::unique_ptr<Fs::Lock> lock;
  FileId lock_file;    // what is locked
  FileId format_file;  // of format.json: tells this folder from a copy or a successor under the same path
  DriveFormat format;  // what it says
};
// Opens a formatted folder that must be this drive of this deployment. Errors as inspect_drive(); not_found:
// nothing there.
Result<OpenFolder> open_drive_folder(Fs& fs, const std::string& folder, const DriveFormat& expected);

std::string index_folder(const std::string& folder);
std::string format_path(const std::string& folder);
std::string data_path(const std::string& folder, const DataId& data);  // folder/data/ab/<uuid>
inline constexpr std::string_view kReplacementSuffix =
    ".new";  // of a file that is to take the place of another
std::string data_folder(const std::string& folder, const DataId& data);

}  // namespace ostraka::disk
