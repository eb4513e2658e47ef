// MetaIndex: the ordered index of one drive, as three columns of key and value bytes. RocksDB on real drives
// (rocks_index.h), a map in the simulator and in tests (memory_index.h). Values are opaque: the drive puts
// checksums of its own into them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ostraka::disk {

enum class Column : std::uint8_t {
  rows,         // key rows, read by scans
  inline_data,  // shards of small objects: large values that no scan touches
  system,       // small records of the drive itself
};
inline constexpr std::size_t kColumns = 3;

enum class Tier : std::uint8_t {
  memory,  // never waits for a device
  all,
};
enum class Lookup : std::uint8_t { found, missing, not_in_memory };  // the last one with Tier::memory only

enum class Sync : bool { no, yes };

// Changes that become visible, and durable, together, in the order they were put. Used by one thread.
class IndexBatch {
 public:
  virtual ~IndexBatch() = default;
  // The value is the parts, one after the other.
  virtual void put(Column column, std::string_view key, std::span<const std::string_view> parts) = 0;
  virtual void erase(Column column, std::string_view key) = 0;
  virtual std::size_t bytes() const = 0;
  virtual bool empty() const = 0;
  virtual void clear() = 0;
};

// A walk over a range in key order, seeing the index as it was when the walk began or newer. Used by one
// thread.
class IndexCursor {
 public:
  virtual ~IndexCursor() = default;
  virtual void seek(std::string_view key) = 0;  // to the first key that is not less
  virtual bool valid() const = 0;               // false at the end, or after a failure
  virtual void next() = 0;
  virtual std::string_view key() const = 0;  // until the cursor moves
  virtual std::string_view value() const = 0;
  virtual Result<> status() const = 0;
};

struct IndexValue {
  Result<Lookup> found = Lookup::missing;
  std::string value;
};

// Thread safe, but one writer at a time. Errors: io, corrupt, no_space, overloaded (no more files or memory).
class MetaIndex {
 public:
  virtual ~MetaIndex() = default;
  virtual Result<Lookup> get(Column column, std::string_view key, std::string& value, Tier tier) = 0;
  // The same of many keys, for less than one by one, with Tier::all; by key.
  virtual std::vector<IndexValue> get_many(Column column, const std::vector<std::string>& keys) = 0;
  virtual std::unique_ptr<IndexBatch> make_batch() = 0;
  // With Sync::yes the batch, and all before it, is durable when this returns, and not visible before that.
  virtual Result<> write(IndexBatch& batch, Sync sync) = 0;
  // Keys in [lower, upper); an empty upper bound is none. The cursor must not outlive the index. It stands
  // nowhere until seek().
  virtual std::unique_ptr<IndexCursor> scan(Column column, std::string_view lower,
                                            std::string_view upper) = 0;
  // The failure that stopped background work, or nothing. After a lack of space resume() may bring it back.
  virtual Result<> health() = 0;
  virtual Result<> resume() = 0;
  // Before a planned close: does what makes the next open quick.
  virtual void prepare_close() = 0;
};

enum class IndexMode : std::uint8_t { create, existing };

// Opens the index of a drive folder. `existing` never creates one: an index that is gone is an error, not an
// empty drive.
class MetaIndexFactory {
 public:
  virtual ~MetaIndexFactory() = default;
  virtual Result<std::unique_ptr<MetaIndex>> open(const std::string& folder, IndexMode mode) = 0;
};

}  // namespace ostraka::disk
