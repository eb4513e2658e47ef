#include "cluster/peer_breaker.h"

#include <algorithm>
#include <utility>

namespace ostraka::cluster {

bool PeerBreaker::is_open() const {
  const std::lock_guard lock(mutex_);
  return failures_ >= kBreakerFailures;
}

bool PeerBreaker::may_connect(TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (failures_ < kBreakerFailures) return true;
  if (now < next_probe_) return false;
  next_probe_ = now + probe_time_;
  probing_ = true;
  return true;
}

bool PeerBreaker::failed(TimePoint now) {
  const std::lock_guard lock(mutex_);
  const bool was_open = failures_ >= kBreakerFailures;
  // Attempts that began before it opened may end later: they are no news.
  if (was_open && !std::exchange(probing_, false)) return false;
  failures_ = std::min(failures_ + 1, kBreakerFailures);
  if (failures_ < kBreakerFailures) return false;
  pause_ = was_open ? std::min(pause_ * 2, kBreakerLongestPause) : kBreakerFirstPause;
  // A quarter more or less, so that the nodes do not all come back at once.
  const double spread = 0.75 + 0.5 * (static_cast<double>(random_u64(random_) >> 11U) * 0x1p-53);
  next_probe_ = now + std::chrono::duration_cast<Duration>(pause_ * spread);
  return !was_open;
}

void PeerBreaker::try_again() {
  const std::lock_guard lock(mutex_);
  if (failures_ < kBreakerFailures || probing_) return;
  next_probe_ = TimePoint::min();
  pause_ = kBreakerFirstPause / 2;  // which the next failure doubles
}

bool PeerBreaker::worked() {
  const std::lock_guard lock(mutex_);
  const bool was_open = failures_ >= kBreakerFailures;
  failures_ = 0;
  probing_ = false;  // it may have been a kept connection that worked, and not the probe's
  return was_open;
}

}  // namespace ostraka::cluster
