#include "disk/file_table.h"

#include "base/fault_point.h"
#include "disk/limits.h"

namespace ostraka::disk {

struct FileTable::Pin {
  Pin(std::shared_ptr<FileTable> t, std::vector<VersionId> v) : table(std::move(t)), versions(std::move(v)) {}
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin() { table->unpin(versions); }
  const std::shared_ptr<FileTable> table;
  const std::vector<VersionId> versions;
};

void FileTable::begin_write(const DataId& data) {
  {
    const std::lock_guard lock(mutex_);
    ++entries_[data].writers;
    if (!going_.contains(data) && !leftovers_going_.contains(data)) return;
  }
  const std::lock_guard no_unlink(unlink_mutex_);
  const std::lock_guard lock(mutex_);
  going_.erase(data);
  leftovers_going_.erase(data);
}

void FileTable::staged(const DataId& data, bool replaces_other) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[data];
  if (entry.writers > 0) --entry.writers;
  entry.staged = true;
  entry.kept |= replaces_other;
  entry.given_up = entry.lost = false;
}

bool FileTable::abandoned(const DataId& data, bool begun) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(data);
  if (at == entries_.end()) return false;
  Entry& entry = at->second;
  if (entry.writers > 0) --entry.writers;
  const bool his_alone = begun && !entry.staged && !entry.kept && entry.claims == 0 && entry.writers == 0;
  if (his_alone) doom(data);
  forget_idle(at);
  return his_alone;
}

void FileTable::doom(const DataId& data) {
  going_.insert(data);
  const auto at = entries_.find(data);
  if (at == entries_.end()) return;
  at->second.lost = true;
  at->second.kept = false;
}

void FileTable::forget_idle(Entries::iterator at) {
  if (at->second.idle()) entries_.erase(at);
}

bool FileTable::give_up(Entries::iterator at) {
  Entry& entry = at->second;
  entry.staged = entry.given_up = false;
  const bool unlink = !entry.kept;
  if (unlink) doom(at->first);
  forget_idle(at);
  return unlink;
}

void FileTable::discard(const DataId& data) {
  std::vector<DataId> files;
  {
    const std::lock_guard lock(mutex_);
    const auto at = entries_.find(data);
    if (at == entries_.end() || !at->second.staged) return;
    if (at->second.claims > 0) {
      at->second.given_up = true;
      return;
    }
    if (give_up(at)) files.push_back(data);
  }
  send(std::move(files));
}

void FileTable::begin_look(std::span<const DataId> files) {
  const std::lock_guard lock(mutex_);
  for (const DataId& data : files) {
    Entry& entry = entries_[data];
    ++entry.looks;
  }
}

void FileTable::end_look(std::span<const DataId> files) {
  const std::lock_guard lock(mutex_);
  for (const DataId& data : files) {
    const auto at = entries_.find(data);
    if (at == entries_.end()) continue;
    --at->second.looks;
    forget_idle(at);
  }
}

FileTable::Claim FileTable::claim(const DataId& data, bool found) {
  const std::lock_guard lock(mutex_);
  if (searching_ && named_.size() <= kMaxNamedInSearch) named_.insert(data);
  if (going_.contains(data)) return Claim::going;
  const auto at = entries_.find(data);
  if (at == entries_.end()) return Claim::unknown;
  Entry& entry = at->second;
  if (!entry.staged) {
    if (!found || entry.looks == 0) return Claim::unknown;
    if (entry.lost) return Claim::going;
  }
  ++entry.claims;
  return Claim::taken;
}

void FileTable::settle_claims(std::span<const DataId> files, bool durable) {
  std::vector<DataId> given_up;
  {
    const std::lock_guard lock(mutex_);
    for (const DataId& data : files) {
      const auto at = entries_.find(data);
      if (at == entries_.end()) continue;
      Entry& entry = at->second;
      if (entry.claims > 0) --entry.claims;
      if (durable) {
        entry.staged = entry.given_up = false;
        entry.kept = true;
      }
      if (entry.claims == 0 && entry.given_up && entry.staged) {
        if (give_up(at)) given_up.push_back(data);
      } else {
        forget_idle(at);
      }
    }
  }
  send(std::move(given_up));
}

void FileTable::forget_staged() {
  const std::lock_guard lock(mutex_);
  for (auto& [data, entry] : entries_) entry.staged = entry.given_up = false;
  std::erase_if(entries_, [](const auto& at) { return at.second.idle(); });
}

void FileTable::forget_staged(const DataId& data) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(data);
  if (at == entries_.end()) return;
  at->second.staged = at->second.given_up = false;
  forget_idle(at);
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
    for (const DataId& data : files) doom(data);
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

void FileTable::remove_file(const DataId& data, const Remove& remove) {
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

bool FileTable::begin_search() {
  const std::lock_guard lock(mutex_);
  if (searching_) return false;
  searching_ = true;
  return true;
}

void FileTable::end_search() {
  const std::lock_guard lock(mutex_);
  searching_ = false;
  named_.clear();
}

std::optional<std::vector<DataId>> FileTable::orphans(std::span<const DataId> files, bool take) {
  std::vector<DataId> out;
  const std::lock_guard lock(mutex_);
  if (named_.size() > kMaxNamedInSearch) return std::nullopt;
  for (const DataId& data : files) {
    if (entries_.contains(data) || going_.contains(data) || named_.contains(data)) continue;
    out.push_back(data);
  }
  if (take) going_.insert(out.begin(), out.end());
  return out;
}

void FileTable::give_back(std::span<const DataId> orphans) {
  const std::lock_guard lock(mutex_);
  for (const DataId& data : orphans) going_.erase(data);
}

bool FileTable::remove_leftover(const DataId& data, const Remove& remove) {
  {
    const std::lock_guard lock(mutex_);
    const auto at = entries_.find(data);
    if (at != entries_.end() && at->second.writers > 0) return false;
    leftovers_going_.insert(data);
  }
  const std::lock_guard no_revival(unlink_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (!leftovers_going_.contains(data)) return false;
  }
  remove(data);
  const std::lock_guard lock(mutex_);
  leftovers_going_.erase(data);
  return true;
}

}  // namespace ostraka::disk
