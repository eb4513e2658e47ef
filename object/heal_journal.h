// HealJournal: what was healed since the start: counters, and the last keys at which something was lacking.
// Thread safe.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "object/heal_status.h"

namespace ostraka::object {

class HealJournal {
 public:
  explicit HealJournal(MetricRegistry& registry);
  // Whether more than its counts is kept of a heal: refills and walks over everything would drive all else
  // out.
  static bool remembers(HealCause cause, bool dry_run, const Result<erasure::HealReport>& report);
  // entry: when it is remembered; the report is that of the entry.
  void note(std::optional<HealedKey> entry, bool dry_run, const Result<erasure::HealReport>& report);
  HealCounts totals() const;
  std::vector<HealedKey> recent() const;  // the newest first
  std::vector<HealedKey> history(BucketId bucket, std::string_view key) const;
  // What the pace is told of: bytes, and a surcharge for each key.
  double work() const noexcept { return static_cast<double>(work_.load(std::memory_order_relaxed)); }

 private:
  std::array<Counter*, 6> outcomes_;  // by HealReport::Outcome
  Counter& shards_;
  Counter& read_;
  Counter& written_;
  std::atomic<std::uint64_t> work_{0};
  mutable std::mutex mutex_;
  HealCounts totals_;
  std::deque<HealedKey> recent_;  // the newest last
};

}  // namespace ostraka::object
