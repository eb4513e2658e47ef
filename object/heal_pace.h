// HealPace: how many keys may be healed at a time, so that clients hardly notice and the heal still ends.
// Pure logic: told what clients see and what was healed, it answers with a width. Not thread safe.
//
// While no client asks for anything, the width is the greatest. While clients are there, it is whatever keeps
// their latency below a multiple of what it is without healing, which is measured whenever nothing is healed,
// and otherwise in short pauses of the heal. The heal never falls below a share of its rate without clients.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/metrics.h"
#include "object/heal_status.h"
#include "runtime/clock.h"

namespace ostraka::object {

// Clients' requests since the process started: two of these tell what was between.
struct ClientLoad {
  struct Latencies {
    std::uint64_t finished = 0;
    std::uint64_t sum_us = 0;
    std::array<std::uint64_t, Histogram::kBoundsUs.size() + 1> buckets{};  // as in Histogram, not cumulative
  };
  std::uint64_t in_flight = 0;
  Latencies reads, writes;  // apart, since the many of one kind would hide how long the other takes
  std::uint64_t finished() const noexcept { return reads.finished + writes.finished; }
};
ClientLoad::Latencies latencies_of(const Histogram& histogram) noexcept;

// Of the requests that finished between two moments. 0 when there are none.
double mean_us(const ClientLoad::Latencies& before, const ClientLoad::Latencies& after) noexcept;
// Interpolated in its bucket.
double p99_us(const ClientLoad::Latencies& before, const ClientLoad::Latencies& after) noexcept;

inline constexpr Duration kPaceTick = std::chrono::milliseconds(100);
inline constexpr double kPaceKeyWork = 64.0 * 1024;  // what a key costs beside its bytes, in bytes

class HealPace {
 public:
  HealPace(TimePoint now, double max_width);
  void set_priority(HealPriority priority) noexcept { priority_ = priority; }
  HealPriority priority() const noexcept { return priority_; }
  // Call it every kPaceTick while there is something to heal, and at least every second otherwise. work:
  // bytes healed so far, and kPaceKeyWork a key; wanted: there is something to heal. Gives the width: keys at
  // a time, below 1 that share of the time, 0: none just now.
  double tick(TimePoint now, const ClientLoad& load, double work, bool wanted);
  double width() const noexcept { return width_; }
  double idle_rate() const noexcept { return idle_rate_; }  // work a second without clients; 0: not known

 private:
  enum class Mode : std::uint8_t { quiet, clean, probe, loaded };
  struct Window {
    TimePoint since;
    ClientLoad load;
    double work = 0;
  };
  void enter(Mode mode, TimePoint now, const ClientLoad& load, double work);
  void quiet(TimePoint now, const ClientLoad& load, double work, bool wanted);
  void share(TimePoint now, const ClientLoad& load, double work);
  void learn(TimePoint now, const ClientLoad& load);
  void judge(Duration took, const ClientLoad& load, double work);
  // What one kind of request takes without healing; 0: not known.
  struct Base {
    double mean_us = 0, p99_us = 0;
  };
  void learn_kind(Base& base, const ClientLoad::Latencies& before, const ClientLoad::Latencies& now);
  bool enough(const ClientLoad& load) const noexcept;  // has finished in this window to judge by

  const double max_width_;
  HealPriority priority_ = HealPriority::normal;
  Mode mode_ = Mode::quiet;
  Window window_;
  double width_;         // given out
  double shared_width_;  // while clients are there
  double idle_rate_ = 0;
  Base reads_, writes_;
  TimePoint based_at_{};  // when they were measured
  bool based_ = false;    // or at least tried
  TimePoint last_active_;
  std::uint64_t last_finished_ = 0;
};

}  // namespace ostraka::object
