// How much room a drive has above its reserve. Thread safe; asking is two atomic loads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "disk/limits.h"
#include "runtime/fs.h"

namespace ostraka::disk {

class SpaceGauge {
 public:
  void set(const SpaceInfo& info) noexcept {
    total_.store(info.total_bytes, std::memory_order_relaxed);
    free_.store(static_cast<std::int64_t>(info.free_bytes), std::memory_order_relaxed);
  }
  void wrote(std::uint64_t bytes) noexcept {  // until the next set()
    free_.fetch_sub(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
  }
  bool has_room(std::uint64_t bytes) const noexcept {
    return free_.load(std::memory_order_relaxed) >= static_cast<std::int64_t>(reserve() + bytes);
  }
  std::uint64_t total() const noexcept { return total_.load(std::memory_order_relaxed); }
  std::uint64_t free() const noexcept {  // above the reserve
    const std::int64_t above = free_.load(std::memory_order_relaxed) - static_cast<std::int64_t>(reserve());
    return static_cast<std::uint64_t>(std::max<std::int64_t>(above, 0));
  }
  std::uint64_t used() const noexcept {
    const std::int64_t free = std::max<std::int64_t>(free_.load(std::memory_order_relaxed), 0);
    return total() - std::min(total(), static_cast<std::uint64_t>(free));
  }
  std::uint64_t reserve() const noexcept { return std::max(kMinReserveBytes, total() / kReserveDivisor); }

 private:
  std::atomic<std::uint64_t> total_{0};
  std::atomic<std::int64_t> free_{0};
};

}  // namespace ostraka::disk
