// Things that a peer has asked this node to keep for it, by ids that this node makes, each until the peer
// lets go of it or has not been heard of for the lease. A peer finds only what is its own.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cluster/transport.h"
#include "runtime/clock.h"

namespace ostraka::cluster {

struct LeaseLimits {
  std::size_t all;   // of all peers together
  std::size_t peer;  // of one
  Duration lease;
};

// Thread safe. What is let go of is destroyed outside of the lock.
template <class T>
class LeaseTable {
 public:
  // first_id: random, so that the ids of an earlier life of this node mean nothing. 0 is no id.
  LeaseTable(Clock& clock, LeaseLimits limits, std::uint64_t first_id)
      : clock_(clock), limits_(limits), next_id_(first_id) {}

  // nullopt: the peer keeps as much as it may, or all peers do.
  std::optional<std::uint64_t> add(const NodeName& peer, T value) {
    const std::lock_guard lock(mutex_);
    Entries& entries = peers_[peer];
    if (size_ >= limits_.all || entries.size() >= limits_.peer) return std::nullopt;
    if (next_id_ == 0) ++next_id_;
    const std::uint64_t id = next_id_++;
    entries.emplace(id, Entry{std::move(value), expiry()});
    ++size_;
    return id;
  }
  // A copy of it; renews it.
  std::optional<T> find(const NodeName& peer, std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    Entry* const entry = look_up(peer, id);
    if (entry == nullptr) return std::nullopt;
    entry->expires = expiry();
    return entry->value;
  }
  void renew(const NodeName& peer, std::uint64_t id) { static_cast<void>(find(peer, id)); }
  void remove(const NodeName& peer, std::uint64_t id) {
    std::optional<T> gone;
    const std::lock_guard lock(mutex_);
    Entry* const entry = look_up(peer, id);
    if (entry == nullptr) return;
    gone.emplace(std::move(entry->value));
    peers_.find(peer)->second.erase(id);
    --size_;
  }
  // Lets go of what has not been renewed for too long.
  void sweep() {
    std::vector<T> gone;
    const TimePoint now = clock_.now();
    const std::lock_guard lock(mutex_);
    for (auto peer = peers_.begin(); peer != peers_.end();) {
      Entries& entries = peer->second;
      for (auto entry = entries.begin(); entry != entries.end();) {
        if (entry->second.expires > now) {
          ++entry;
          continue;
        }
        gone.push_back(std::move(entry->second.value));
        entry = entries.erase(entry);
        --size_;
      }
      peer = entries.empty() ? peers_.erase(peer) : std::next(peer);
    }
  }
  void clear() {
    std::unordered_map<NodeName, Entries> gone;
    const std::lock_guard lock(mutex_);
    gone.swap(peers_);
    size_ = 0;
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return size_;
  }

 private:
  struct Entry {
    T value;
    TimePoint expires;
  };
  using Entries = std::unordered_map<std::uint64_t, Entry>;

  TimePoint expiry() const { return deadline_after(clock_.now(), limits_.lease); }
  Entry* look_up(const NodeName& peer, std::uint64_t id) {
    const auto entries = peers_.find(peer);
    if (entries == peers_.end()) return nullptr;
    const auto entry = entries->second.find(id);
    return entry == entries->second.end() ? nullptr : &entry->second;
  }

  Clock& clock_;
  const LeaseLimits limits_;
  mutable std::mutex mutex_;
  std::unordered_map<NodeName, Entries> peers_;
  std::uint64_t next_id_;
  std::size_t size_ = 0;
};

}  // namespace ostraka::cluster
