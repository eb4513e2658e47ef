// RefillProgress: how far the refill of one drive is, how fast it goes and when it ends. Thread safe.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "object/heal_status.h"
#include "object/refill_checkpoint.h"
#include "runtime/clock.h"

namespace ostraka::object {

struct RefillTotals {
  std::uint64_t keys = 0, bytes = 0;
};

class RefillProgress {
 public:
  RefillProgress(Clock& clock, DriveId drive) : clock_(clock), drive_(drive) {}
  // A walk begins, or goes on.
  void begin(std::int64_t started_ms, std::map<BucketId, RefillCheckpoint::Done> done);
  void set_totals(std::map<BucketId, RefillTotals> totals);
  void set_phase(RefillStatus::Phase phase, std::string problem = {});
  void set_groups(unsigned groups);
  void set_failed(std::uint64_t keys);
  void add(BucketId bucket, std::uint64_t keys, std::uint64_t bytes);
  std::map<BucketId, RefillCheckpoint::Done> done() const;
  RefillStatus status() const;  // bucket names are left empty

 private:
  struct Sample {
    TimePoint at;
    std::uint64_t keys = 0, bytes = 0;
  };
  void sample(TimePoint now);  // with the lock held

  Clock& clock_;
  const DriveId drive_;
  mutable std::mutex mutex_;
  RefillStatus::Phase phase_ = RefillStatus::Phase::waiting;
  std::string problem_;
  unsigned groups_ = 0;
  std::int64_t started_ms_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t keys_ = 0, bytes_ = 0;
  std::map<BucketId, RefillCheckpoint::Done> done_;
  std::map<BucketId, RefillTotals> totals_;
  std::deque<Sample> samples_;  // of the last half minute, for the rate
};

}  // namespace ostraka::object
