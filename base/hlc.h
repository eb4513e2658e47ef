// Hybrid logical clock (Kulkarni et al. 2014): unique version ids close to wall time, each later than what it
// has to follow. Thread safe.
//
// A version id has to be later than all that is known of its key, and unique. That ids of different keys
// follow each other is not needed, so a clock that was ahead and was set right spoils nothing but the keys
// written meanwhile: ids go on from the wall clock, under a new origin, since the times may come again; and
// the id of a key whose newest version is dated ahead is dated just after it, and leaves the clock alone.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/ids.h"

namespace ostraka {

// An id further ahead of the wall clock is not the clock's own doing: drives refuse what is twice as far
// ahead.
inline constexpr std::int64_t kHlcAheadMs = 30'000;

class Hlc {
 public:
  explicit Hlc(std::uint32_t origin) noexcept : origin_(origin) {}
  // A new id, later than `after`; later than every id made or observed here, as long as the wall clock is not
  // set back by more than kHlcAheadMs, and what was observed is not further ahead of it. wall_ms is the
  // caller's clock in unix milliseconds.
  VersionId next(std::int64_t wall_ms, VersionId after = kNoVersion) noexcept;

 private:
  std::mutex mutex_;
  std::uint32_t origin_;    // times under one origin only rise
  std::uint64_t last_ = 0;  // the newest time that the clock goes on from
};

}  // namespace ostraka
