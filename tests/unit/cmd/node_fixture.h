// Drive folders on disk with their indexes in memory, and what is needed to open them and to build a node
// over them.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "cmd/build_node.h"
#include "cmd/open_drives.h"
#include "disk/memory_index.h"
#include "runtime/shard.h"
#include "runtime/worker_pool.h"
#include "tests/unit/cmd/mounted_fs.h"
#include "tests/unit/disk/temp_dir.h"

namespace ostraka::cmd {

// Makes no new index while it is told to fail.
class FailingIndexes final : public disk::MetaIndexFactory {
 public:
  explicit FailingIndexes(disk::MetaIndexFactory& indexes) : indexes_(indexes) {}
  std::atomic<int> failures{0};  // to come

  Result<std::unique_ptr<disk::MetaIndex>> open(const std::string& folder, disk::IndexMode mode) override {
    if (mode != disk::IndexMode::existing && failures > 0) {
      --failures;
      return fail(Errc::no_space, "injected");
    }
    return indexes_.open(folder, mode);
  }

 private:
  disk::MetaIndexFactory& indexes_;
};

class NodeFixture : public ::testing::Test {
 protected:
  NodeFixture() {
    for (int i = 1; i <= 6; ++i) folders_.push_back(root_ / ("d" + std::to_string(i)));
  }

  Result<NodeDrives> open(std::optional<erasure::Geometry> wanted = std::nullopt, bool may_format = true) {
    return open_drives(
        {clock_, random_, fs_, failing_indexes_, workers_, metrics_, folders_, wanted, may_format});
  }
  static std::size_t online(const NodeDrives& drives) {
    std::size_t count = 0;
    for (const auto& drive : drives.drives) count += drive->online() ? 1 : 0;
    return count;
  }
  // As if the drive's data had gone: what the folder held and its index.
  void wipe(std::size_t i) {
    std::filesystem::remove_all(folders_[i]);
    indexes_.exchange(disk::index_folder(folders_[i]), nullptr);
  }

  SystemClock clock_;
  SystemRandom random_;
  MountedFs fs_;
  disk::MemoryIndexFactory indexes_;
  FailingIndexes failing_indexes_{indexes_};
  WorkerPools workers_;
  MetricRegistry metrics_;
  disk::TempDir dir_;
  const std::filesystem::path root_ = dir_.path();
  std::vector<std::string> folders_;
  Shard shard_{0, clock_, ShardSpec{}};
};

}  // namespace ostraka::cmd
