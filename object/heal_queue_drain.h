// HealQueueDrain: heals what the durable heal queue names, oldest first, and takes each entry off all drives
// once its key is whole. Belongs to the home shard; status() is thread safe.
//
// It looks at the drives' counters once a second and reads the queue only when something was recorded, a
// drive came back, or what it knows of is done. An entry that only lacks drives that are away is not tried
// before one of them is back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "object/heal_core.h"
#include "object/heal_queue_reader.h"

namespace ostraka::object {

class HealQueueDrain {
 public:
  explicit HealQueueDrain(HealCore& core);  // which outlives it
  // Until the service stops; inside core.gate.
  Task<> run();
  HealQueueStatus status() const;

 private:
  struct Item {
    QueuedHeal queued;
    int attempts = 0;
    TimePoint retry_at{};  // in later_ under this; otherwise in ready_
    bool waits = false;    // for that time
    bool in_flight = false;
    std::uint64_t seen = 0;  // in which reading of the queue
  };
  using Items = std::map<std::string, Item>;
  // An entry that was tried and lacks only drives that were away then.
  struct Deferred {
    VersionId version;
    std::int64_t when_ms = 0;
    std::vector<disk::Drive*> drives;
  };

  Task<> look();
  Task<> read_queue();
  void consider(QueuedHeal queued);
  void add(QueuedHeal queued);
  void forget(Items::iterator item);
  void unlist(const Items::iterator& item);
  void list(const Items::iterator& item);
  void wait_until(const Items::iterator& item, TimePoint at);
  void promote();      // what has waited long enough
  void promote_all();  // a drive is back
  void publish();
  static Task<> heal_one(HealQueueDrain* self, std::string name);
  Task<> done(std::string name, bool* erased);
  void not_done(const Items::iterator& item, const Result<erasure::HealReport>& report);
  bool are_of_group(const std::vector<disk::Drive*>& drives, const erasure::HealEntry& entry) const;
  std::vector<disk::Drive*> lacking(const QueuedHeal& queued) const;
  void defer(const Items::iterator& item, std::vector<disk::Drive*> drives);
  void count_waiting(const std::vector<disk::Drive*>& drives);

  HealCore& core_;
  Items items_;
  std::set<std::pair<std::int64_t, std::string>> ready_;  // by when they were recorded
  std::set<std::pair<TimePoint, std::string>> later_;
  std::unordered_map<std::string, Deferred> deferred_;
  std::map<disk::Drive*, std::uint64_t> waiting_;  // entries, by drive that is away
  std::vector<bool> online_;                       // by drive, when last looked at
  std::vector<std::uint64_t> counted_;             // by drive: what its counter should say
  std::vector<std::uint64_t> recorded_;            // by drive: what it said when last looked at
  std::vector<std::uint64_t> erased_;              // by drive, since the start
  std::uint64_t reading_ = 0;                      // of the queue, how many times
  std::uint64_t known_ = 0;                        // entries, as of the last reading
  std::int64_t oldest_ms_ = 0;                     // of those that wait for drives
  std::uint64_t most_counted_ = 0;
  bool read_again_ = true;
  bool left_some_ = false;  // more entries than are kept in memory
  TimePoint next_look_{}, last_read_{}, read_not_before_{};
  Gauge& entries_gauge_;
  Gauge& oldest_gauge_;
  mutable std::mutex mutex_;
  HealQueueStatus status_;
};

}  // namespace ostraka::object
