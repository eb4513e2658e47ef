// HealPace: how many keys may be healed at a time, so that clients hardly notice and the heal still ends.
// Pure logic: told what clients see and what was healed, it answers with a width. Not thread safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/metrics.h"
#include "object/heal_status.h"
#include "runtime/clock.h"

namespace ostraka::object {

// Clients' requests since the process started: counters, so that two of these tell what was between.
struct ClientLoad {
  std::uint64_t in_flight = 0;
  std::uint64_t finished = 0;
  std::uint64_t sum_us = 0;                                              // of their latencies
  std::array<std::uint64_t, Histogram::kBoundsUs.size() + 1> buckets{};  // as in Histogram, not cumulative
};

}  // namespace ostraka::object
