#include "disk/latency_window.h"

#include <algorithm>
#include <bit>

namespace ostraka::disk {

// Four steps to each doubling: the two bits below the highest.
std::size_t LatencyWindow::bucket_of(std::uint64_t us) noexcept {
  if (us < kStepsPerDoubling) return static_cast<std::size_t>(us);
  const auto top = static_cast<std::size_t>(std::bit_width(us)) - 1;
  const auto step = static_cast<std::size_t>(us >> (top - 2)) & 3;
  return std::min(kBuckets - 1, (top - 1) * kStepsPerDoubling + step);
}

// The middle of the bucket.
std::uint64_t LatencyWindow::value_of(std::size_t bucket) noexcept {
  if (bucket < kStepsPerDoubling) return bucket;
  const std::size_t top = bucket / kStepsPerDoubling + 1;
  const std::uint64_t width = std::uint64_t{1} << (top - 2);
  return (kStepsPerDoubling + bucket % kStepsPerDoubling) * width + width / 2;
}

void LatencyWindow::add(Duration took, TimePoint now) noexcept {
  const std::int64_t number = minute_of(now);
  Minute& minute = minutes_[static_cast<std::size_t>(number) % kMinutes];
  if (minute.number != number) {
    minute = Minute{};
    minute.number = number;
  }
  const auto us = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  ++minute.calls;
  minute.sum_us += us;
  ++minute.counts[bucket_of(us)];
}

LatencySummary LatencyWindow::summary(TimePoint now) const noexcept {
  const std::int64_t last = minute_of(now);
  std::array<std::uint64_t, kBuckets> counts{};
  LatencySummary out;
  std::uint64_t sum = 0;
  for (const Minute& minute : minutes_) {
    if (minute.number <= last - static_cast<std::int64_t>(kMinutes) || minute.number > last) continue;
    out.calls += minute.calls;
    sum += minute.sum_us;
    for (std::size_t i = 0; i < kBuckets; ++i) counts[i] += minute.counts[i];
  }
  if (out.calls == 0) return out;
  out.mean_us = sum / out.calls;
  const auto quantile = [&](std::uint64_t percent) {
    const std::uint64_t rank = (out.calls * percent + 99) / 100;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += counts[i];
      if (seen >= rank) return value_of(i);
    }
    return value_of(kBuckets - 1);
  };
  out.p50_us = quantile(50);
  out.p99_us = quantile(99);
  return out;
}

}  // namespace ostraka::disk
