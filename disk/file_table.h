// What this process knows of the shard files of one drive beyond the index: which are staged, which versions'
// files are being read, and which wait to be unlinked. Thread safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace ostraka::disk {

class FileTable : public std::enable_shared_from_this<FileTable> {
 public:
  // Called with files to remove, from any thread; it arranges for remove_file() to be called for each, on
  // another thread. It must not call the table itself.
  using Unlink = std::function<void(std::vector<DataId>)>;
  explicit FileTable(Unlink unlink) : unlink_(std::move(unlink)) {}

  // --- staged files
  // A file is about to be written: if it waits to be unlinked, it does so no longer.
  void revive(const DataId& data);
  void staged(const DataId& data, bool replaces_owned);  // finish() succeeded
  // For a write that is given up: unlinks the staged file, unless a commit claims it or it took the place of
  // a committed one.
  void discard(const DataId& data);
  enum class Claim : std::uint8_t {
    staged,
    unknown,
    going
  };  // unknown: not of this process; going: about to be unlinked
  Claim claim(const DataId& data);  // staged ones belong to a commit now
  void settle_claims(std::span<const DataId> files, bool durable);
  void forget_staged();  // the folder went away: who is staged has to be looked up on disk again

  // --- readers
  // Counts files that were given up. A reader that finds it unchanged since before it read the row has pinned
  // in time.
  std::uint64_t drops() const noexcept { return drops_.load(std::memory_order_acquire); }
  std::shared_ptr<const void> pin(std::vector<VersionId> versions);

  // --- the committer, after the batch that dropped `owner` is durable: unlinks now or with the owner's last
  // pin
  void drop(VersionId owner, std::vector<DataId> files);

  // Runs remove(path of data) unless the file was revived meanwhile. Called by whoever `unlink` handed it to.
  void remove_file(const DataId& data, const std::function<void(const DataId&)>& remove);
  // Nothing is unlinked any more: the drive is closing.
  void close();

 private:
  struct Pin;
  void unpin(const std::vector<VersionId>& versions);
  void send(std::vector<DataId> files);

  struct Staged {
    bool claimed = false;
    bool replaces_owned = false;
  };
  std::mutex unlink_mutex_;  // taken before mutex_; held while a file is being removed
  std::mutex mutex_;
  Unlink unlink_;
  std::unordered_map<DataId, Staged> staged_;
  std::unordered_map<VersionId, std::size_t> pins_;
  std::unordered_map<VersionId, std::vector<DataId>> doomed_;  // by pinned owner
  std::unordered_set<DataId> going_;                           // doomed, or on the way to remove_file()
  std::atomic<std::uint64_t> drops_{0};
};

}  // namespace ostraka::disk
