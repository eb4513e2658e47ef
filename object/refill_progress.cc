#include "object/refill_progress.h"

#include <algorithm>
#include <set>
#include <utility>

#include "object/heal_pace.h"
#include "object/limits.h"

namespace ostraka::object {
namespace {

constexpr Duration kRateOver = std::chrono::seconds(30);
constexpr Duration kSampleEvery = std::chrono::seconds(1);

double work(std::uint64_t keys, std::uint64_t bytes) {
  return static_cast<double>(keys) * kPaceKeyWork + static_cast<double>(bytes);
}

}  // namespace

void RefillProgress::begin(std::int64_t started_ms, std::map<BucketId, RefillCheckpoint::Done> done) {
  const std::lock_guard lock(mutex_);
  started_ms_ = started_ms;
  done_ = std::move(done);
  keys_ = bytes_ = 0;
  for (const auto& [bucket, sum] : done_) {
    keys_ += sum.keys;
    bytes_ += sum.bytes;
  }
  samples_.assign(1, Sample{clock_.now(), keys_, bytes_});
}

void RefillProgress::set_totals(std::map<BucketId, RefillTotals> totals) {
  const std::lock_guard lock(mutex_);
  totals_ = std::move(totals);
}

void RefillProgress::set_phase(RefillStatus::Phase phase, std::string problem) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  problem_ = std::move(problem);
}

void RefillProgress::set_groups(unsigned groups) {
  const std::lock_guard lock(mutex_);
  groups_ = groups;
}

void RefillProgress::set_failed(std::uint64_t keys) {
  const std::lock_guard lock(mutex_);
  failed_ = keys;
}

void RefillProgress::add(BucketId bucket, std::uint64_t keys, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  RefillCheckpoint::Done& sum = done_[bucket];
  sum.keys += keys;
  sum.bytes += bytes;
  keys_ += keys;
  bytes_ += bytes;
  sample(clock_.now());
}

void RefillProgress::sample(TimePoint now) {
  if (!samples_.empty() && now - samples_.back().at < kSampleEvery) return;
  samples_.push_back(Sample{now, keys_, bytes_});
  while (samples_.size() > 2 && now - samples_.front().at > kRateOver) samples_.pop_front();
}

std::map<BucketId, RefillCheckpoint::Done> RefillProgress::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

RefillStatus RefillProgress::status() const {
  const std::lock_guard lock(mutex_);
  RefillStatus out;
  out.drive = drive_;
  out.phase = phase_;
  out.problem = problem_;
  out.groups = groups_;
  out.started_ms = started_ms_;
  out.failed_keys = failed_;
  out.keys = keys_;
  out.bytes = bytes_;
  std::set<BucketId> buckets;
  for (const auto& [bucket, sum] : totals_) buckets.insert(bucket);
  for (const auto& [bucket, sum] : done_) buckets.insert(bucket);
  for (const BucketId bucket : buckets) {
    BucketProgress progress;
    progress.bucket = bucket;
    if (const auto sum = done_.find(bucket); sum != done_.end()) {
      progress.keys = sum->second.keys;
      progress.bytes = sum->second.bytes;
    }
    if (const auto total = totals_.find(bucket); total != totals_.end()) {
      progress.keys_total = total->second.keys;
      progress.bytes_total = total->second.bytes;
    }
    // An estimate that is overtaken says nothing any more.
    progress.keys_total = std::max(progress.keys_total, progress.keys);
    progress.bytes_total = std::max(progress.bytes_total, progress.bytes);
    out.keys_total += progress.keys_total;
    out.bytes_total += progress.bytes_total;
    if (out.buckets.size() < kRefillBuckets) out.buckets.push_back(std::move(progress));
  }
  if (phase_ != RefillStatus::Phase::walking || samples_.empty()) return out;
  const Sample& first = samples_.front();
  const double elapsed = std::chrono::duration<double>(clock_.now() - first.at).count();
  if (elapsed <= 0) return out;
  out.keys_per_second = static_cast<double>(keys_ - first.keys) / elapsed;
  out.bytes_per_second = static_cast<double>(bytes_ - first.bytes) / elapsed;
  const double rate = work(keys_ - first.keys, bytes_ - first.bytes) / elapsed;
  const double left = work(out.keys_total - keys_, out.bytes_total - bytes_);
  if (rate > 0) out.eta_ms = static_cast<std::int64_t>(left / rate * 1000);
  return out;
}

}  // namespace ostraka::object
