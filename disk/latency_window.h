// The latencies of the last minutes, in a ring of histograms. Not thread safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "disk/drive_condition.h"
#include "runtime/clock.h"

namespace ostraka::disk {

class LatencyWindow {
 public:
  void add(Duration took, TimePoint now) noexcept;
  LatencySummary summary(TimePoint now) const noexcept;
  void clear() noexcept { minutes_ = {}; }

 private:
  static constexpr std::size_t kMinutes = 5;
  static constexpr std::size_t kStepsPerDoubling = 4;
  static constexpr std::size_t kBuckets = 28 * kStepsPerDoubling;  // up to two minutes
  struct Minute {
    std::int64_t number = -1;
    std::uint64_t calls = 0, sum_us = 0;
    std::array<std::uint32_t, kBuckets> counts{};
  };
  static std::size_t bucket_of(std::uint64_t us) noexcept;
  static std::uint64_t value_of(std::size_t bucket) noexcept;
  static std::int64_t minute_of(TimePoint now) noexcept {
    return std::chrono::duration_cast<std::chrono::minutes>(now.time_since_epoch()).count();
  }
  std::array<Minute, kMinutes> minutes_{};
};

}  // namespace ostraka::disk
