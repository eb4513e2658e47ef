#include "object/pass_runner.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "erasure/limits.h"
#include "object/limits.h"
#include "runtime/fan_out.h"

namespace ostraka::object {
namespace {

using erasure::HealReport;
using erasure::ShardState;

constexpr Duration kDriveCall = std::chrono::seconds(30);
constexpr Duration kNobodyAnswers = std::chrono::seconds(5);
constexpr Duration kEstimateEvery = std::chrono::minutes(10);
constexpr Duration kGroupsEvery = std::chrono::seconds(30);
constexpr Duration kCheckpointEvery = std::chrono::seconds(30);
constexpr Duration kBusyPause = std::chrono::milliseconds(250);
constexpr std::size_t kFewRequests = 4;  // in flight: these do not make a node busy
// A version younger than this is still on its way to the slower drives.
constexpr Duration kOnItsWay = std::chrono::seconds(10);
// And one that no drive knows to be final may have a writer that lives for so long.
constexpr Duration kWriterLives = erasure::kLongestCall + std::chrono::seconds(2);
// Its writer's clock may be a minute ahead of the drives' clocks, and these as much ahead of this node's.
constexpr Duration kFromTheFuture = std::chrono::minutes(2);
constexpr unsigned kMostLooks = 4;  // at a key that is written again and again
constexpr std::uint64_t kSlowHealBytesPerSecond = 8U << 20;
constexpr double kComparedCost = kScanKeyCost / 16;  // of a key that was only compared

bool wrong(ShardState state) noexcept {
  return state == ShardState::no_record || state == ShardState::no_shard || state == ShardState::corrupt ||
         state == ShardState::lost_row;
}

Task<Result<HealReport>> heal_one(const ScannerDeps* deps, std::shared_ptr<Ctx> ctx, disk::ObjectRef ref,
                                  erasure::HealSpec spec) {
  if (deps->heal) {
    Task<Result<HealReport>> healing = deps->heal(*ctx, std::move(ref), spec);
    co_return co_await std::move(healing);
  }
  erasure::ErasureSet& set = deps->sets.of(ref);
  co_return co_await set.heal(*ctx, std::move(ref), spec);
}

}  // namespace

PassRunner::PassRunner(PassDeps deps, PassState& state)
    : deps_(std::move(deps)), state_(state), pace_(deps_.config.period, deps_.scanner.clock.now()) {
  follow();
}

// Takes over the table and the drives of now. False: they are the same as before.
bool PassRunner::follow() {
  SetTablePtr now = deps_.scanner.sets.table();
  if (now == table_ && drives_.size() == deps_.scanner.drives->size()) return false;
  table_ = std::move(now);
  drives_ = deps_.scanner.drives->all();
  members_.assign(kPlacementGroups, {});
  for (std::size_t group = 0; group < kPlacementGroups; ++group) {
    for (const disk::Drive* member : table_->sets[group]->drives()) {
      const auto found = std::find(drives_.begin(), drives_.end(), member);
      CHECK(found != drives_.end());
      members_[group].push_back(static_cast<unsigned>(found - drives_.begin()));
    }
  }
  refilling_.resize(drives_.size());
  rows_on_.resize(drives_.size(), 1);
  return true;
}

Ctx PassRunner::ctx(Duration time) const {
  return Ctx{deps_.shard, deadline_after(deps_.scanner.clock.now(), time), "scanner"};
}

bool PassRunner::busy() const {
  return deps_.scanner.requests_in_flight && deps_.scanner.requests_in_flight() > kFewRequests;
}

void PassRunner::give_up() {
  for (const auto& running : running_) running->deadline = deps_.scanner.clock.now();
}

Duration PassRunner::since(std::int64_t unix_ms) const {
  constexpr std::int64_t kYearMs = 366LL * 24 * 3600 * 1000;  // a damaged row may name any time
  return std::chrono::milliseconds(std::clamp(deps_.scanner.clock.unix_ms() - unix_ms, -kYearMs, kYearMs));
}

bool PassRunner::refilling(unsigned drive, std::uint16_t group) const {
  return drive < refilling_.size() && group < refilling_[drive].size() && refilling_[drive][group];
}

void PassRunner::not_verified(BucketId bucket) {
  if (state_.incomplete.size() >= kScanIncomplete)
    state_.all_incomplete = true;
  else
    state_.incomplete.insert(bucket);
}

const std::string* PassRunner::name_of(BucketId bucket) {
  if (const auto known = names_.find(bucket); known != names_.end()) return &known->second;
  if (unknown_.contains(bucket)) return nullptr;
  for (const BucketInfo& info : deps_.scanner.buckets.list()) names_[info.id] = info.name.get();
  if (const auto known = names_.find(bucket); known != names_.end()) return &known->second;
  unknown_.insert(bucket);
  log::warn("keys of a bucket that is not there: they are healed, and never removed bucket={:016x}",
            static_cast<std::uint64_t>(bucket));
  return nullptr;
}

void PassRunner::tell(bool waiting) {
  constexpr double kNotYetDone = 0.99;  // the cost is an estimate
  const double progress = total_cost_ > 0 ? state_.cost_done / total_cost_ : 0;
  deps_.board.update(state_, std::min(kNotYetDone, progress), waiting);
}

std::shared_ptr<Ctx> PassRunner::begin_call(Duration time) {
  return running_.emplace_back(std::make_shared<Ctx>(ctx(time)));
}

// How much a whole pass will cost, from the numbers that the drives keep.
Task<> PassRunner::estimate() {
  const TimePoint now = deps_.scanner.clock.now();
  if (estimated_at_ != TimePoint{} && now < estimated_at_ + kEstimateEvery) co_return;
  estimated_at_ = now;
  double bytes = 0, rows = 0;
  for (std::size_t i = 0; i < drives_.size(); ++i) {
    disk::Drive& drive = *drives_[i];
    if (!drive.online()) continue;
    Ctx call = ctx(kDriveCall);
    const auto usage = co_await drive.usage(call);
    if (!usage) continue;
    rows_on_[i] = 1;
    for (const disk::BucketUsage& bucket : *usage) {
      bytes += static_cast<double>(bucket.object_bytes + bucket.part_bytes);
      rows_on_[i] += static_cast<double>(bucket.objects + bucket.uploads);
    }
    rows += rows_on_[i];
  }
  const erasure::Geometry geometry = deps_.scanner.sets.geometry({});
  const double keys = rows / deps_.scanner.sets.set_drives();
  const double shard_bytes = bytes / geometry.data_shards;
  total_cost_ = state_.deep ? keys * kScanKeyCost + shard_bytes : keys * kComparedCost;
  total_cost_ += 2 * rows * kScanRowCost;  // read for orphans, and for the usage
  pace_.set_total(total_cost_);
}

// Which drives are being refilled: what they lack is no damage.
Task<> PassRunner::ask_groups() {
  const TimePoint now = deps_.scanner.clock.now();
  if (asked_groups_at_ != TimePoint{} && now < asked_groups_at_ + kGroupsEvery) co_return;
  asked_groups_at_ = now;
  for (std::size_t i = 0; i < drives_.size(); ++i) {
    if (!drives_[i]->online()) continue;
    Ctx call = ctx(kDriveCall);
    const auto groups = co_await drives_[i]->groups(call);
    if (!groups) continue;
    refilling_[i].clear();
    for (const disk::GroupState& group : *groups) refilling_[i].push_back(group.refilling);
  }
}

Task<> PassRunner::checkpoint() {
  if (state_.on_demand) co_return;
  const TimePoint now = deps_.scanner.clock.now();
  if (now < saved_at_ + kCheckpointEvery) co_return;
  saved_at_ = now;
  Ctx call = ctx(kDriveCall);
  const Result<> saved = co_await deps_.store.save_state(call);
  if (!saved) log::warn("the scanner's checkpoint could not be written reason={}", saved.error().detail);
}

Task<bool> PassRunner::wait_until(TimePoint at) {
  while (!told_to_end() && deps_.scanner.clock.now() < at) {
    deps_.wake.reset();
    co_await deps_.wake.wait_until(deps_.scanner.clock, at);
  }
  co_return !told_to_end();
}

// After each piece of work: clients first, and no faster than the pace allows. False: the pass is to end.
Task<bool> PassRunner::rest(double cost) {
  state_.cost_done += cost;
  tell(false);
  const Clock& clock = deps_.scanner.clock;
  if (state_.on_demand) {
    // Beside clients it works half of the time at most.
    const Duration worked =
        std::clamp<Duration>(clock.now() - work_began_, std::chrono::milliseconds(1), kBusyPause);
    const TimePoint next = clock.now() + worked;
    bool going_on = !told_to_end();
    if (busy()) going_on = co_await wait_until(next);
    work_began_ = clock.now();
    co_return going_on;
  }
  co_await checkpoint();
  bool going_on = co_await wait_until(pace_.after(clock.now(), cost));
  bool waited = false;
  while (going_on && busy() && pace_.may_yield(clock.now())) {
    if (!waited) tell(true);
    waited = true;
    going_on = co_await wait_until(clock.now() + kBusyPause);
  }
  if (waited) tell(false);
  co_return going_on;
}

Task<bool> PassRunner::run() {
  work_began_ = saved_at_ = deps_.scanner.clock.now();
  co_await estimate();
  using Phase = PassState::Phase;
  if (state_.phase == Phase::keys) {
    const bool done = co_await scan_keys();
    if (!done) {
      for (const Job& job : later_) not_verified(job.ref.bucket);
      co_return false;
    }
    state_.phase = Phase::orphans;
    state_.step = 0;
  }
  if (state_.phase == Phase::orphans) {
    const bool done = co_await remove_orphans();
    if (!done) co_return false;
    state_.phase = Phase::usage;
    state_.step = 0;
  }
  co_return co_await recount_usage();
}

Task<bool> PassRunner::scan_keys() {
  std::optional<MergedScan> scan;
  for (;;) {
    if (told_to_end()) co_return false;
    if (follow() || !scan) scan.emplace(drives_, deps_.gate, state_.after);
    co_await estimate();
    co_await ask_groups();
    Ctx call = ctx(kDriveCall);
    const auto page = co_await scan->next(call);
    if (!page) {
      tell(true);
      const bool going_on = co_await wait_until(deps_.scanner.clock.now() + kNobodyAnswers);
      if (!going_on) co_return false;
      continue;
    }
    state_.totals.corrupt_rows += page->nameless_rows;
    const bool going_on = co_await scan_page(*page);
    if (!going_on) co_return false;
    state_.after = page->last;
    if (page->end) break;
  }
  co_return co_await come_back(true);
}

PassRunner::Look PassRunner::look_at(const MergedKey& key, const MergedPage& page, Job& job) const {
  const std::uint16_t group = job.ref.group;
  std::vector<std::optional<std::string_view>> rows;
  bool some = false;
  for (const unsigned drive : members_[group]) {
    if (!page.answered[drive]) continue;
    some = some || key.rows[drive].has_value();
    if (!refilling(drive, group)) rows.push_back(key.rows[drive]);
  }
  if (!some) return Look::skip;  // left on a drive that is not of the group
  const RowsVerdict verdict = compare_rows(rows);
  job.bytes = verdict.bytes;
  job.newest = verdict.newest;
  job.corrupt = verdict.corrupt;
  const bool settled = !verdict.differ && verdict.at_rest;
  const Duration young = verdict.is_final ? kOnItsWay : kWriterLives;
  const Duration age = since(verdict.newest.unix_ms());
  if (!settled && age < young && age > -kFromTheFuture) {
    job.due = deps_.scanner.clock.now() + ((age < kOnItsWay ? kOnItsWay : young) - age);
    return Look::later;
  }
  if (!verdict.differ && verdict.tombstone && verdict.is_final) {
    if (since(verdict.final_at_ms) < erasure::kPurgeAfter) return Look::skip;  // not to be purged yet
  }
  return state_.deep || !settled || verdict.has_files ? Look::heal : Look::skip;
}

Task<bool> PassRunner::scan_page(const MergedPage& page) {
  const std::size_t width = state_.on_demand ? kScanParallel : 1;
  std::vector<Job> window;
  double skipped = 0;
  for (std::size_t i = 0; i < page.keys.size(); ++i) {
    const MergedKey& key = page.keys[i];
    const ObjectKey name{std::string(key.key)};
    Job job;
    job.ref = deps_.scanner.sets.row(key.bucket, key.space, name, std::string(key.sub));
    job.row_key = std::string(key.row_key);
    const Look look = look_at(key, page, job);
    state_.totals.corrupt_rows += job.corrupt;
    if (look == Look::skip) {
      ++state_.totals.keys;
      skipped += kComparedCost;
    } else if (look == Look::later && later_.size() < kScanDeferred) {
      later_.push_back(std::move(job));
    } else {
      window.push_back(std::move(job));
    }
    const bool last = i + 1 == page.keys.size();
    if (window.size() < width && !last) continue;
    if (window.empty()) continue;
    const bool going_on = co_await heal_window(std::move(window), std::string(key.row_key));
    window.clear();
    if (!going_on) co_return false;
    const bool came_back = co_await come_back(false);
    if (!came_back) co_return false;
  }
  const bool going_on = co_await rest(skipped);
  if (!going_on) co_return false;
  co_return co_await come_back(false);
}

// The rows of this key as they are now.
Task<PassRunner::Look> PassRunner::look_again(Job& job) {
  ++job.looks;
  std::string before = job.row_key.substr(0, job.row_key.size() - 1), until = job.row_key;
  until.push_back('\0');
  MergedScan scan(drives_, deps_.gate, std::move(before), std::move(until));
  for (;;) {
    Ctx call = ctx(kDriveCall);
    const auto page = co_await scan.next(call);
    if (!page) co_return Look::heal;
    for (const MergedKey& key : page->keys)
      if (key.row_key == job.row_key) co_return look_at(key, *page, job);
    if (page->end) co_return Look::skip;  // purged, or withdrawn
  }
}

// To the keys that were being written, once that must be over, and to those that could not be healed. all:
// waits for those that are not due yet; otherwise a page may be under way, and goes on meanwhile.
Task<bool> PassRunner::come_back(bool all) {
  while (!later_.empty()) {
    const auto earlier = [](const Job& a, const Job& b) { return a.due < b.due; };
    const auto first = std::min_element(later_.begin(), later_.end(), earlier);
    if (!all && first->due > deps_.scanner.clock.now()) break;
    std::swap(*first, later_.front());
    const bool waited = co_await wait_until(later_.front().due);
    if (!waited) co_return false;
    if (all) follow();
    Job job = later_.front();
    Look look = co_await look_again(job);
    if (look == Look::later && job.looks < kMostLooks) {
      later_.front() = std::move(job);
      continue;
    }
    if (look == Look::skip && !job.failed) {
      ++state_.totals.keys;
    } else {
      std::vector<Job> window;
      window.push_back(std::move(job));
      const bool going_on = co_await heal_window(std::move(window), std::string());
      if (!going_on) co_return false;
    }
    later_.pop_front();
  }
  co_return true;
}

// through: the row key up to which all is done then; empty: the pass comes back to these.
Task<bool> PassRunner::heal_window(std::vector<Job> window, std::string through) {
  const erasure::HealSpec spec{.deep = state_.deep, .dry_run = false};
  auto fan = std::make_shared<FanOut<Result<HealReport>>>(window.size());
  for (std::size_t i = 0; i < window.size(); ++i) {
    const Duration time =
        erasure::kLongestCall + std::chrono::seconds(window[i].bytes / kSlowHealBytesPerSecond);
    const std::shared_ptr<Ctx> call = begin_call(time);
    fan->start(deps_.shard.executor(), deps_.gate, i, heal_one(&deps_.scanner, call, window[i].ref, spec));
  }
  co_await fan->wait_all(deps_.scanner.clock, kNoDeadline);
  running_.clear();
  if (told_to_end()) co_return false;  // what gave up says nothing: the keys are looked at again
  const std::uint64_t verified = state_.totals.bytes_verified;
  for (std::size_t i = 0; i < window.size(); ++i) {
    const auto& answer = fan->answers()[i];
    if (answer) absorb(window[i], *answer);
  }
  if (!through.empty()) state_.after = std::move(through);
  const double bytes = static_cast<double>(state_.totals.bytes_verified - verified);
  co_return co_await rest(bytes +
                          static_cast<double>(window.size()) * (state_.deep ? kScanKeyCost : kComparedCost));
}

void PassRunner::absorb(const Job& job, const Result<HealReport>& answer) {
  ScanTotals& totals = state_.totals;
  const bool untold = !answer || answer->outcome == HealReport::Outcome::undecided;
  if (untold && !job.failed && later_.size() < kScanDeferred) {
    Job& again = later_.emplace_back(job);
    again.due = deps_.scanner.clock.now() + kOnItsWay;
    again.looks = 0;
    again.failed = true;
    return;
  }
  ++totals.keys;
  if (answer) totals.bytes_verified += answer->bytes_verified;
  if (untold) {
    ++totals.not_verified;
    not_verified(job.ref.bucket);
    return;
  }
  const HealReport& report = *answer;
  if (report.outcome == HealReport::Outcome::absent) ++totals.cleared;
  if (report.record && name_of(job.ref.bucket) == nullptr) ++totals.unclaimed;
  bool bad = false, all_healed = true, away = false;
  for (std::size_t slot = 0; slot < report.shards.size(); ++slot) {
    const HealReport::Shard& shard = report.shards[slot];
    away = away || shard.state == ShardState::offline;
    if (!wrong(shard.state) || refilling(members_[job.ref.group][slot], job.ref.group)) continue;
    bad = true;
    all_healed = all_healed && shard.healed;
  }
  const bool lost = report.outcome == HealReport::Outcome::lost;
  if (away) ++totals.not_verified;
  if (away || lost || !all_healed) not_verified(job.ref.bucket);
  const bool on_its_way =
      !report.is_final && since(std::max(report.version, job.newest).unix_ms()) < kOnItsWay;
  if (!lost && (!bad || on_its_way)) return;
  ++totals.damaged;
  if (lost) ++totals.lost;
  ++(all_healed && !lost ? totals.repaired : totals.unrepaired);
  add_finding(job, report);
}

void PassRunner::add_finding(const Job& job, const HealReport& report) {
  HealedKey found;
  found.when_ms = deps_.scanner.clock.unix_ms();
  found.cause = HealCause::scanner;
  found.bucket = job.ref.bucket;
  if (const std::string* name = name_of(job.ref.bucket)) found.bucket_name = *name;
  found.space = job.ref.space;
  found.key = job.ref.key;
  found.sub = job.ref.sub;
  found.version = report.version;
  found.outcome = report.outcome;
  const auto members = deps_.scanner.sets.of(job.ref).drives();  // a slot may have moved since the page
  std::string drives;
  for (std::size_t slot = 0; slot < report.shards.size() && slot < members.size(); ++slot) {
    const HealReport::Shard& shard = report.shards[slot];
    if (shard.state == ShardState::good || shard.state == ShardState::not_looked_at) continue;
    HealedKey::Shard told;
    told.slot = static_cast<unsigned>(slot);
    told.drive = members[slot]->id();
    told.state = shard.state;
    told.healed = shard.healed;
    told.detail = shard.detail;
    drives += fmt::format("{}{}:{}", drives.empty() ? "" : ",", to_string(told.drive), to_string(told.state));
    found.shards.push_back(std::move(told));
  }
  const auto level = report.outcome == HealReport::Outcome::lost ? log::Level::error : log::Level::warn;
  if (++named_in_log_ <= kScanFindings && log::enabled(level))
    log::write(level, fmt::format("the scan found damage bucket={} key={} version={} outcome={} drives={}",
                                  found.bucket_name, found.key, to_string(found.version),
                                  to_string(found.outcome), drives));
  deps_.board.add(state_.on_demand, std::move(found));
}

}  // namespace ostraka::object
