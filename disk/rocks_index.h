// The MetaIndex of real drives: one RocksDB 7.8 a drive, all of them under one memory budget. Column layout:
// disk/FORMAT.md, "Index".
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "disk/meta_index.h"
#include "runtime/fs.h"

namespace rocksdb {
class Env;
}

namespace ostraka::disk {

// What all indexes of the process share: the block cache, which also pays for the memtables, and the limit on
// background writes. Made once in main; thread safe.
class IndexBudget {
 public:
  struct Spec {
    std::size_t memory_bytes = 96U << 20;    // blocks, blobs, filters and memtables of all drives together
    std::size_t memtable_bytes = 40U << 20;  // of these, memtables
    std::size_t background_bytes_per_s = 200U << 20;  // flush and compaction of all drives together
    unsigned drives = 8;                              // sizes the memtables of one drive
  };
  explicit IndexBudget(Spec spec);
  ~IndexBudget();
  IndexBudget(const IndexBudget&) = delete;
  IndexBudget& operator=(const IndexBudget&) = delete;

  std::size_t cache_bytes() const;     // in use now, memtables included
  std::size_t memtable_bytes() const;  // in use now

 private:
  friend class RocksIndexFactory;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

// RocksDB reads its table and blob files through `fs`, which must outlive every index; all else it does by
// itself, or in the environment that a test gives it.
class RocksIndexFactory final : public MetaIndexFactory {
 public:
  RocksIndexFactory(IndexBudget& budget, Fs& fs);
  RocksIndexFactory(IndexBudget& budget, Fs& fs, rocksdb::Env& below);
  // unsupported_version, wrong_drive (another process has it), not_found, corrupt, io
  Result<std::unique_ptr<MetaIndex>> open(const std::string& folder, IndexMode mode) override;

 private:
  IndexBudget& budget_;
  Fs& fs_;
  rocksdb::Env& below_;
};

}  // namespace ostraka::disk
