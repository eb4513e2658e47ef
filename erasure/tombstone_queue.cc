#include "erasure/tombstone_queue.h"

#include <utility>

#include "erasure/limits.h"

namespace ostraka::erasure {

void TombstoneQueue::add(Entry entry) {
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kPurgeQueue) return;
  entries_.push_back(std::move(entry));
  next_ms_.store(entries_.front().due_ms, std::memory_order_relaxed);
}

std::vector<TombstoneQueue::Entry> TombstoneQueue::take(std::int64_t now_ms) {
  if (!due(now_ms) || busy_.exchange(true, std::memory_order_acquire)) return {};
  std::vector<Entry> out = more(now_ms);
  if (out.empty()) done();
  return out;
}

std::vector<TombstoneQueue::Entry> TombstoneQueue::more(std::int64_t now_ms) {
  std::vector<Entry> out;
  const std::lock_guard lock(mutex_);
  while (!entries_.empty() && entries_.front().due_ms <= now_ms && out.size() < kPurgesAtOnce) {
    out.push_back(std::move(entries_.front()));
    entries_.pop_front();
  }
  next_ms_.store(entries_.empty() ? INT64_MAX : entries_.front().due_ms, std::memory_order_relaxed);
  return out;
}

}  // namespace ostraka::erasure
