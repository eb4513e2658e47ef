// Tombstones that wait until they may be purged (rule 9 of the protocol). In memory and bounded: what is
// forgotten here, the scanner finds. Thread safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "base/ids.h"
#include "disk/drive.h"

namespace ostraka::erasure {

struct SetCore;

class TombstoneQueue {
 public:
  struct Entry {
    std::weak_ptr<SetCore> set;  // of its group
    disk::ObjectRef ref;
    VersionId id;
    std::int64_t due_ms = 0;
  };
  void add(Entry entry);
  // Those due, at most kPurgesAtOnce, when nobody else is at it. Whoever gets some may take more, and calls
  // done() at the end.
  std::vector<Entry> take(std::int64_t now_ms);
  std::vector<Entry> more(std::int64_t now_ms);
  void done() noexcept { busy_.store(false, std::memory_order_release); }
  bool due(std::int64_t now_ms) const noexcept { return now_ms >= next_ms_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  std::deque<Entry> entries_;  // in the order they become due
  std::atomic<std::int64_t> next_ms_{INT64_MAX};
  std::atomic<bool> busy_{false};
};

}  // namespace ostraka::erasure
