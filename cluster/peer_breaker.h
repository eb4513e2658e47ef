// When a node is not worth trying to connect to: after repeated failures only one probe at a time does, after
// a pause that grows.
#pragma once

#include <mutex>

#include "runtime/clock.h"
#include "runtime/random.h"

namespace ostraka::cluster {

inline constexpr unsigned kBreakerFailures = 3;  // in a row open it
inline constexpr Duration kBreakerFirstPause = std::chrono::milliseconds(250);
inline constexpr Duration kBreakerLongestPause = std::chrono::seconds(5);

// Thread safe. random outlives it.
class PeerBreaker {
 public:
  // probe_time: how long a probe may take; when nothing was heard of it by then, another may go.
  PeerBreaker(Random& random, Duration probe_time) : random_(random), probe_time_(probe_time) {}
  // Whether a caller may connect now. Open, the one that is told so is the probe.
  bool may_connect(TimePoint now);
  // True when this opened or closed it.
  bool failed(TimePoint now);
  bool worked();
  bool is_open() const;
  // The node is there again, as far as can be told: the next caller is the probe.
  void try_again();

 private:
  Random& random_;
  const Duration probe_time_;
  mutable std::mutex mutex_;
  unsigned failures_ = 0;  // in a row
  Duration pause_{};
  TimePoint next_probe_{};
  bool probing_ = false;
};

}  // namespace ostraka::cluster
