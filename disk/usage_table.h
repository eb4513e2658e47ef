// What the drive holds of each bucket, counted with every batch and durable with it in the system column.
// Byte format: disk/FORMAT.md, "Usage record". Thread safe.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "disk/drive.h"
#include "disk/key_state.h"
#include "disk/meta_index.h"

namespace ostraka::disk {

// What one row adds to the usage of its bucket.
struct RowCount {
  std::int64_t objects = 0, object_bytes = 0, uploads = 0, part_bytes = 0;
  bool operator==(const RowCount&) const = default;
};
// By its newest version. One whose record does not decode counts nothing.
RowCount count_row(KeySpace space, const KeyState& state);

void add(BucketUsage& usage, const RowCount& now, const RowCount& before);
inline bool counts_nothing(const BucketUsage& usage) noexcept {
  return usage.objects == 0 && usage.object_bytes == 0 && usage.uploads == 0 && usage.part_bytes == 0;
}
// What `changes` becomes with the next change. It never takes a value twice, also when the bucket was empty
// in between: it is not below the time, in 1/1024 ms.
std::uint64_t next_change(std::uint64_t before, std::int64_t now_ms) noexcept;

class UsageTable {
 public:
  // What is on the drive. An index that a release without usage records has written is counted, and the
  // records are made.
  Result<> load(MetaIndex& index, std::int64_t now_ms);
  std::vector<BucketUsage> all() const;   // ascending by bucket; without empty ones
  BucketUsage of(BucketId bucket) const;  // an empty one when there is none
  void set(const BucketUsage& usage);
  // Into the batch that makes it true. An empty bucket needs no record.
  static void put(IndexBatch& batch, const BucketUsage& usage);
  static std::string record_name(BucketId bucket);
  static std::string encode(const BucketUsage& usage);

 private:
  using Map = std::map<BucketId, BucketUsage>;
  static Result<Map> read(MetaIndex& index);
  static Result<Map> count(MetaIndex& index, std::int64_t now_ms);

  mutable std::mutex mutex_;
  Map buckets_;
  std::uint64_t last_emptied_ = 0;  // `changes` of the bucket that became empty last
};

}  // namespace ostraka::disk
