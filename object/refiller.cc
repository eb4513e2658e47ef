#include "object/refiller.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "erasure/limits.h"
#include "object/refill_walk.h"
#include "runtime/fan_out.h"

namespace ostraka::object {
namespace {

using Phase = RefillStatus::Phase;
using Usages = std::vector<disk::BucketUsage>;

Task<Result<Usages>> ask_usage(disk::Drive* drive, Ctx ctx) {
  auto asking = drive->usage(ctx);
  Result<Usages> usage = co_await std::move(asking);
  co_return usage;
}

std::uint64_t share(std::int64_t sum, std::uint64_t part, std::uint64_t whole) {
  if (sum <= 0 || whole == 0) return 0;
  return static_cast<std::uint64_t>(
      static_cast<double>(sum) * static_cast<double>(part) / static_cast<double>(whole) + 0.5);
}

Gauge& gauge(MetricRegistry& registry, std::size_t drive, std::string_view name, std::string_view help) {
  return registry.gauge(name, help, {{"drive", std::to_string(drive)}});
}

GroupMembers members_of_now(const HealDeps& deps) {
  SetTablePtr table = deps.sets.table();  // before the drives
  return GroupMembers(std::move(table), deps.drives->all());
}

}  // namespace

Refiller::Refiller(HealCore& core)
    : core_(core),
      members_(members_of_now(core.deps)),
      read_quorum_(core.deps.sets.of_group(0).geometry().read_quorum()) {}

Task<> Refiller::run() {
  while (!core_.stop.stopping()) {
    follow();
    const GroupStates states = co_await ask_groups(core_);
    look(states);
    std::vector<std::size_t> due;
    for (const auto& [drive, target] : targets_)
      if (target.not_before <= core_.now()) due.push_back(drive);
    for (const std::size_t drive : due) {
      if (core_.stop.stopping()) break;
      // What was learnt before another drive was refilled is old.
      follow();
      const GroupStates now = co_await ask_groups(core_);
      RefillPlan plan = plan_refill(members_, drive, now, read_quorum_);
      if (plan.refilling == 0) continue;
      if (plan.groups.empty()) {
        targets_.at(drive).progress->set_phase(Phase::waiting, plan.problem);
        continue;
      }
      co_await estimate(drive, plan, now);
      co_await refill(drive, std::move(plan));
    }
    co_await core_.stop.wait(core_.now() + kRefillPoll);
  }
}

void Refiller::follow() {
  if (core_.deps.sets.table() != members_.table()) members_ = members_of_now(core_.deps);
}

void Refiller::look(const GroupStates& states) {
  for (std::size_t drive = 0; drive < states.size(); ++drive) {
    if (core_.deps.refills && !core_.deps.refills(drive)) continue;
    const bool known = targets_.contains(drive);
    if (!states[drive]) {
      if (known) targets_.at(drive).progress->set_phase(Phase::waiting, "the drive is away");
      continue;
    }
    const RefillPlan plan = plan_refill(members_, drive, states, read_quorum_);
    const std::lock_guard lock(mutex_);
    if (plan.refilling == 0) {
      targets_.erase(drive);
      continue;
    }
    if (!known) {
      log::info("a drive is to be refilled drive={} groups={}", to_string((*core_.deps.drives)[drive]->id()),
                plan.refilling);
      Target target;
      target.progress = std::make_shared<RefillProgress>(core_.deps.clock, (*core_.deps.drives)[drive]->id());
      targets_.emplace(drive, std::move(target));
    }
    targets_.at(drive).progress->set_groups(plan.refilling);
  }
}

Task<> Refiller::refill(std::size_t drive, RefillPlan plan) {
  const std::shared_ptr<RefillProgress> progress = targets_.at(drive).progress;
  const unsigned refilling = plan.refilling;
  const std::size_t planned = plan.groups.size();
  const TimePoint began = core_.now();
  RefillWalk walk(core_, members_, drive, *progress);
  auto walking = walk.run(std::move(plan));
  const bool done = co_await std::move(walking);
  if (core_.stop.stopping()) co_return;
  const RefillStatus status = progress->status();
  Target& target = targets_.at(drive);
  if (!done) {
    if (!target.stuck_since) target.stuck_since = core_.now();
    const bool young = core_.now() - *target.stuck_since < 2 * erasure::kUploadRowAge;
    target.not_before = core_.now() + target.pause;
    target.pause = std::min(young ? kRefillPauseYoung : kRefillPauseMax, target.pause * 2);
    log::warn("the refill of a drive waits drive={} reason={} failed_keys={}", to_string(status.drive),
              status.problem, status.failed_keys);
    co_return;
  }
  target.pause = kRefillPause;
  target.stuck_since.reset();
  log::info("groups of a drive are full again drive={} groups={} keys={} bytes={} seconds={}",
            to_string(status.drive), planned, status.keys, status.bytes,
            std::chrono::duration_cast<std::chrono::seconds>(core_.now() - began).count());
  if (planned == refilling) {
    publish();  // for the last time
    const std::lock_guard lock(mutex_);
    targets_.erase(drive);
  }
}

// Full drives have on average so much of each group; the drive will have the same of each of its own.
Task<> Refiller::estimate(std::size_t drive, const RefillPlan& plan, const GroupStates& states) {
  std::vector<disk::Drive*> drives = core_.deps.drives->all();
  drives.resize(states.size());
  const std::uint64_t wanted = plan.groups.size();
  auto fan = std::make_shared<FanOut<Result<Usages>>>(drives.size());
  const Ctx ctx = core_.ctx("refill");
  for (std::size_t i = 0; i < drives.size(); ++i) {
    if (i == drive || !states[i]) continue;
    const bool full = std::none_of(states[i]->begin(), states[i]->end(),
                                   [](const disk::GroupState& state) { return state.refilling; });
    if (full) fan->start(ctx.shard.executor(), core_.gate, i, ask_usage(drives[i], ctx));
  }
  co_await fan->wait_all(core_.deps.clock, ctx.deadline);
  std::uint64_t groups = 0;
  std::map<BucketId, disk::BucketUsage> sums;
  for (std::size_t i = 0; i < drives.size(); ++i) {
    const auto& answer = fan->answers()[i];
    if (!answer || !answer->has_value()) continue;
    groups += members_.groups_of(i);
    for (const disk::BucketUsage& usage : **answer) {
      disk::BucketUsage& sum = sums[usage.bucket];
      sum.objects += usage.objects + usage.uploads;
      sum.object_bytes += usage.object_bytes + usage.part_bytes;
    }
  }
  std::map<BucketId, RefillTotals> totals;
  for (const auto& [bucket, sum] : sums)
    totals[bucket] = {share(sum.objects, wanted, groups), share(sum.object_bytes, wanted, groups)};
  targets_.at(drive).progress->set_totals(std::move(totals));
}

Refiller::Gauges::Gauges(MetricRegistry& registry, std::size_t drive)
    : groups(gauge(registry, drive, "ostraka_refill_groups", "Placement groups still to be refilled.")),
      keys(gauge(registry, drive, "ostraka_refill_keys", "Keys looked at by the refill.")),
      keys_total(gauge(registry, drive, "ostraka_refill_keys_expected", "Keys that the drive should have.")),
      bytes(gauge(registry, drive, "ostraka_refill_bytes", "Bytes of these objects.")),
      bytes_total(gauge(registry, drive, "ostraka_refill_bytes_expected", "Bytes that there should be.")),
      eta_seconds(gauge(registry, drive, "ostraka_refill_eta_seconds", "Until the end; -1: not known.")) {}

void Refiller::Gauges::set(const RefillStatus& status) {
  groups.set(status.groups);
  keys.set(static_cast<std::int64_t>(status.keys));
  keys_total.set(static_cast<std::int64_t>(status.keys_total));
  bytes.set(static_cast<std::int64_t>(status.bytes));
  bytes_total.set(static_cast<std::int64_t>(status.bytes_total));
  eta_seconds.set(status.eta_ms ? *status.eta_ms / 1000 : -1);
}

void Refiller::publish() {
  const std::lock_guard lock(mutex_);
  for (const auto& [drive, target] : targets_)
    gauges_.try_emplace(drive, core_.deps.metrics, drive).first->second.set(target.progress->status());
  for (auto& [drive, gauges] : gauges_) {
    if (targets_.contains(drive)) continue;
    gauges.groups.set(0);
    gauges.eta_seconds.set(0);
  }
}

std::vector<RefillStatus> Refiller::status() const {
  std::vector<RefillStatus> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [drive, target] : targets_) out.push_back(target.progress->status());
  return out;
}

}  // namespace ostraka::object
