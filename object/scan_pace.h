// ScanPace: when a background pass may do its next piece of work. Work is measured in bytes: those verified,
// and a surcharge for each key, which costs a seek or two on each drive. Pure arithmetic; not thread safe.
//
// The rate is what brings a pass to its end in four fifths of the period, and at least a floor, so that small
// deployments have long quiet times. A pass that fell behind its schedule, since clients came first, catches
// up at twice the rate; once it is `most_lag` behind it no longer yields.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/clock.h"

namespace ostraka::object {

inline constexpr double kScanFloorBytesPerSecond = 128.0 * 1024;
inline constexpr double kScanKeyCost = 64.0 * 1024;  // in bytes: at the floor, two keys a second
inline constexpr double kScanRowCost = 1024;         // of a row that is only read

class ScanPace {
 public:
  ScanPace(Duration period, TimePoint now)
      : period_(period),
        most_lag_(std::clamp<Duration>(period / 100, std::chrono::minutes(1), std::chrono::hours(1))),
        due_(now) {}
  // total_cost: of a whole pass.
  void set_total(double total_cost) noexcept {
    const double time = std::chrono::duration<double>(period_).count() * 0.8;
    if (time > 0) rate_ = std::max(kScanFloorBytesPerSecond, total_cost / time);
  }
  double rate() const noexcept { return rate_; }  // bytes a second
  // After work of that cost: when the next may begin.
  TimePoint after(TimePoint now, double cost) noexcept {
    due_ = std::max(due_ + seconds(cost / rate_), now - most_lag_);
    return std::max(due_, now + seconds(cost / (2 * rate_)));
  }
  // Whether the schedule leaves time to wait for clients.
  bool may_yield(TimePoint now) const noexcept { return now - due_ < most_lag_; }

 private:
  static Duration seconds(double s) noexcept {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
  }
  const Duration period_, most_lag_;
  TimePoint due_;
  double rate_ = kScanFloorBytesPerSecond;
};

}  // namespace ostraka::object
