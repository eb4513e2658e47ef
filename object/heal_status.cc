#include "object/heal_status.h"

namespace ostraka::object {

using Outcome = erasure::HealReport::Outcome;

std::string_view to_string(HealPriority priority) noexcept {
  switch (priority) {
    case HealPriority::idle:
      return "idle";
    case HealPriority::normal:
      return "normal";
    case HealPriority::high:
      return "high";
  }
  return "?";
}

std::optional<HealPriority> parse_heal_priority(std::string_view text) noexcept {
  for (const HealPriority priority : {HealPriority::idle, HealPriority::normal, HealPriority::high})
    if (text == to_string(priority)) return priority;
  return std::nullopt;
}

std::string_view to_string(HealCause cause) noexcept {
  switch (cause) {
    case HealCause::missed_commit:
      return "missed_commit";
    case HealCause::damaged_shard:
      return "damaged_shard";
    case HealCause::refill:
      return "refill";
    case HealCause::on_demand:
      return "on_demand";
    case HealCause::scanner:
      return "scanner";
  }
  return "?";
}

std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::healthy:
      return "healthy";
    case Outcome::healed:
      return "healed";
    case Outcome::partly:
      return "partly";
    case Outcome::absent:
      return "absent";
    case Outcome::undecided:
      return "undecided";
    case Outcome::lost:
      return "lost";
  }
  return "?";
}

std::string_view to_string(erasure::ShardState state) noexcept {
  switch (state) {
    case erasure::ShardState::good:
      return "good";
    case erasure::ShardState::offline:
      return "offline";
    case erasure::ShardState::no_record:
      return "no_record";
    case erasure::ShardState::no_shard:
      return "no_shard";
    case erasure::ShardState::corrupt:
      return "corrupt";
    case erasure::ShardState::lost_row:
      return "lost_row";
    case erasure::ShardState::not_looked_at:
      return "not_looked_at";
  }
  return "?";
}

std::string_view to_string(RefillStatus::Phase phase) noexcept {
  switch (phase) {
    case RefillStatus::Phase::waiting:
      return "waiting";
    case RefillStatus::Phase::telling:
      return "telling";
    case RefillStatus::Phase::walking:
      return "walking";
    case RefillStatus::Phase::retrying:
      return "retrying";
  }
  return "?";
}

std::string_view to_string(HealRunStatus::State state) noexcept {
  switch (state) {
    case HealRunStatus::State::running:
      return "running";
    case HealRunStatus::State::done:
      return "done";
    case HealRunStatus::State::cancelled:
      return "cancelled";
    case HealRunStatus::State::failed:
      return "failed";
  }
  return "?";
}

std::uint64_t& HealCounts::of(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::healthy:
      return healthy;
    case Outcome::healed:
      return healed;
    case Outcome::partly:
      return partly;
    case Outcome::absent:
      return absent;
    case Outcome::undecided:
      return undecided;
    case Outcome::lost:
      return lost;
  }
  return undecided;
}

void HealCounts::add(const Result<erasure::HealReport>& report) noexcept {
  ++keys;
  if (!report) {
    ++undecided;
    return;
  }
  ++of(report->outcome);
  for (const auto& shard : report->shards) shards_healed += shard.healed ? 1 : 0;
  bytes_verified += report->bytes_verified;
  bytes_read += report->bytes_read;
  bytes_written += report->bytes_written;
}

bool lacks_something(const Result<erasure::HealReport>& report) noexcept {
  return !report || (report->outcome != Outcome::healthy && report->outcome != Outcome::absent);
}

HealedKey describe(const disk::ObjectRef& ref, std::span<disk::Drive* const> drives, HealCause cause,
                   bool dry_run, std::int64_t now_ms, const Result<erasure::HealReport>& report) {
  HealedKey out;
  out.when_ms = now_ms;
  out.cause = cause;
  out.dry_run = dry_run;
  out.bucket = ref.bucket;
  out.space = ref.space;
  out.key = ref.key;
  out.sub = ref.sub;
  if (!report) {
    out.error = std::string(to_string(report.code()));
    if (!report.error().detail.empty()) out.error += ": " + report.error().detail;
    return out;
  }
  out.version = report->version;
  out.outcome = report->outcome;
  for (std::size_t slot = 0; slot < report->shards.size() && slot < drives.size(); ++slot) {
    const auto& shard = report->shards[slot];
    if (shard.state == erasure::ShardState::good || shard.state == erasure::ShardState::not_looked_at)
      continue;
    out.shards.push_back(
        {static_cast<unsigned>(slot), drives[slot]->id(), shard.state, shard.healed, shard.detail});
  }
  return out;
}

}  // namespace ostraka::object
