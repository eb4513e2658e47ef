// What the sets of a node learn together: codecs, which drives are slow, what was lately reported, tombstones
// to purge. A node has a set for each placement group, over the same drives, so none should have to find
// these out by itself. Thread safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "erasure/codec.h"
#include "erasure/limits.h"
#include "erasure/tombstone_queue.h"
#include "erasure/wall_clock_watch.h"

namespace ostraka::disk {
class Drive;
}

namespace ostraka::erasure {

// Calls to one drive that somebody has given up on and that are still out. While there are any, the drive is
// waited for no longer than necessary; when none of them has been answered for a while, it hangs.
class StalledCalls {
 public:
  void given_up(TimePoint now) noexcept {
    if (out_.fetch_add(1, std::memory_order_relaxed) == 0) note(now);
  }
  void answered(TimePoint now) noexcept {
    note(now);
    out_.fetch_sub(1, std::memory_order_relaxed);
  }
  bool any() const noexcept { return out_.load(std::memory_order_relaxed) > 0; }
  bool hangs(TimePoint now) const noexcept {
    return any() &&
           now.time_since_epoch() - Duration(progress_.load(std::memory_order_relaxed)) > kHangsAfter;
  }

 private:
  void note(TimePoint now) noexcept {
    progress_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  std::atomic<int> out_{0};
  std::atomic<Duration::rep> progress_{
      0};  // when the drive last answered one of them, or the first was given up
};
using StalledCallsPtr = std::shared_ptr<StalledCalls>;

class SlowDrives {
 public:
  StalledCallsPtr of(const disk::Drive* drive) {
    const std::lock_guard lock(mutex_);
    StalledCallsPtr& calls = calls_[drive];
    if (!calls) calls = std::make_shared<StalledCalls>();
    return calls;
  }

 private:
  std::mutex mutex_;
  std::map<const disk::Drive*, StalledCallsPtr> calls_;
};

// Remembers things lately done, so that they are not done again at once. It forgets; it never takes one thing
// for another but by their hash.
class RecentThings {
 public:
  bool first_time(std::uint64_t thing) noexcept {
    auto& place = places_[thing % places_.size()];
    return place.exchange(thing, std::memory_order_relaxed) != thing;
  }
  void forget(std::uint64_t thing) noexcept {
    places_[thing % places_.size()].compare_exchange_strong(thing, 0, std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, 1021> places_{};
};

// The upload that was found to be open last.
class OpenUpload {
 public:
  bool known(const std::string& name, TimePoint now) {
    const std::lock_guard lock(mutex_);
    return name == name_ && now - at_ <= kLookAheadKept;
  }
  // at: before the drives were asked.
  void note(std::string name, TimePoint at) {
    const std::lock_guard lock(mutex_);
    name_ = std::move(name);
    at_ = at;
  }

 private:
  std::mutex mutex_;
  std::string name_;
  TimePoint at_{};
};

// The keys that are being healed: one heal of a key at a time.
class HealingKeys {
 public:
  bool enter(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return keys_.insert(key).second;
  }
  void leave(const std::string& key) {
    const std::lock_guard lock(mutex_);
    keys_.erase(key);
  }

 private:
  std::mutex mutex_;
  std::set<std::string> keys_;
};

struct SetShared {
  CodecCache codecs;
  SlowDrives slow;
  std::atomic<std::uint64_t> read_latency_us{0};  // moving average of shard reads
  RecentThings retired;                           // versions that a reader retired
  RecentThings reported;                          // damaged shards
  RecentThings settled;                           // leftovers of dead writers
  RecentThings lost;                              // versions that cannot be rebuilt
  RecentThings dated_ahead;                       // keys
  OpenUpload open_upload;
  HealingKeys healing;
  TombstoneQueue tombstones;
  WallClockWatch wall_clock{kPurgeAfter};  // begun with the first set
};

// While it lives no other heal of the key begins.
class HealTurn {
 public:
  HealTurn(std::shared_ptr<SetShared> shared, std::string key)
      : shared_(std::move(shared)), key_(std::move(key)) {}
  HealTurn(const HealTurn&) = delete;
  HealTurn& operator=(const HealTurn&) = delete;
  ~HealTurn() {
    if (entered_) shared_->healing.leave(key_);
  }
  // False: another one is at it.
  bool enter() { return entered_ = shared_->healing.enter(key_); }

 private:
  std::shared_ptr<SetShared> shared_;
  const std::string key_;
  bool entered_ = false;
};

}  // namespace ostraka::erasure
