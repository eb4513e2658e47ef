#include "disk/file_table.h"

#include "base/fault_point.h"

namespace ostraka::disk {

struct FileTable::Pin {
  Pin(std::shared_ptr<FileTable> t, std::vector<VersionId> v) : table(std::move(t)), versions(std::move(v)) {}
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin() { table->unpin(versions); }
  const std::shared_ptr<FileTable> table;
  const std::vector<VersionId> versions;
};

void FileTable::revive(const DataId& data) {
  {
    const std::lock_guard lock(mutex_);
    if (!going_.contains(data)) return;
  }
  const std::lock_guard no_unlink(unlink_mutex_);
  const std::lock_guard lock(mutex_);
  going_.erase(data);
}

void FileTable::staged(const DataId& data, bool replaces_owned) {
  const std::lock_guard lock(mutex_);
  staged_[data] = {.claimed = false, .replaces_owned = replaces_owned};
}

void FileTable::discard(const DataId& data) {
  std::vector<DataId> files;
  {
    const std::lock_guard lock(mutex_);
    const auto at = staged_.find(data);
    if (at == staged_.end() || at->second.claimed || at->second.replaces_owned) return;
    staged_.erase(at);
    going_.insert(data);
    files.push_back(data);
  }
  send(std::move(files));
}

FileTable::Claim FileTable::claim(const DataId& data) {
  const std::lock_guard lock(mutex_);
  const auto at = staged_.find(data);
  if (at != staged_.end()) {
    at->second.claimed = true;
    return Claim::staged;
  }
  return going_.contains(data) ? Claim::going : Claim::unknown;
}

void FileTable::settle_claims(std::span<const DataId> files, bool durable) {
  const std::lock_guard lock(mutex_);
  for (const DataId& data : files) {
    const auto at = staged_.find(data);
    if (at == staged_.end()) continue;
    if (durable) {
      staged_.erase(at);
    } else {
      at->second.claimed = false;
    }
  }
}

void FileTable::forget_staged() {
  const std::lock_guard lock(mutex_);
  staged_.clear();
}

std::shared_ptr<const void> FileTable::pin(std::vector<VersionId> versions) {
  {
    const std::lock_guard lock(mutex_);
    for (const VersionId id : versions) ++pins_[id];
  }
  return std::make_shared<const Pin>(shared_from_this(), std::move(versions));
}

void FileTable::unpin(const std::vector<VersionId>& versions) {
  std::vector<DataId> files;
  {
    const std::lock_guard lock(mutex_);
    for (const VersionId id : versions) {
      const auto at = pins_.find(id);
      if (--at->second > 0) continue;
      pins_.erase(at);
      auto doomed = doomed_.extract(id);
      if (doomed.empty()) continue;
      for (const DataId& data : doomed.mapped()) files.push_back(data);
    }
  }
  send(std::move(files));
}

void FileTable::drop(VersionId owner, std::vector<DataId> files) {
  if (files.empty()) return;
  drops_.fetch_add(1, std::memory_order_acq_rel);
  {
    const std::lock_guard lock(mutex_);
    going_.insert(files.begin(), files.end());
    if (pins_.contains(owner)) {
      std::vector<DataId>& waiting = doomed_[owner];
      waiting.insert(waiting.end(), files.begin(), files.end());
      return;
    }
  }
  send(std::move(files));
}

void FileTable::send(std::vector<DataId> files) {
  if (files.empty()) return;
  const std::lock_guard lock(mutex_);  // so that after close() no call is on its way
  if (unlink_) unlink_(std::move(files));
}

void FileTable::remove_file(const DataId& data, const std::function<void(const DataId&)>& remove) {
  const std::lock_guard no_revival(unlink_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (!going_.contains(data)) return;
  }
  fault_point("retire.before_unlink");
  remove(data);
  const std::lock_guard lock(mutex_);
  going_.erase(data);
}

void FileTable::close() {
  const std::lock_guard lock(mutex_);
  unlink_ = nullptr;
}

}  // namespace ostraka::disk
