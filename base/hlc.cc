#include "base/hlc.h"

#include <algorithm>

namespace ostraka {

VersionId Hlc::next(std::int64_t wall_ms, VersionId after) noexcept {
  const std::uint64_t wall = static_cast<std::uint64_t>(std::max<std::int64_t>(wall_ms, 0)) << 16;
  // kAnyVersion has no successor: it stands for "no particular predecessor".
  const std::uint64_t observed = after == kAnyVersion ? 0 : after.time;
  std::uint64_t last = last_.load(std::memory_order_relaxed);
  std::uint64_t time;
  do {
    time = std::max(wall, std::max(last, observed) + 1);
  } while (!last_.compare_exchange_weak(last, time, std::memory_order_relaxed));
  return {time, origin_};
}

}  // namespace ostraka
