// A MetaIndex in ordered maps, for the simulator and for tests. It can lose what was not synced, as a crash
// would.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "disk/meta_index.h"

namespace ostraka::disk {

// The content of one index; lives on while the index is closed and opened again. Thread safe.
class MemoryIndexStore {
 public:
  using Map = std::map<std::string, std::string, std::less<>>;
  struct Change {
    Column column;
    std::string key;
    std::optional<std::string> value;  // nullopt: erased
  };

  // Forgets the newest `batches` of those that were written without a sync since the last synced one; gives
  // how many there were.
  std::size_t lose_unsynced(std::size_t batches);
  // All that was written so far is durable now.
  void keep_unsynced();
  // The value under a key, or the n-th of a column that has any (n wraps around), to damage it. nullptr:
  // none.
  std::string* find(Column column, std::string_view key);
  std::string* nth(Column column, std::size_t n);
  // A batch whose sync failed: decide_uncertain() makes it durable, or forgets it.
  void write_uncertain(const IndexBatch& batch);
  void decide_uncertain(bool keep);
  // From now on writes fail with this error; std::nullopt: they work again.
  void fail_writes(std::optional<Error> error);

 private:
  friend class MemoryIndex;
  friend class MemoryCursor;
  void apply(const std::vector<Change>& changes, std::vector<Change>* undo);
  mutable std::mutex mutex_;
  std::array<Map, kColumns> columns_;
  std::vector<std::vector<Change>> undo_;  // of the unsynced batches, oldest first
  std::optional<std::vector<Change>> uncertain_;
  std::optional<Error> write_error_;
};

std::unique_ptr<MetaIndex> open_memory_index(std::shared_ptr<MemoryIndexStore> store);

// One store a folder.
class MemoryIndexFactory final : public MetaIndexFactory {
 public:
  Result<std::unique_ptr<MetaIndex>> open(const std::string& folder, IndexMode mode) override;
  std::shared_ptr<MemoryIndexStore> store(const std::string& folder);  // nullptr: never created
  // As if the folder were deleted (nullptr) or another brought to its place; gives what was there.
  std::shared_ptr<MemoryIndexStore> exchange(const std::string& folder,
                                             std::shared_ptr<MemoryIndexStore> store);

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<MemoryIndexStore>> stores_;
};

}  // namespace ostraka::disk
