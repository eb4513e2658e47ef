#include "disk/memory_index.h"

namespace ostraka::disk {

class MemoryBatch final : public IndexBatch {
 public:
  void put(Column column, std::string_view key, std::span<const std::string_view> parts) override {
    std::string value;
    for (const std::string_view part : parts) value.append(part);
    bytes_ += key.size() + value.size();
    changes_.push_back({column, std::string(key), std::move(value)});
  }
  void erase(Column column, std::string_view key) override {
    bytes_ += key.size();
    changes_.push_back({column, std::string(key), std::nullopt});
  }
  std::size_t bytes() const override { return bytes_; }
  bool empty() const override { return changes_.empty(); }
  void clear() override {
    changes_.clear();
    bytes_ = 0;
  }
  const std::vector<MemoryIndexStore::Change>& changes() const { return changes_; }

 private:
  std::vector<MemoryIndexStore::Change> changes_;
  std::size_t bytes_ = 0;
};

// Finds its place again at each step, so that writes may go on meanwhile.
class MemoryCursor final : public IndexCursor {
 public:
  MemoryCursor(std::shared_ptr<MemoryIndexStore> store, Column column, std::string_view lower,
               std::string_view upper)
      : store_(std::move(store)), column_(column), lower_(lower), upper_(upper) {}

  void seek(std::string_view key) override {
    const std::lock_guard lock(store_->mutex_);
    const auto& map = store_->columns_[static_cast<std::size_t>(column_)];
    load(map, map.lower_bound(std::max(key, std::string_view(lower_))));
  }
  bool valid() const override { return valid_; }
  void next() override {
    const std::lock_guard lock(store_->mutex_);
    const auto& map = store_->columns_[static_cast<std::size_t>(column_)];
    load(map, map.upper_bound(key_));
  }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }
  Result<> status() const override { return {}; }

 private:
  void load(const MemoryIndexStore::Map& map, MemoryIndexStore::Map::const_iterator at) {
    valid_ = at != map.end() && (upper_.empty() || at->first < upper_);
    if (!valid_) return;
    key_ = at->first;
    value_ = at->second;
  }
  std::shared_ptr<MemoryIndexStore> store_;
  const Column column_;
  const std::string lower_, upper_;
  std::string key_, value_;
  bool valid_ = false;
};

class MemoryIndex final : public MetaIndex {
 public:
  explicit MemoryIndex(std::shared_ptr<MemoryIndexStore> store) : store_(std::move(store)) {}

  Result<Lookup> get(Column column, std::string_view key, std::string& value, Tier) override {
    const std::lock_guard lock(store_->mutex_);
    const auto& map = store_->columns_[static_cast<std::size_t>(column)];
    const auto at = map.find(key);
    if (at == map.end()) return Lookup::missing;
    value = at->second;
    return Lookup::found;
  }
  std::vector<IndexValue> get_many(Column column, const std::vector<std::string>& keys) override {
    std::vector<IndexValue> out(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i)
      out[i].found = get(column, keys[i], out[i].value, Tier::all);
    return out;
  }
  std::unique_ptr<IndexBatch> make_batch() override { return std::make_unique<MemoryBatch>(); }
  Result<> write(IndexBatch& batch, Sync sync) override {
    const std::lock_guard lock(store_->mutex_);
    if (store_->write_error_) return fail(store_->write_error_->code, store_->write_error_->detail);
    const auto& changes = static_cast<MemoryBatch&>(batch).changes();
    if (sync == Sync::yes) {
      store_->apply(changes, nullptr);
      store_->undo_.clear();
    } else {
      store_->apply(changes, &store_->undo_.emplace_back());
    }
    return {};
  }
  std::unique_ptr<IndexCursor> scan(Column column, std::string_view lower, std::string_view upper) override {
    return std::make_unique<MemoryCursor>(store_, column, lower, upper);
  }
  Result<> health() override { return {}; }
  Result<> resume() override { return {}; }
  void prepare_close() override {}

 private:
  const std::shared_ptr<MemoryIndexStore> store_;
};

void MemoryIndexStore::apply(const std::vector<Change>& changes, std::vector<Change>* undo) {
  for (const Change& change : changes) {
    Map& map = columns_[static_cast<std::size_t>(change.column)];
    const auto at = map.find(change.key);
    if (undo != nullptr) {
      undo->push_back(
          {change.column, change.key, at == map.end() ? std::nullopt : std::optional(at->second)});
    }
    if (change.value) {
      map.insert_or_assign(change.key, *change.value);
    } else if (at != map.end()) {
      map.erase(at);
    }
  }
}

std::size_t MemoryIndexStore::lose_unsynced(std::size_t batches) {
  const std::lock_guard lock(mutex_);
  const std::size_t unsynced = undo_.size();
  for (; batches > 0 && !undo_.empty(); --batches) {
    std::vector<Change> changes = std::move(undo_.back());
    undo_.pop_back();
    std::reverse(changes.begin(), changes.end());
    apply(changes, nullptr);
  }
  return unsynced;
}

std::string* MemoryIndexStore::find(Column column, std::string_view key) {
  const std::lock_guard lock(mutex_);
  Map& map = columns_[static_cast<std::size_t>(column)];
  const auto at = map.find(key);
  return at == map.end() ? nullptr : &at->second;
}

std::string* MemoryIndexStore::nth(Column column, std::size_t n) {
  const std::lock_guard lock(mutex_);
  Map& map = columns_[static_cast<std::size_t>(column)];
  if (map.empty()) return nullptr;
  return &std::next(map.begin(), static_cast<std::ptrdiff_t>(n % map.size()))->second;
}

void MemoryIndexStore::keep_unsynced() {
  const std::lock_guard lock(mutex_);
  undo_.clear();
}

void MemoryIndexStore::write_uncertain(const IndexBatch& batch) {
  const std::lock_guard lock(mutex_);
  uncertain_ = static_cast<const MemoryBatch&>(batch).changes();
}

void MemoryIndexStore::decide_uncertain(bool keep) {
  const std::lock_guard lock(mutex_);
  if (uncertain_ && keep) {
    apply(*uncertain_, nullptr);
    undo_.clear();
  }
  uncertain_.reset();
}

void MemoryIndexStore::fail_writes(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  write_error_ = std::move(error);
}

std::unique_ptr<MetaIndex> open_memory_index(std::shared_ptr<MemoryIndexStore> store) {
  return std::make_unique<MemoryIndex>(std::move(store));
}

Result<std::unique_ptr<MetaIndex>> MemoryIndexFactory::open(const std::string& folder, IndexMode mode) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<MemoryIndexStore>& store = stores_[folder];
  if (!store) {
    if (mode == IndexMode::existing) return fail(Errc::not_found, folder + ": no index there");
    store = std::make_shared<MemoryIndexStore>();
  }
  return open_memory_index(store);
}

std::shared_ptr<MemoryIndexStore> MemoryIndexFactory::exchange(const std::string& folder,
                                                               std::shared_ptr<MemoryIndexStore> store) {
  const std::lock_guard lock(mutex_);
  return std::exchange(stores_[folder], std::move(store));
}

std::shared_ptr<MemoryIndexStore> MemoryIndexFactory::store(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  const auto at = stores_.find(folder);
  return at == stores_.end() ? nullptr : at->second;
}

}  // namespace ostraka::disk
