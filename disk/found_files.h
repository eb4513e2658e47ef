// Shard files that are looked up on disk before a change names them.
#pragma once

#include <vector>

#include "disk/drive_core.h"
#include "disk/file_table.h"

namespace ostraka::disk {

// The files that a change looks up on disk: from before the look until the change has been tried they are
// known to the table, so that what is unlinked meanwhile does not count as found.
class FoundFiles {
 public:
  explicit FoundFiles(FileTable& table) : table_(table) {}
  FoundFiles(const FoundFiles&) = delete;
  FoundFiles& operator=(const FoundFiles&) = delete;
  ~FoundFiles() { table_.end_look(looked_at_); }
  void look_at(const std::vector<DataId>& files) {
    table_.begin_look(files);
    looked_at_.insert(looked_at_.end(), files.begin(), files.end());
  }
  std::vector<DataId> verified;

 private:
  FileTable& table_;
  std::vector<DataId> looked_at_;
};

// The file is on the drive with a footer that fits, and is synced now: whoever wrote it may have died, or be
// at work still, before his own sync. Blocks. Errors: those of open_shard_file(), io.
Result<> check_durable_shard(DriveCore& core, const ShardRef& ref);

}  // namespace ostraka::disk
