// SimDisk: a device with a file system, as far as it is durable. Each file knows what of it was synced, each
// folder which of its names were; a power cut keeps or loses the rest, page by page and name by name.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "disk/memory_index.h"
#include "runtime/fs.h"
#include "tests/sim/sim_random.h"

namespace ostraka::sim {

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kSectorBytes = 512;  // what a device writes whole

struct Node {
  explicit Node(std::uint64_t n, bool is_folder) : inode(n), folder(is_folder) {}
  const std::uint64_t inode;
  const bool folder;
  std::uint64_t locked_by = 0;  // incarnation

  std::int64_t modified_ms = 0;

  // A file: what is in the page cache, and what the device has of the pages that differ.
  std::string content;
  std::uint64_t durable_size = 0;
  std::map<std::uint64_t, std::string> dirty;  // page -> on the device
  std::map<std::uint64_t, std::string> lost;   // the same, but the cache takes them for written

  // A folder.
  std::map<std::string, std::shared_ptr<Node>> names, durable_names;
  std::shared_ptr<disk::MemoryIndexStore> index;  // when an index lives in it
};

// What a device has lost.
struct Losses {
  std::uint64_t pages = 0;       // that were not synced
  std::uint64_t torn_pages = 0;  // of them some sectors
  std::uint64_t lied_pages = 0;  // whose sync failed once, and was said to be done the next time
  std::uint64_t names = 0;       // changes of folders
  std::uint64_t batches = 0;     // of indexes
};

class SimDisk {
 public:
  explicit SimDisk(std::uint64_t device_number);
  std::uint64_t device() const noexcept { return device_; }
  const std::shared_ptr<Node>& root() const noexcept { return root_; }
  std::shared_ptr<Node> make(bool folder) { return std::make_shared<Node>(++inodes_, folder); }

  static void write(Node& file, ByteSpan bytes, std::uint64_t offset);
  static void sync(Node& file);
  // The sync failed, and the next will say that all is well (Linux since 4.13).
  static void fail_sync(Node& file);
  // What was not synced is kept or lost at random; with `all_lost` nothing of it is kept.
  Losses cut_power(SimRandom& random, bool all_lost);
  // The cache gives up pages that it takes for written: each with this chance.
  Losses drop_cache(SimRandom& random, double chance);
  std::vector<std::shared_ptr<Node>> files() const;  // all, in the order of their names
  std::vector<std::shared_ptr<disk::MemoryIndexStore>> indexes() const;

 private:
  const std::uint64_t device_;
  std::uint64_t inodes_ = 1;
  const std::shared_ptr<Node> root_;
};

}  // namespace ostraka::sim
