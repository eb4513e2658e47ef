// Usage: how many objects and bytes each bucket has, from the numbers that the drives keep with each of their
// batches. Nothing is counted here; the drives are asked when somebody wants to know and the last answer is
// old.
//
// The arithmetic. Every key has a row on each of the n drives of its group, so over N drives every object is
// counted n times.
// - N = n: each drive has all keys, and its numbers are those of the deployment. What most drives say holds;
//   of equally many, what has changed more often. Drives that are being refilled have no say.
// - N > n: the drives' numbers are added and divided by n. For a drive that is away or being refilled the
//   last numbers it gave as a full drive stand in; without them, the mean of those that answered.
// Numbers are exact when all drives are in service and healed; `exact` says whether all drives answered and
// agree (N = n: the same numbers; N > n: a sum that n divides). A group that is on its way between two drives
// may be counted on both: while there is one, nothing is exact.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "disk/drive_roster.h"
#include "object/bucket_store.h"
#include "runtime/gate.h"

namespace ostraka::object {

inline constexpr std::string_view kBucketObjectsMetric = "ostraka_bucket_objects";
inline constexpr std::string_view kBucketBytesMetric = "ostraka_bucket_bytes";

struct BucketTotals {
  BucketId bucket{};
  std::uint64_t objects = 0;
  std::uint64_t object_bytes = 0;  // as clients see them
  std::uint64_t uploads = 0;       // multipart uploads in progress
  std::uint64_t part_bytes = 0;    // of their parts
  bool exact = false;
};

struct UsageSnapshot {
  std::int64_t at_ms = 0;             // unix time
  std::vector<BucketTotals> buckets;  // ascending by bucket; those without rows are left out
  const BucketTotals* find(BucketId bucket) const noexcept;
};
using UsagePtr = std::shared_ptr<const UsageSnapshot>;

// What one drive answered.
struct DriveUsage {
  std::vector<disk::BucketUsage> buckets;  // ascending by bucket
  bool full = true;                        // not being refilled
};
// The arithmetic above, as a pure function. answers: by drive, null for one that is away; remembered: what
// each drive said last as a full drive, null when never.
std::vector<BucketTotals> combine_usage(const std::vector<const DriveUsage*>& answers,
                                        const std::vector<const DriveUsage*>& remembered,
                                        unsigned set_drives);

// All of it outlives the usage.
struct UsageDeps {
  Clock& clock;
  MetricRegistry& metrics;
  const BucketStore& buckets;         // names for metrics
  disk::RosterPtr drives;             // of the deployment
  unsigned set_drives = 1;            // n
  Gate& background;                   // drives that do not answer in time
  std::function<bool()> moving = {};  // groups are on their way between drives. Empty: never
};

// Thread safe.
class Usage {
 public:
  explicit Usage(UsageDeps deps);

  // At most max_age old (zero: asked now). Never fails: drives that do not answer in time count as away. Also
  // sets the metrics of buckets.
  Task<UsagePtr> get(Ctx& ctx, Duration max_age = std::chrono::seconds(5));

 private:
  Task<UsagePtr> ask(Ctx& ctx);
  void publish(const UsageSnapshot& snapshot);

  const UsageDeps deps_;
  std::mutex mutex_;
  UsagePtr last_;
  TimePoint asked_{};
  std::vector<std::shared_ptr<const DriveUsage>> remembered_;  // by drive; the last as a full drive
  std::set<std::string> metered_;                              // bucket names that have gauges
};

}  // namespace ostraka::object
