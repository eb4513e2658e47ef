#include "object/heal_journal.h"

#include <utility>

#include "object/heal_pace.h"
#include "object/limits.h"

namespace ostraka::object {
namespace {

using Outcome = erasure::HealReport::Outcome;
constexpr std::array<Outcome, 6> kOutcomes{Outcome::healthy, Outcome::healed,    Outcome::partly,
                                           Outcome::absent,  Outcome::undecided, Outcome::lost};

Counter& outcome_counter(MetricRegistry& registry, Outcome outcome) {
  return registry.counter("ostraka_heals_total", "Keys looked at to be healed, by what came of it.",
                          {{"outcome", std::string(to_string(outcome))}});
}

}  // namespace

HealJournal::HealJournal(MetricRegistry& registry)
    : shards_(registry.counter("ostraka_healed_shards_total", "Shards and records brought to drives.")),
      read_(registry.counter("ostraka_heal_read_bytes_total", "Shard bytes read to heal others.")),
      written_(registry.counter("ostraka_heal_written_bytes_total", "Shard bytes rebuilt and written.")) {
  for (std::size_t i = 0; i < kOutcomes.size(); ++i) outcomes_[i] = &outcome_counter(registry, kOutcomes[i]);
}

bool HealJournal::remembers(HealCause cause, bool dry_run, const Result<erasure::HealReport>& report) {
  if (cause == HealCause::refill && report && report->outcome == Outcome::healed) return false;
  return !dry_run && lacks_something(report);
}

void HealJournal::note(std::optional<HealedKey> entry, bool dry_run,
                       const Result<erasure::HealReport>& report) {
  HealCounts counts;
  counts.add(report);
  work_.fetch_add(static_cast<std::uint64_t>(kPaceKeyWork) + counts.bytes_read + counts.bytes_verified +
                      counts.bytes_written,
                  std::memory_order_relaxed);
  outcomes_[static_cast<std::size_t>(report ? report->outcome : Outcome::undecided)]->add();
  shards_.add(counts.shards_healed);
  read_.add(counts.bytes_read);
  written_.add(counts.bytes_written);
  const std::lock_guard lock(mutex_);
  if (!dry_run) totals_.add(report);
  if (!entry) return;
  recent_.push_back(std::move(*entry));
  if (recent_.size() > kHealHistory) recent_.pop_front();
}

HealCounts HealJournal::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

std::vector<HealedKey> HealJournal::recent() const {
  const std::lock_guard lock(mutex_);
  return {recent_.rbegin(), recent_.rend()};
}

std::vector<HealedKey> HealJournal::history(BucketId bucket, std::string_view key) const {
  std::vector<HealedKey> out;
  const std::lock_guard lock(mutex_);
  for (auto entry = recent_.rbegin(); entry != recent_.rend(); ++entry)
    if (entry->bucket == bucket && entry->key == key) out.push_back(*entry);
  return out;
}

}  // namespace ostraka::object
