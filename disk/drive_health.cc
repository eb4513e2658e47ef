#include "disk/drive_health.h"

#include <fmt/format.h>

#include <algorithm>

namespace ostraka::disk {
namespace {

constexpr Duration kHesitation = std::chrono::milliseconds(50);

std::int64_t seconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

std::size_t not_needed_for_writing(unsigned data_shards, unsigned parity_shards) {
  const unsigned n = data_shards + parity_shards;
  return n - std::max(data_shards, n / 2 + 1);
}

}  // namespace

std::string_view to_string(DriveState state) noexcept {
  switch (state) {
    case DriveState::ok:
      return "ok";
    case DriveState::away:
      return "away";
    case DriveState::stalled:
      return "stalled";
    case DriveState::failing:
      return "failing";
  }
  return "unknown";
}

FailingQuota::FailingQuota(unsigned data_shards, unsigned parity_shards) noexcept
    : most_(parity_shards == 0 ? 0 : not_needed_for_writing(data_shards, parity_shards)) {}

void FailingQuota::note(unsigned slot, bool out_of_service) {
  const std::lock_guard lock(mutex_);
  if (out_of_service) {
    out_.insert(slot);
  } else {
    out_.erase(slot);
  }
}

bool FailingQuota::may_take_out(unsigned slot) {
  const std::lock_guard lock(mutex_);
  if (!out_.contains(slot) && out_.size() >= most_) return false;
  out_.insert(slot);
  return true;
}

DriveHealth::DriveHealth(TimePoint now, HealthPolicy policy)
    : policy_(policy), written_at_(now), next_probe_(now + policy.probe_period) {}

void DriveHealth::begins(Lane lane, TimePoint now) noexcept {
  const auto i = static_cast<std::size_t>(lane);
  if (running_[i].fetch_add(1, std::memory_order_relaxed) == 0) progress(lane, now);
}

void DriveHealth::progress(Lane lane, TimePoint now) noexcept {
  progress_[static_cast<std::size_t>(lane)].store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

void DriveHealth::ends(Lane lane, TimePoint now) noexcept {
  progress(lane, now);
  running_[static_cast<std::size_t>(lane)].fetch_sub(1, std::memory_order_relaxed);
}

bool DriveHealth::hesitates(TimePoint now) const noexcept {
  const auto jobs = static_cast<std::size_t>(Lane::jobs);
  if (running_[jobs].load(std::memory_order_relaxed) == 0) return false;
  return now.time_since_epoch().count() - progress_[jobs].load(std::memory_order_relaxed) >
         kHesitation.count();
}

// The longest that a lane with calls under way has been without progress, if that is too long.
std::optional<Duration> DriveHealth::stuck_for(TimePoint now) const noexcept {
  std::optional<Duration> longest;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (running_[lane].load(std::memory_order_relaxed) == 0) continue;
    const Duration since = now.time_since_epoch() - Duration(progress_[lane].load(std::memory_order_relaxed));
    if (since >= policy_.stalled_after && (!longest || since > *longest)) longest = since;
  }
  return longest;
}

DriveHealth::Slot& DriveHealth::slot(TimePoint now) {
  const std::int64_t number = now.time_since_epoch() / (policy_.window / kSlots);
  Slot& slot = slots_[static_cast<std::size_t>(number) % kSlots];
  if (slot.number != number) {
    slot = Slot{};
    slot.number = number;
  }
  return slot;
}

DriveHealth::Slot DriveHealth::sum(TimePoint now) const {
  const std::int64_t last = now.time_since_epoch() / (policy_.window / kSlots);
  Slot out;
  for (const Slot& slot : slots_) {
    if (slot.number <= last - static_cast<std::int64_t>(kSlots) || slot.number > last) continue;
    out.calls += slot.calls;
    out.io += slot.io;
    out.corrupt += slot.corrupt;
    out.index += slot.index;
  }
  return out;
}

void DriveHealth::told(CallKind kind, Duration took, std::optional<Errc> code, TimePoint now) {
  const std::lock_guard lock(mutex_);
  Slot& current = slot(now);
  ++current.calls;
  current.io += code == Errc::io ? 1 : 0;
  current.corrupt += code == Errc::corrupt ? 1 : 0;
  if (!code && kind != CallKind::upkeep) {
    latency_[static_cast<std::size_t>(kind)].add(took, now);
    if (kind == CallKind::write) written_at_ = now;
  }
}

void DriveHealth::index_failed(TimePoint now) {
  const std::lock_guard lock(mutex_);
  ++slot(now).index;
}

void DriveHealth::folder_is_good(TimePoint now) noexcept {
  const std::lock_guard lock(mutex_);
  folder_good_at_ = now;
}

bool DriveHealth::wants_probe(TimePoint now) const {
  if (running_[static_cast<std::size_t>(Lane::probe)].load(std::memory_order_relaxed) > 0) return false;
  const std::lock_guard lock(mutex_);
  if (now < next_probe_) return false;
  switch (state_.load(std::memory_order_relaxed)) {
    case DriveState::ok:
      return failed_probes_ > 0 || now - written_at_ >= policy_.probe_period;
    case DriveState::failing:
      return !out_for_good_ && now >= retry_at_;
    default:
      return true;
  }
}

bool DriveHealth::probed(Duration took, std::optional<Errc> code, TimePoint now) {
  const std::lock_guard lock(mutex_);
  const DriveState state = state_.load(std::memory_order_relaxed);
  next_probe_ = now + (state == DriveState::ok ? policy_.probe_period : policy_.probe_retry);
  if (code == Errc::io || code == Errc::corrupt) {
    good_probes_ = 0;
    if (state != DriveState::failing) {
      next_probe_ = now + policy_.probe_retry;
    } else {
      cool_down_ = std::min(cool_down_ * 2, policy_.cool_down_max);
      retry_at_ = now + cool_down_;
    }
    return ++failed_probes_ == 1;
  }
  // A full file system has answered; it has not shown that it takes writes.
  if (code && !(code == Errc::no_space && state == DriveState::stalled)) return false;
  failed_probes_ = 0;
  good_probes_ = took <= policy_.slow_probe ? good_probes_ + 1 : 0;
  return false;
}

std::string DriveHealth::what_fails(TimePoint now) const {
  const Slot recent = sum(now);
  const std::int64_t window = seconds(policy_.window);
  const auto share = [&](std::uint64_t errors) {
    return errors * 100 / std::max<std::uint64_t>(1, recent.calls);
  };
  if (recent.io >= policy_.io_errors && share(recent.io) >= policy_.io_percent) {
    return fmt::format("{} of {} calls within {} s failed with input/output errors", recent.io, recent.calls,
                       window);
  }
  if (recent.corrupt >= policy_.corrupt_errors && share(recent.corrupt) >= policy_.corrupt_percent) {
    return fmt::format("{} of {} calls within {} s read bytes that are not what was written", recent.corrupt,
                       recent.calls, window);
  }
  if (recent.index >= policy_.index_failures)
    return fmt::format("its index had to be closed {} times within {} s", recent.index, window);
  if (failed_probes_ >= policy_.probe_failures)
    return fmt::format("{} probes in a row failed to write, sync and read back a small file", failed_probes_);
  return {};
}

void DriveHealth::enter(DriveState state, TimePoint now) {
  state_.store(state, std::memory_order_relaxed);
  good_probes_ = 0;
  failed_probes_ = 0;
  suspect_since_.reset();
  next_probe_ = now + (state == DriveState::ok ? policy_.probe_period : policy_.probe_retry);
}

void DriveHealth::take_out(TimePoint now, const std::string& reason) {
  const bool relapse = back_at_ && now - *back_at_ < policy_.forgiven_after;
  relapses_ = relapse ? relapses_ + 1 : 0;
  cool_down_ = policy_.cool_down;
  for (unsigned i = 0; i < relapses_ && cool_down_ < policy_.cool_down_max; ++i) cool_down_ *= 2;
  cool_down_ = std::min(cool_down_, policy_.cool_down_max);
  retry_at_ = now + cool_down_;
  out_for_good_ = relapses_ >= policy_.relapses;
  reason_ = reason;
  enter(DriveState::failing, now);
}

DriveHealth::Change DriveHealth::look(TimePoint now, const std::function<bool()>& may_take_out) {
  const std::lock_guard lock(mutex_);
  Change change;
  change.from = change.to = state_.load(std::memory_order_relaxed);
  const std::optional<Duration> stuck = stuck_for(now);
  if (change.from == DriveState::failing) {
    if (stuck || out_for_good_ || good_probes_ < policy_.good_probes) return change;
    clear(now);
    back_at_ = now;
    change.to = DriveState::ok;
    change.reason = fmt::format("{} probes in a row succeeded", policy_.good_probes);
    return change;
  }
  std::string fails = what_fails(now);
  if (!fails.empty()) {
    if (!suspect_since_) suspect_since_ = now;
    if (folder_good_at_ > *suspect_since_) {  // the errors are not those of a folder that is gone
      if (may_take_out()) {
        take_out(now, fails);
        change.to = DriveState::failing;
        change.reason = std::move(fails);
        return change;
      }
      change.spared = !spared_at_ || now - *spared_at_ >= policy_.window;
      if (change.spared) {
        spared_at_ = now;
        change.reason = std::move(fails);
      }
    }
  } else {
    suspect_since_.reset();
  }
  if (change.from == DriveState::ok && stuck) {
    change.to = DriveState::stalled;
    change.reason = fmt::format("calls are under way, and none has come to an end for {} s", seconds(*stuck));
    reason_ = change.reason;
    enter(DriveState::stalled, now);
  } else if (change.from == DriveState::stalled && !stuck && good_probes_ > 0) {
    change.to = DriveState::ok;
    change.reason = "it answers again, and a probe succeeded";
    reason_.clear();
    enter(DriveState::ok, now);
  }
  return change;
}

bool DriveHealth::in_service(TimePoint now) const noexcept {
  return state_.load(std::memory_order_relaxed) == DriveState::ok && !stuck_for(now);
}

DriveState DriveHealth::state(TimePoint now) const {
  const DriveState state = state_.load(std::memory_order_relaxed);
  return state == DriveState::ok && stuck_for(now) ? DriveState::stalled : state;
}

bool DriveHealth::may_open(TimePoint now) const {
  const std::lock_guard lock(mutex_);
  return state_.load(std::memory_order_relaxed) != DriveState::failing ||
         (!out_for_good_ && now >= retry_at_);
}

void DriveHealth::clear(TimePoint now) {
  slots_ = {};
  reason_.clear();
  out_for_good_ = false;
  enter(DriveState::ok, now);
}

void DriveHealth::forget(TimePoint now) {
  const std::lock_guard lock(mutex_);
  clear(now);
  back_at_.reset();
  relapses_ = 0;
}

std::string DriveHealth::problem(TimePoint now) const {
  const DriveState is = state(now);
  const std::lock_guard lock(mutex_);
  if (is == DriveState::stalled) {
    const std::optional<Duration> stuck = stuck_for(now);
    if (stuck)
      return fmt::format("does not answer: calls are under way, and none has come to an end for {} s",
                         seconds(*stuck));
    return "did not answer, and is being probed before it is used again";
  }
  if (is != DriveState::failing) return {};
  if (out_for_good_) {
    return fmt::format(
        "taken out of service: {}; it came back {} times and failed again, so it stays out: replace it, or "
        "say that it is well (ostraka admin drive trust)",
        reason_, relapses_);
  }
  const std::int64_t wait = seconds(retry_at_ - now);
  if (wait > 0) return fmt::format("taken out of service: {}; it is tried again in {} s", reason_, wait);
  return fmt::format("taken out of service: {}; it is being tried again", reason_);
}

std::uint64_t DriveHealth::recent_errors(TimePoint now) const {
  const std::lock_guard lock(mutex_);
  const Slot recent = sum(now);
  return recent.io + recent.corrupt + recent.index;
}

LatencySummary DriveHealth::latency(CallKind kind, TimePoint now) const {
  const std::lock_guard lock(mutex_);
  return latency_[static_cast<std::size_t>(kind)].summary(now);
}

}  // namespace ostraka::disk
