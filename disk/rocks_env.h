// The environment that one drive's RocksDB runs in: background threads of its own, since a drive that hangs
// must not hold up the flushes of the others, and reads through Fs, which can be told not to wait for the
// device.
#pragma once

#include <rocksdb/env.h>

#include <memory>

#include "runtime/fs.h"

namespace ostraka::disk {

// While it lives, reads of RocksDB files on this thread answer Busy instead of waiting for a device,
// and no file is opened.
class NoWaitScope {
 public:
  NoWaitScope() noexcept;
  ~NoWaitScope();
  NoWaitScope(const NoWaitScope&) = delete;
  NoWaitScope& operator=(const NoWaitScope&) = delete;
};

// Must outlive its DB. fs and `below`, which has the clock and all files that are not read through fs,
// outlive it.
std::unique_ptr<rocksdb::Env> make_drive_env(Fs& fs, rocksdb::Env& below);

}  // namespace ostraka::disk
