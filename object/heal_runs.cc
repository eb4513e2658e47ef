#include "object/heal_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "disk/row_key.h"
#include "object/limits.h"

namespace ostraka::object {
namespace {

using Outcome = erasure::HealReport::Outcome;

}  // namespace

Result<std::uint64_t> HealRuns::start(HealRunSpec spec) {
  auto run = std::make_shared<Run>();
  if (spec.bucket) {
    TRY(bucket, core_.deps.buckets.find(*spec.bucket));
    run->bucket = bucket->info.id;
  } else if (!spec.prefix.empty()) {
    return fail(Errc::invalid_argument, "a prefix needs a bucket");
  }
  run->status.spec = std::move(spec);
  run->status.started_ms = core_.deps.clock.unix_ms();
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return fail(Errc::closed);
    if (!runs_.empty() && runs_.front()->status.state == State::running) {
      return fail(Errc::conflict,
                  fmt::format("heal {} is under way: wait for it or cancel it", runs_.front()->status.id));
    }
    run->status.id = ++last_id_;
    runs_.push_front(run);
    if (runs_.size() > kHealRuns) runs_.pop_back();
  }
  const std::uint64_t id = run->status.id;
  if (!core_.gate.spawn(core_.home.executor(), work(this, std::move(run)))) return fail(Errc::closed);
  return id;
}

Result<> HealRuns::cancel(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  for (const RunPtr& run : runs_) {
    if (run->status.id != id || run->status.state != State::running) continue;
    run->cancelled = true;
    return {};
  }
  return fail(Errc::not_found, "no such heal is under way");
}

Result<HealRunStatus> HealRuns::get(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  for (const RunPtr& run : runs_)
    if (run->status.id == id) return run->status;
  return fail(Errc::not_found, "no such heal is remembered");
}

std::vector<HealRunStatus> HealRuns::status() const {
  std::vector<HealRunStatus> out;
  const std::lock_guard lock(mutex_);
  for (const RunPtr& run : runs_) {
    std::vector<HealedKey> named = std::exchange(run->status.named, {});
    out.push_back(run->status);
    run->status.named = std::move(named);
  }
  return out;
}

void HealRuns::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

bool HealRuns::going_on(const RunPtr& run) const {
  const std::lock_guard lock(mutex_);
  return !run->cancelled && !core_.stop.stopping();
}

std::vector<HealRuns::Range> HealRuns::ranges(const Run& run) const {
  if (!run.bucket) return {Range{}};
  std::vector<Range> out;
  for (const disk::KeySpace space : {disk::KeySpace::object, disk::KeySpace::part, disk::KeySpace::upload}) {
    std::string after = disk::row_key_prefix(*run.bucket, space, run.status.spec.prefix);
    std::string until = disk::after_prefix(after);
    out.push_back({std::move(after), std::move(until)});
  }
  return out;
}

// Keys in the bucket or in all, from what the drives count.
Task<std::uint64_t> HealRuns::estimate(RunPtr run) {
  if (!run->status.spec.prefix.empty()) co_return 0;
  std::uint64_t sum = 0, drives = 0, answered = 0;
  const disk::DriveRoster& roster = *core_.deps.drives;
  for (std::size_t slot = 0; slot < roster.size(); ++slot) {
    if (roster.removed(slot)) continue;
    ++drives;
    disk::Drive* const drive = roster[slot];
    if (!drive->online()) continue;
    Ctx ctx = core_.ctx("heal-run");
    auto asking = drive->usage(ctx);
    const auto usage = co_await std::move(asking);
    if (!usage) continue;
    ++answered;
    for (const disk::BucketUsage& bucket : *usage)
      if (!run->bucket || bucket.bucket == *run->bucket)
        sum += static_cast<std::uint64_t>(std::max<std::int64_t>(0, bucket.objects + bucket.uploads));
  }
  // Each key lies on as many drives as a set has.
  const std::uint64_t copies = core_.deps.sets.set_drives();
  co_return answered == 0 ? 0 : sum* drives / answered / copies;
}

Task<> HealRuns::work(HealRuns* self, RunPtr run) {
  const std::uint64_t total = co_await self->estimate(run);
  std::vector<Range> ranges;
  {
    const std::lock_guard lock(self->mutex_);
    run->status.keys_total = total;
    ranges = self->ranges(*run);
  }
  HealCrew crew(self->core_.home, self->core_.gate, self->core_.lanes, HealWork::run);
  Result<> walked;
  for (const Range& range : ranges) {
    if (!walked || !self->going_on(run)) break;
    auto walking = self->walk(run, range, crew);
    walked = co_await std::move(walking);
  }
  co_await crew.drain();
  const bool whole = self->going_on(run);
  const std::lock_guard lock(self->mutex_);
  HealRunStatus& status = run->status;
  status.ended_ms = self->core_.deps.clock.unix_ms();
  status.state = !whole ? State::cancelled : walked ? State::done : State::failed;
  if (whole && !walked) status.problem = walked.error().detail;
  log::info("a heal ended id={} state={} keys={} healed={} partly={} undecided={} lost={}", status.id,
            to_string(status.state), status.counts.keys, status.counts.healed, status.counts.partly,
            status.counts.undecided, status.counts.lost);
}

Task<Result<>> HealRuns::walk(RunPtr run, Range range, HealCrew& crew) {
  MergedScan scan(core_.deps.drives->all(), core_.gate, range.after);
  for (bool end = false; !end;) {
    Ctx ctx = core_.ctx("heal-run");
    auto reading = scan.next(ctx);
    CO_TRY(page, co_await std::move(reading));
    end = page.end;
    for (const MergedKey& key : page.keys) {
      if (!range.until.empty() && key.row_key >= range.until) co_return Result<>();
      if (!going_on(run)) co_return Result<>();
      disk::ObjectRef ref =
          core_.deps.sets.row(key.bucket, key.space, ObjectKey(std::string(key.key)), std::string(key.sub));
      auto starting = crew.start(heal_row(this, run, std::move(ref)));
      const bool started = co_await std::move(starting);
      if (!started) co_return Result<>();
    }
  }
  co_return Result<>();
}

Task<> HealRuns::heal_row(HealRuns* self, RunPtr run, disk::ObjectRef ref) {
  erasure::HealSpec spec;
  spec.deep = run->status.spec.deep;  // never changed after the start
  spec.dry_run = run->status.spec.dry_run;
  auto healing = self->core_.heal_in_turn(ref, spec, HealCause::on_demand);
  const Result<erasure::HealReport> report = co_await std::move(healing);
  const std::lock_guard lock(self->mutex_);
  run->status.counts.add(report);
  run->status.at = ref.key;
  if (lacks_something(report))
    self->name_key(*run, self->core_.describe_key(ref, HealCause::on_demand, spec.dry_run, report));
}

void HealRuns::name_key(Run& run, HealedKey key) {
  std::vector<HealedKey>& named = run.status.named;
  if (named.size() < kHealRunNamed) {
    named.push_back(std::move(key));
    return;
  }
  ++run.status.named_beyond;
  if (key.outcome != Outcome::lost) return;
  const auto other = std::find_if(named.begin(), named.end(),
                                  [](const HealedKey& one) { return one.outcome != Outcome::lost; });
  if (other != named.end()) *other = std::move(key);
}

}  // namespace ostraka::object
