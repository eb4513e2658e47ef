// Shard files of one drive as LocalDrive writes and reads them, on the drive's threads.
#pragma once

#include <memory>

#include "disk/drive.h"
#include "disk/drive_core.h"
#include "disk/shard_file.h"

namespace ostraka::disk {

// The file is created with the first append. core must outlive writers and readers.
std::unique_ptr<ShardWriter> make_shard_writer(DriveCore& core, const std::shared_ptr<OpenDrive>& life,
                                               const StageSpec& spec);

// These block: for threads of the drive.
struct OpenedShard {
  std::unique_ptr<File> file;
  ShardFooter footer;
};
// not_found, corrupt; with Tier::memory also unavailable: it would have to wait for the device.
Result<OpenedShard> open_shard_file(DriveCore& core, const ShardRef& ref, Tier tier = Tier::all);
std::unique_ptr<ShardReader> make_shard_reader(DriveCore& core, OpenedShard shard);
Result<ShardHealth> verify_shard_file(DriveCore& core, const ShardRef& ref);

}  // namespace ostraka::disk
