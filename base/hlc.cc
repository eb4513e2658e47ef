#include "base/hlc.h"

#include <algorithm>

namespace ostraka {

VersionId Hlc::next(std::int64_t wall_ms, VersionId after) noexcept {
  const std::int64_t now_ms = std::max<std::int64_t>(wall_ms, 0);
  const std::uint64_t wall = static_cast<std::uint64_t>(now_ms) << 16;
  const std::uint64_t limit = static_cast<std::uint64_t>(now_ms + kHlcAheadMs) << 16;
  // kAnyVersion has no successor: it stands for "no particular predecessor".
  const std::uint64_t observed = after == kAnyVersion ? 0 : after.time;
  const std::lock_guard lock(mutex_);
  if (last_ > limit) {  // the wall clock was set back
    ++origin_;
    last_ = 0;
  }
  if (observed > limit) return {observed + 1, origin_++};  // no other id under this origin is as late
  last_ = std::max(wall, std::max(last_, observed) + 1);
  return {last_, origin_};
}

}  // namespace ostraka
