// What this process knows of the shard files of one drive beyond the index: which are being written or
// staged, which a commit is about to take, which versions' files are being read, and which wait to be
// unlinked. Thread safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace ostraka::disk {

class FileTable : public std::enable_shared_from_this<FileTable> {
 public:
  using Remove = std::function<void(const DataId&)>;
  // Called with files to remove, from any thread; it arranges for remove_file() to be called for each, on
  // another thread. It must not call the table itself.
  using Unlink = std::function<void(std::vector<DataId>)>;
  explicit FileTable(Unlink unlink) : unlink_(std::move(unlink)) {}

  // --- writers of files; each begins once, and ends with staged() or abandoned()
  // If the file waits to be unlinked, it does so no longer.
  void begin_write(const DataId& data);
  void staged(const DataId& data, bool replaces_other);  // finish() succeeded
  // The writer leaves no finished file. begun: he has created one under its own name. True: nobody else needs
  // it, or is about to replace it, and it is to be removed with remove_file().
  bool abandoned(const DataId& data, bool begun);
  // A number that no other writer of this process has, for the name of a file that replaces another.
  std::uint64_t next_replacement() noexcept { return replacements_.fetch_add(1, std::memory_order_relaxed); }
  // For a write that is given up: unlinks the staged file, unless a commit takes it or it took the place of
  // another.
  void discard(const DataId& data);

  // --- commits
  // Before files are looked up on disk for a commit, and after that commit has been tried.
  void begin_look(std::span<const DataId> files);
  void end_look(std::span<const DataId> files);
  enum class Claim : std::uint8_t {
    taken,    // a commit has it now: until settle_claims() nobody unlinks it
    unknown,  // not of this process: to be looked up
    going     // about to be unlinked, or gone since it was found
  };
  // found: it was found on disk, and the look has not ended.
  Claim claim(const DataId& data, bool found);
  void settle_claims(std::span<const DataId> files, bool durable);
  void forget_staged();  // the folder went away: who is staged has to be looked up on disk again
  void forget_staged(const DataId& data);  // the same of one that nobody has committed for long

  // --- readers
  // Counts files that were given up. A reader that finds it unchanged since before it read the row has pinned
  // in time.
  std::uint64_t drops() const noexcept { return drops_.load(std::memory_order_acquire); }
  std::shared_ptr<const void> pin(std::vector<VersionId> versions);

  // --- the committer, after the batch that dropped `owner` is durable: unlinks now or with the owner's last
  // pin
  void drop(VersionId owner, std::vector<DataId> files);

  // Runs remove(path of data) unless the file was revived meanwhile. Called by whoever `unlink` handed it to.
  void remove_file(const DataId& data, const Remove& remove);
  // Nothing is unlinked any more: the drive is closing.
  void close();

  // --- the search for orphans: one at a time
  // From here on the table remembers which files commits have named. False: another search is under way.
  bool begin_search();
  void end_search();
  // Those of the files, found on disk and named by no row, that are nobody's: not written, staged, looked at,
  // going, nor named by a commit since the search began. take: no commit gets them any more, and each has to
  // be given to remove_file(). nullopt: too many commits came in between to
  // remember them all.
  std::optional<std::vector<DataId>> orphans(std::span<const DataId> files, bool take);
  void give_back(std::span<const DataId> orphans);  // taken, but they are not removed after all
  // Removes what a dead heal has left under the file's temporary name. False: a heal may be at work on it.
  bool remove_leftover(const DataId& data, const Remove& remove);

 private:
  struct Pin;
  struct Entry {
    unsigned writers = 0, claims = 0, looks = 0;
    bool staged = false;
    bool kept = false;      // others may need the file: a record names it, or did so before it was replaced
    bool given_up = false;  // discard() came while a commit had it
    bool lost = false;      // unlinked, or about to be, since a look began
    bool idle() const { return writers == 0 && claims == 0 && looks == 0 && !staged; }
  };
  using Entries = std::unordered_map<DataId, Entry>;
  void unpin(const std::vector<VersionId>& versions);
  void send(std::vector<DataId> files);
  // With mutex_ held.
  void doom(const DataId& data);
  bool give_up(Entries::iterator at);  // true: to be unlinked
  void forget_idle(Entries::iterator at);

  std::mutex unlink_mutex_;  // taken before mutex_; held while a file is being removed
  std::mutex mutex_;
  Unlink unlink_;
  Entries entries_;
  std::unordered_map<VersionId, std::size_t> pins_;
  std::unordered_map<VersionId, std::vector<DataId>> doomed_;  // by pinned owner
  std::unordered_set<DataId> going_;                           // doomed, or on the way to remove_file()
  std::unordered_set<DataId> leftovers_going_;                 // the same of temporary names
  std::atomic<std::uint64_t> drops_{0};
  std::atomic<std::uint64_t> replacements_{0};
  bool searching_ = false;
  std::unordered_set<DataId> named_;  // by commits since the search began
};

}  // namespace ostraka::disk
