#include "disk/found_files.h"

#include "disk/shard_io.h"

namespace ostraka::disk {

Result<> check_durable_shard(DriveCore& core, const ShardRef& ref) {
  TRY(shard, open_shard_file(core, ref));
  TRY_VOID(shard.file->sync());
  return core.fs.sync_dir(data_folder(core.path, ref.data));
}

}  // namespace ostraka::disk
