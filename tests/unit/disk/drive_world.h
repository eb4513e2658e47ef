// A LocalDrive in a folder of its own, with all that it needs, for tests.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "base/metrics.h"
#include "disk/local_drive.h"
#include "disk/memory_index.h"
#include "disk/rocks_index.h"
#include "runtime/shard.h"
#include "runtime/worker_pool.h"
#include "tests/unit/disk/temp_dir.h"

namespace ostraka::disk {

// Passes everything on, except the free space, which the test may choose, and failures that it orders.
class TestFs final : public Fs {
 public:
  std::optional<std::uint64_t> free_bytes;
  std::atomic<bool> fail_dir_syncs{false};

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    return real_.open(path, mode);
  }
  Result<> remove(const std::string& path) override { return real_.remove(path); }
  Result<> rename(const std::string& from, const std::string& to) override { return real_.rename(from, to); }
  Result<> make_dirs(const std::string& path) override { return real_.make_dirs(path); }
  Result<> sync_dir(const std::string& path) override {
    if (fail_dir_syncs) return fail(Errc::io, "in trouble");
    return real_.sync_dir(path);
  }
  Result<std::vector<std::string>> list_dir(const std::string& path) override { return real_.list_dir(path); }
  Result<bool> exists(const std::string& path) override { return real_.exists(path); }
  Result<FileId> identity(const std::string& path) override { return real_.identity(path); }
  Result<FileInfo> info(const std::string& path) override { return real_.info(path); }
  Result<SpaceInfo> space(const std::string& path) override {
    TRY(info, real_.space(path));
    if (free_bytes) info.free_bytes = *free_bytes;
    return info;
  }
  Result<std::unique_ptr<Lock>> lock(const std::string& path) override { return real_.lock(path); }

 private:
  PosixFs real_;
};

inline DriveFormat test_format(unsigned slot = 1) {
  DriveFormat format;
  format.deployment.bytes.fill(0xd1);
  format.slot = slot;
  for (std::uint8_t i = 0; i < 6; ++i)
    format.drives.emplace_back().bytes.fill(static_cast<std::uint8_t>(0xa0 + i));
  format.data_shards = 4;
  format.parity_shards = 2;
  format.created_ms = 1'700'000'000'000;
  return format;
}

class DriveWorld {
 public:
  explicit DriveWorld(bool memory_index = false, unsigned slot = 1)
      : memory_index_(memory_index), slot_(slot) {}
  MetaIndexFactory& indexes() {
    if (memory_index_) return memory;
    return rocks;
  }
  DriveDeps deps() { return DriveDeps{fs, clock, indexes(), workers, metrics}; }
  std::string folder() const { return dir / "drive"; }

  Result<> format() { return format_drive(fs, indexes(), folder(), test_format(slot_)); }
  Result<> start() {
    drive = std::make_unique<LocalDrive>(deps(), folder(), test_format(slot_));
    return drive->start();
  }
  void stop() { drive.reset(); }

  TempDir dir;
  TestFs fs;
  SystemClock clock;
  WorkerPools workers;
  MetricRegistry metrics;
  IndexBudget budget{{.memory_bytes = 16U << 20, .memtable_bytes = 4U << 20, .drives = 1}};
  RocksIndexFactory rocks{budget, fs};
  MemoryIndexFactory memory;
  Shard shard{0, clock, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1}};
  std::unique_ptr<LocalDrive> drive;

 private:
  const bool memory_index_;
  const unsigned slot_;
};

}  // namespace ostraka::disk
