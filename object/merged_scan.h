// MergedScan: the rows of all drives side by side, in row-key order.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "disk/drive.h"
#include "object/limits.h"
#include "runtime/ctx.h"
#include "runtime/gate.h"

namespace ostraka::object {

struct MergedKey {
  std::string_view row_key;  // this and the others: into the page's storage
  BucketId bucket{};
  disk::KeySpace space = disk::KeySpace::object;
  std::string_view key, sub;
  std::vector<std::optional<std::string_view>> rows;  // by drive
};

struct MergedPage {
  std::vector<MergedKey> keys;      // ascending
  std::vector<bool> answered;       // by drive: its lack of a row means that it has none
  std::string last;                 // row key up to which all drives that answered have been looked at
  std::uint64_t nameless_rows = 0;  // that drives left out since the page before
  bool end = false;
  std::vector<std::shared_ptr<const void>> storage;
};

// Belongs to one shard. A drive that does not answer is left out of the page, and asked again with a later
// one.
class MergedScan {
 public:
  // after: row key to go on behind; empty: from the first. until: only rows before it; empty: to the last.
  // The drives and the gate outlive this.
  // rows: asked of a drive at a time.
  MergedScan(std::vector<disk::Drive*> drives, Gate& gate, std::string after, std::string until = {},
             std::size_t rows = kScanRows);
  // Errors: unavailable (no drive answered), closed.
  Task<Result<MergedPage>> next(Ctx& ctx);

 private:
  struct Source {
    disk::Drive* drive = nullptr;
    std::optional<disk::RowPage> page;  // none: to be asked
    std::size_t at = 0;                 // row of the page
    TimePoint retry_at{};               // when it did not answer
  };
  Task<> fetch(Ctx& ctx, MergedPage& out);
  void merge(MergedPage& out);

  Gate& gate_;
  std::vector<Source> sources_;
  std::string after_;
  const std::string until_;
  const std::size_t rows_;
};

}  // namespace ostraka::object
