#include "erasure/set_core.h"

#include <algorithm>

#include "base/check.h"
#include "base/sabotage.h"
#include "erasure/limits.h"

namespace ostraka::erasure {

SetMetrics::SetMetrics(MetricRegistry& registry)
    : roll_forwards(registry.counter("ostraka_roll_forwards_total",
                                     "Versions that a reader brought to their write quorum")),
      settled_gone(registry.counter("ostraka_settled_gone_total", "Uncommitted versions withdrawn")),
      settled_kept(registry.counter("ostraka_settled_kept_total",
                                    "Versions in doubt found to be committed, or made so")),
      purged_tombstones(registry.counter("ostraka_purged_tombstones_total",
                                         "Tombstones dropped once nobody could need them")),
      in_doubt(registry.counter("ostraka_in_doubt_total", "Writes whose outcome nobody could tell")),
      hedged_reads(registry.counter("ostraka_hedged_reads_total",
                                    "Stripe reads that went to parity because a shard was slow")),
      decoded_stripes(
          registry.counter("ostraka_decoded_stripes_total", "Stripes reconstructed while reading")),
      spared_stripes(
          registry.counter("ostraka_spared_stripes_total",
                           "Stripes read with parity of this node instead of data of another one")),
      corrupt_shards(
          registry.counter("ostraka_corrupt_shards_total", "Shards found missing or corrupt while reading")),
      heal_entries(registry.counter("ostraka_heal_entries_total", "Entries written to the heal queue")),
      dropped_writers(registry.counter("ostraka_dropped_writers_total",
                                       "Drives dropped from a write because they failed or lagged")),
      clock_steps(
          registry.counter("ostraka_clock_steps_total",
                           "Times that the system clock was set forward or back by more than a second")),
      dated_ahead(
          registry.counter("ostraka_versions_dated_ahead_total",
                           "Versions dated ahead of the system clock, since their key's newest one was")),
      lost_rows(registry.counter("ostraka_lost_rows_total",
                                 "Rows of an index that could not be read any more and were begun anew")),
      lost_versions(registry.counter(
          "ostraka_lost_versions_total",
          "Versions found to be lost: fewer shards are left than it takes, or nobody knows them")) {}

std::shared_ptr<SetShared> make_set_shared() {
  return std::make_shared<SetShared>();
}

namespace {

std::vector<StalledCallsPtr> stalled_calls(SetShared& shared, const std::vector<disk::Drive*>& drives) {
  std::vector<StalledCallsPtr> out;
  for (const disk::Drive* drive : drives) out.push_back(shared.slow.of(drive));
  return out;
}

}  // namespace

SetCore::SetCore(SetContext& set_context, std::uint16_t set_group, std::uint64_t set_epoch,
                 Geometry set_geometry, std::vector<disk::Drive*> set_drives)
    : context(set_context),
      group(set_group),
      epoch(set_epoch),
      geometry(set_geometry),
      write_quorum(set_geometry.write_quorum()),
      read_quorum(set_geometry.read_quorum() - (sabotaged(Sabotage::few) ? 1U : 0U)),
      drives(std::move(set_drives)),
      own_codec(set_context.shared->codecs.get(set_geometry)),
      metrics(set_context.metrics),
      shared(set_context.shared),
      stalled(stalled_calls(*shared, drives)) {
  CHECK(drives.size() == geometry.drives());
  static_cast<void>(shared->wall_clock.steady(context.clock, metrics.clock_steps));
}

unsigned SetCore::online() const noexcept {
  unsigned count = 0;
  for (const disk::Drive* drive : drives) count += drive->online() ? 1U : 0U;
  return count;
}

std::vector<std::uint8_t> SetCore::preference(Order by) const {
  enum Rank : std::uint8_t { best, good, slow_one, away, ranks };
  // one look at each drive, since it may come or go meanwhile
  std::array<std::uint8_t, kMaxSetDrives> rank{};
  for (unsigned slot = 0; slot < size(); ++slot) {
    const Rank healthy = by == Order::nearest && drives[slot]->remote() ? good : best;
    rank[slot] = !drives[slot]->online() ? away : slow(slot) ? slow_one : healthy;
  }
  std::vector<std::uint8_t> order;
  order.reserve(drives.size());
  for (std::uint8_t wanted = best; wanted < ranks; ++wanted)
    for (unsigned slot = 0; slot < size(); ++slot)
      if (rank[slot] == wanted) order.push_back(static_cast<std::uint8_t>(slot));
  return order;
}

unsigned SetCore::quorum_of(Geometry other) const noexcept {
  return std::max(other.write_quorum(), write_quorum);
}

std::shared_ptr<const Codec> SetCore::codec(Geometry other) const {
  return other == geometry ? own_codec : shared->codecs.get(other);
}

Duration SetCore::hedge_delay() const noexcept {
  const std::chrono::microseconds usual(shared->read_latency_us.load(std::memory_order_relaxed));
  return std::max<Duration>(context.hedge_after, 4 * usual);
}

void SetCore::observe_read(Duration took) noexcept {
  const auto us =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  const std::uint64_t before = shared->read_latency_us.load(std::memory_order_relaxed);
  // an update lost to another shard's does no harm
  shared->read_latency_us.store(before == 0 ? us : (before * 15 + us) / 16, std::memory_order_relaxed);
}

Ctx SetCore::changing(const Ctx& ctx) const {
  Ctx out = ctx;
  out.deadline = std::min(ctx.deadline, deadline_after(context.clock.now(), kLongestCall));
  return out;
}

void SetCore::raise_epoch(std::uint64_t to) noexcept {
  std::uint64_t known = epoch.load(std::memory_order_relaxed);
  while (known < to && !epoch.compare_exchange_weak(known, to, std::memory_order_relaxed)) {
  }
}

disk::ObjectRef SetCore::stamped(disk::ObjectRef ref) const {
  ref.group = group;
  ref.epoch = std::max(ref.epoch, epoch.load(std::memory_order_relaxed));
  return ref;
}

std::string SetCore::commit_lease(const disk::ObjectRef& ref) const {
  const auto bucket = static_cast<std::uint64_t>(ref.bucket);
  std::string name(reinterpret_cast<const char*>(&bucket), sizeof bucket);
  name += ref.key;
  return name;
}

std::string SetCore::heal_name(const disk::ObjectRef& ref) const {
  std::string name = commit_lease(ref);
  name.push_back(static_cast<char>(ref.space));
  name += ref.sub;
  return name;
}

}  // namespace ostraka::erasure
