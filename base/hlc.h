// Hybrid logical clock (Kulkarni et al. 2014): unique, monotonic version ids close to wall time. Thread safe.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/ids.h"

namespace ostraka {

class Hlc {
 public:
  explicit Hlc(std::uint32_t origin) noexcept : origin_(origin) {}
  // A new id later than every id made or observed here, and later than `after`. wall_ms is the caller's clock
  // in unix milliseconds.
  VersionId next(std::int64_t wall_ms, VersionId after = kNoVersion) noexcept;

 private:
  std::uint32_t origin_;
  std::atomic<std::uint64_t> last_{0};
};

}  // namespace ostraka
