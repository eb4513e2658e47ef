// Copies one shard file from one drive to another.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "disk/drive.h"
#include "runtime/clock.h"
#include "runtime/ctx.h"
#include "runtime/task.h"

namespace ostraka::cluster {

struct ShardCopy {
  disk::ShardRef ref;
  disk::Drive& from;
  disk::Drive& to;
  Clock& clock;
  // Gets the bytes of each piece when it is written; false: stop. Empty: on and on.
  std::function<Task<bool>(std::uint64_t bytes)> between = {};
};

// Some blocks at a time, verified while they are read; durable on the other drive when it returns. Each call
// on a drive has its own time (kMoveCall), within ctx's deadline. Errors: not_found, corrupt (the file that
// is read); closed (told to stop); others of both drives, where what is said of the one that is written is
// never not_found or corrupt.
Task<Result<>> copy_shard(Ctx& ctx, ShardCopy copy);

// For one call on a drive, or some short ones.
Ctx briefly(Clock& clock, const Ctx& ctx);

}  // namespace ostraka::cluster
