#include "object/refill_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "base/log.h"
#include "object/limits.h"
#include "runtime/fan_out.h"

namespace ostraka::object {
namespace {

using Phase = RefillStatus::Phase;

constexpr int kRetryRounds = 3;           // within one attempt
constexpr std::size_t kBatchesAhead = 3;  // that are looked at while one is healed

Task<Result<std::vector<disk::GroupState>>> ask_one(disk::Drive* drive, Ctx ctx) {
  auto asking = drive->groups(ctx);
  Result<std::vector<disk::GroupState>> states = co_await std::move(asking);
  co_return states;
}

// A read that carries the group's epoch teaches it to the drive.
Task<bool> tell_one(disk::Drive* drive, Ctx ctx, disk::ObjectRef ref) {
  const std::uint64_t epoch = ref.epoch;
  const disk::ReadSpec spec;
  auto reading = drive->read(ctx, std::move(ref), spec);
  const Result<disk::Held> held = co_await std::move(reading);
  co_return held && held->group.epoch >= epoch && !held->group.refilling;
}

Task<Result<>> readmit_one(disk::Drive* drive, Ctx ctx, std::uint16_t group, std::uint64_t birth) {
  auto readmitting = drive->readmit(ctx, group, birth);
  Result<> done = co_await std::move(readmitting);
  co_return done;
}

}  // namespace

Task<GroupStates> ask_groups(HealCore& core) {
  const std::vector<disk::Drive*> drives = core.deps.drives->all();
  auto fan = std::make_shared<FanOut<Result<std::vector<disk::GroupState>>>>(drives.size());
  const Ctx ctx = core.ctx("refill");
  for (std::size_t i = 0; i < drives.size(); ++i)
    if (drives[i]->online()) fan->start(ctx.shard.executor(), core.gate, i, ask_one(drives[i], ctx));
  co_await fan->wait_all(core.deps.clock, ctx.deadline);
  GroupStates out(drives.size());
  for (std::size_t i = 0; i < drives.size(); ++i) {
    auto& answer = fan->answers()[i];
    if (answer && answer->has_value() && (**answer).size() == kPlacementGroups) out[i] = std::move(**answer);
  }
  co_return out;
}

RefillWalk::RefillWalk(HealCore& core, const GroupMembers& members, std::size_t drive,
                       RefillProgress& progress)
    : core_(core),
      members_(members),
      index_(drive),
      drive_(*(*core.deps.drives)[drive]),
      read_quorum_(core.deps.sets.of_group(0).geometry().read_quorum()),
      progress_(progress) {}

void RefillWalk::fail_with(std::string problem) {
  progress_.set_phase(Phase::waiting, std::move(problem));
}

Task<bool> RefillWalk::run(RefillPlan plan) {
  co_await load(plan);
  const auto planned = plan.groups;
  co_await tell(plan);
  if (core_.stop.stopping() || plan.groups.empty()) co_return false;
  // Drives that were only too slow to be told are told next time: no reason to begin anew.
  const bool untold = std::any_of(
      checkpoint_.births.begin(), checkpoint_.births.end(),
      [&](const auto& born) { return planned.contains(born.first) && !plan.groups.contains(born.first); });
  if (untold) {
    fail_with("too few full drives answer");
    co_return false;
  }
  // Groups that the checkpoint has and that cannot be filled now would be passed over: begin anew without.
  const bool all_there = std::all_of(checkpoint_.births.begin(), checkpoint_.births.end(),
                                     [&](const auto& born) { return plan.groups.contains(born.first); });
  if (checkpoint_.births.empty() || !all_there) {
    checkpoint_ = RefillCheckpoint();
    checkpoint_.started_ms = core_.deps.clock.unix_ms();
    for (const auto& [group, state] : plan.groups) checkpoint_.births[group] = state.birth;
  }
  progress_.begin(checkpoint_.started_ms, checkpoint_.done);
  progress_.set_failed(checkpoint_.failed.size());
  save_at_ = core_.now();
  if (!checkpoint_.walked) {
    progress_.set_phase(Phase::walking);
    const bool walked = co_await walk();
    if (!walked) co_return false;
  }
  const bool retried = co_await retry();
  if (!retried) co_return false;
  co_await readmit();
  co_return checkpoint_.births.empty();
}

// --- the checkpoint

Task<> RefillWalk::load(const RefillPlan& plan) {
  checkpoint_ = RefillCheckpoint();
  Ctx ctx = core_.ctx("refill");
  auto scanning = drive_.scan_system(ctx, std::string(kRefillRecord), 1);
  const auto records = co_await std::move(scanning);
  if (!records || records->empty() || records->front().name != kRefillRecord) co_return;
  Result<RefillCheckpoint> found = decode_refill_checkpoint(records->front().value);
  if (!found) {
    log::warn("the checkpoint of a refill is not used drive={} reason={}", to_string(drive_.id()),
              found.error().detail);
    co_return;
  }
  for (const auto& [group, birth] : found->births) {
    const auto now = plan.groups.find(group);
    if (now != plan.groups.end() && now->second.birth != birth) co_return;  // of an earlier life
  }
  checkpoint_ = std::move(*found);
}

Task<Result<>> RefillWalk::save() {
  save_at_ = core_.now() + kRefillCheckpoint;
  checkpoint_.done = progress_.done();
  Ctx ctx = core_.ctx("refill");
  if (checkpoint_.births.empty()) {
    auto erasing = drive_.erase_system(ctx, std::string(kRefillRecord));
    Result<> erased = co_await std::move(erasing);
    co_return erased;
  }
  auto putting = drive_.put_system(ctx, std::string(kRefillRecord), encode(checkpoint_));
  Result<> saved = co_await std::move(putting);
  co_return saved;
}

// --- telling

Task<> RefillWalk::tell(RefillPlan& plan) {
  progress_.set_phase(Phase::telling, plan.problem);
  auto next = plan.groups.begin();
  while (next != plan.groups.end() && !core_.stop.stopping()) {
    std::vector<std::uint16_t> batch;
    for (; next != plan.groups.end() && batch.size() < kRefillCalls; ++next) batch.push_back(next->first);
    const std::size_t width = members_.of(batch.front()).size();
    auto fan = std::make_shared<FanOut<bool>>(batch.size() * width);
    const Ctx ctx = core_.ctx("refill");
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const std::uint64_t epoch = plan.groups.at(batch[i]).epoch;
      core_.deps.sets.of_group(batch[i]).raise_epoch(epoch);
      disk::ObjectRef ref;
      ref.key = "epoch";  // any key will do
      ref.group = batch[i];
      ref.epoch = epoch;
      const std::vector<std::uint16_t>& members = members_.of(batch[i]);
      for (std::size_t slot = 0; slot < members.size(); ++slot) {
        if (members[slot] == index_ || members[slot] == GroupMembers::kElsewhere) continue;
        disk::Drive* drive = (*core_.deps.drives)[members[slot]];
        if (drive->online())
          fan->start(ctx.shard.executor(), core_.gate, i * width + slot, tell_one(drive, ctx, ref));
      }
    }
    co_await fan->wait_all(core_.deps.clock, ctx.deadline);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      unsigned told = 0;
      for (std::size_t slot = 0; slot < width; ++slot)
        told += fan->answers()[i * width + slot].value_or(false) ? 1 : 0;
      if (told < read_quorum_) plan.groups.erase(batch[i]);
    }
  }
  if (plan.groups.empty()) fail_with("too few full drives answer");
}

// --- walking

bool RefillWalk::still_born(const GroupStates& states) const {
  if (!states[index_]) return false;
  return std::all_of(checkpoint_.births.begin(), checkpoint_.births.end(), [&](const auto& born) {
    const disk::GroupState& state = (*states[index_])[born.first];
    return state.refilling && state.birth == born.second;
  });
}

// A drive that gave its slot of a group away drops the rows of it once all nodes know the table that says so:
// the page may lack some, and the group is walked again. The others go on: slots may move for hours.
void RefillWalk::note_moved() {
  const SetTablePtr now = core_.deps.sets.table();
  if (now == members_.table()) return;
  for (const auto& [group, birth] : checkpoint_.births)
    if (!members_.same_in(*now, group)) checkpoint_.again.insert(group);
}

bool RefillWalk::covered(const MergedPage& page, const GroupStates& states, const GroupStates& told) const {
  // A row without a name may be that of any key: the drive that left it out says nothing of the page.
  const std::uint64_t wanted = read_quorum_ + page.nameless_rows;
  std::vector<bool> answered = page.answered;  // by source: all drives but the one that is filled
  answered.insert(answered.begin() + static_cast<std::ptrdiff_t>(index_), false);
  return std::all_of(checkpoint_.births.begin(), checkpoint_.births.end(), [&](const auto& born) {
    if (checkpoint_.again.contains(born.first)) return true;
    return members_.full_and_told(born.first, index_, states, told, born.second, answered) >= wanted;
  });
}

RefillWalk::PagePtr RefillWalk::begin_page(MergedScan& scan) {
  auto page = std::make_shared<Page>();
  return core_.gate.spawn(core_.home.executor(), fetch_page(this, &scan, page)) ? page : nullptr;
}

Task<> RefillWalk::fetch_page(RefillWalk* self, MergedScan* scan, PagePtr page) {
  Ctx ctx = self->core_.ctx("refill");
  auto reading = scan->next(ctx);
  Result<MergedPage> rows = co_await std::move(reading);
  GroupStates states = co_await ask_groups(self->core_);
  page->rows = std::move(rows);
  page->states = std::move(states);
  page->there.set();
}

Task<bool> RefillWalk::walk() {
  std::vector<disk::Drive*> sources = core_.deps.drives->all();
  sources.erase(sources.begin() + static_cast<std::ptrdiff_t>(index_));
  const GroupStates told = co_await ask_groups(core_);  // before the first page is asked for
  MergedScan scan(std::move(sources), core_.gate, checkpoint_.after, {}, kRefillRows);
  HealCrew crew(core_.home, core_.gate, core_.lanes, HealWork::refill);
  in_flight_.clear();
  walked_to_ = checkpoint_.after;
  bool end = false, in_order = true, walked = false;
  PagePtr coming = begin_page(scan);
  while (!end && coming && !core_.stop.stopping()) {
    co_await coming->there.wait();
    const PagePtr page = std::exchange(coming, nullptr);
    if (!page->rows) {
      fail_with("no drive answers");
      break;
    }
    if (!still_born(page->states)) {
      fail_with("the drive went away");
      break;
    }
    note_moved();
    if (!covered(*page->rows, page->states, told)) {
      fail_with("too few full drives answer");
      break;
    }
    end = page->rows->end;
    if (!end) coming = begin_page(scan);  // while this one is healed
    auto healing = heal_page(std::move(*page->rows), crew, &in_order);
    const bool going_on = co_await std::move(healing);
    if (!going_on) break;
    walked = end;
  }
  if (coming) co_await coming->there.wait();
  while (walked && !ahead_.empty()) {
    auto healing = heal_first(crew, &in_order);
    walked = co_await std::move(healing);
  }
  ahead_.clear();
  co_await crew.drain();
  if (walked && !alone_.empty()) {
    auto healing = heal_alone(std::exchange(alone_, {}), crew, &in_order);
    walked = co_await std::move(healing);
    co_await crew.drain();
  }
  walked = walked && in_order && !core_.stop.stopping();
  checkpoint_.walked = walked;
  const Result<> saved = co_await save();
  co_return walked&& saved.has_value();
}

Task<bool> RefillWalk::heal_page(MergedPage page, HealCrew& crew, bool* in_order) {
  BatchPtr batch;
  for (const MergedKey& key : page.keys) {
    RefillRow row;
    row.ref =
        core_.deps.sets.row(key.bucket, key.space, ObjectKey(std::string(key.key)), std::string(key.sub));
    const std::uint16_t group = row.ref.group;
    if (!checkpoint_.births.contains(group)) continue;
    row.row_key = key.row_key;
    in_flight_.emplace(row.row_key, std::exchange(walked_to_, row.row_key));
    if (!batch) batch = std::make_shared<RefillBatch>();
    batch->add(std::move(row));
    if (key.space == disk::KeySpace::object) {
      erasure::ErasureSet& set = core_.deps.sets.of_group(group);
      batch->ask_ahead(set, inline_sources_of(key, set, members_.of(group), index_));
    }
    if (batch->rows.size() < batch_keys()) continue;
    auto taking = take_batch(std::exchange(batch, nullptr), crew, in_order);
    const bool going_on = co_await std::move(taking);
    if (!going_on) co_return false;
  }
  if (batch) {
    auto taking = take_batch(std::move(batch), crew, in_order);
    const bool going_on = co_await std::move(taking);
    if (!going_on) co_return false;
  }
  walked_to_ = page.last;
  note_place();
  co_return true;
}

// Beside clients no more is asked ahead than is healed soon, and in turn with the heals.
std::size_t RefillWalk::batch_keys() const {
  const double keys = 4 * core_.lanes.width();
  return std::clamp(static_cast<std::size_t>(keys), kRefillLeastBatch, kRefillBatch);
}

Task<bool> RefillWalk::take_batch(BatchPtr batch, HealCrew& crew, bool* in_order) {
  if (batch->worth_asking()) {
    auto starting = crew.start(look_at_batch(this, batch));
    const bool started = co_await std::move(starting);
    if (!started) co_return false;
  } else {
    batch->looked.set();
  }
  ahead_.push_back(std::move(batch));
  const std::size_t most = batch_keys() < kRefillBatch ? 1 : kBatchesAhead;  // looks grow old beside clients
  while (ahead_.size() > most) {
    auto healing = heal_first(crew, in_order);
    const bool going_on = co_await std::move(healing);
    if (!going_on) co_return false;
  }
  co_return true;
}

Task<bool> RefillWalk::heal_first(HealCrew& crew, bool* in_order) {
  BatchPtr batch = std::move(ahead_.front());
  ahead_.pop_front();
  auto healing = heal_batch(std::move(batch), crew, in_order);
  const bool going_on = co_await std::move(healing);
  co_return going_on;
}

Task<> RefillWalk::look_at_batch(RefillWalk* self, BatchPtr batch) {
  Ctx ctx = self->core_.ctx("refill");
  auto looking = batch->look(std::move(ctx));
  co_await std::move(looking);
}

Task<bool> RefillWalk::heal_batch(BatchPtr batch, HealCrew& crew, bool* in_order) {
  co_await batch->looked.wait();
  const std::size_t shards = core_.deps.shards.size();
  std::vector<std::vector<RefillRow>> parts = batch->take_plain(shards);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    while (together_ >= 2 * shards) {
      together_ended_.reset();
      co_await together_ended_.wait();
    }
    ++together_;
    auto starting = crew.start(heal_rows(this, std::move(parts[i])));
    const bool started = co_await std::move(starting);
    if (started) continue;
    --together_;
    co_return false;
  }
  std::vector<RefillRow> rows = std::exchange(alone_, {});
  std::move(batch->rows.begin(), batch->rows.end(), std::back_inserter(rows));
  auto healing = heal_alone(std::move(rows), crew, in_order);
  const bool going_on = co_await std::move(healing);
  if (!going_on) co_return false;
  auto saving = save_if_due(in_order);
  const bool saved = co_await std::move(saving);
  co_return saved;
}

Task<bool> RefillWalk::heal_alone(std::vector<RefillRow> rows, HealCrew& crew, bool* in_order) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto starting = crew.start(heal_row(this, std::move(rows[i])));
    const bool started = co_await std::move(starting);
    if (!started) co_return false;
    auto saving = save_if_due(in_order);
    const bool saved = co_await std::move(saving);
    if (!saved) co_return false;
  }
  co_return true;
}

// False: the drive does not take the checkpoint.
Task<bool> RefillWalk::save_if_due(bool* in_order) {
  if (core_.now() < save_at_) co_return true;
  const Result<> saved = co_await save();
  if (saved) co_return true;
  *in_order = false;
  fail_with("the drive does not take its checkpoint: " + saved.error().detail);
  co_return false;
}

void RefillWalk::note_place() {
  checkpoint_.after = in_flight_.empty() ? walked_to_ : in_flight_.begin()->second;
}

Task<> RefillWalk::heal_row(RefillWalk* self, RefillRow row) {
  const erasure::HealSpec spec;
  auto healing = self->core_.heal_in_turn(row.ref, spec, HealCause::refill, std::move(row.look));
  const Result<erasure::HealReport> report = co_await std::move(healing);
  self->note_healed(row, report);
  self->note_place();
}

Task<> RefillWalk::heal_rows(RefillWalk* self, std::vector<RefillRow> rows) {
  std::vector<erasure::PlainKey> keys;
  keys.reserve(rows.size());
  for (const RefillRow& row : rows)
    keys.push_back({&self->core_.deps.sets.of_group(row.ref.group), row.ref, row.look});
  auto healing = self->core_.heal_plain_in_turn(std::move(keys), HealCause::refill);
  std::vector<std::optional<erasure::HealReport>> reports = co_await std::move(healing);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (reports[i])
      self->note_healed(rows[i], std::move(*reports[i]));
    else
      self->alone_.push_back(std::move(rows[i]));
  }
  self->note_place();
  --self->together_;
  self->together_ended_.set();
}

void RefillWalk::note_healed(const RefillRow& row, const Result<erasure::HealReport>& report) {
  const disk::ObjectRef& ref = row.ref;
  const unsigned slot = members_.slot(ref.group, index_).value_or(0);
  if (!report || (report->readmissible >> slot & 1U) == 0) note_failure(ref);
  if (row.row_key.empty()) return;
  if (report && report->record) {
    const std::uint64_t keys = ref.space == disk::KeySpace::part ? 0 : 1;
    const std::uint64_t bytes = ref.space == disk::KeySpace::upload ? 0 : report->record->size;
    progress_.add(ref.bucket, keys, bytes);
  }
  in_flight_.erase(row.row_key);
}

void RefillWalk::note_failure(const disk::ObjectRef& ref) {
  if (checkpoint_.failed.size() < kRefillFailedKeys)
    checkpoint_.failed.push_back({ref.bucket, ref.space, ref.key, ref.sub});
  else
    checkpoint_.again.insert(ref.group);
  progress_.set_failed(checkpoint_.failed.size());
}

// --- what is left

Task<bool> RefillWalk::retry() {
  HealCrew crew(core_.home, core_.gate, core_.lanes, HealWork::refill);
  for (int round = 0; round < kRetryRounds && !checkpoint_.failed.empty(); ++round) {
    progress_.set_phase(Phase::retrying);
    co_await core_.stop.wait(core_.now() + kHealRetryMin * (1 << round));
    if (core_.stop.stopping()) co_return false;
    const std::vector<RowName> rows = std::exchange(checkpoint_.failed, {});
    for (const RowName& row : rows) {
      disk::ObjectRef ref = core_.deps.sets.row(row.bucket, row.space, ObjectKey(row.key), row.sub);
      if (!checkpoint_.births.contains(ref.group)) continue;
      if (core_.stop.stopping()) {
        note_failure(ref);
        continue;
      }
      RefillRow again;
      again.ref = ref;
      auto starting = crew.start(heal_row(this, std::move(again)));
      const bool started = co_await std::move(starting);
      if (!started) note_failure(ref);
    }
    co_await crew.drain();
    progress_.set_failed(checkpoint_.failed.size());
  }
  co_return !core_.stop.stopping();
}

std::string RefillWalk::cannot_heal() const {
  if (checkpoint_.failed.empty()) return "some groups have to be walked again";
  const RowName& row = checkpoint_.failed.front();
  return fmt::format("{} keys cannot be healed yet, one of them in bucket {:016x}: {}",
                     checkpoint_.failed.size(), static_cast<std::uint64_t>(row.bucket), row.key);
}

Task<> RefillWalk::readmit() {
  std::set<std::uint16_t> held_back = checkpoint_.again;
  for (const RowName& row : checkpoint_.failed)
    held_back.insert(core_.deps.sets.group_of(row.bucket, row.key));
  std::vector<std::pair<std::uint16_t, std::uint64_t>> ready;
  for (const auto& [group, birth] : checkpoint_.births)
    if (!held_back.contains(group)) ready.emplace_back(group, birth);
  Error refused;
  for (std::size_t first = 0; first < ready.size(); first += kRefillCalls) {
    const std::size_t count = std::min(kRefillCalls, ready.size() - first);
    auto fan = std::make_shared<FanOut<Result<>>>(count);
    const Ctx ctx = core_.ctx("refill");
    for (std::size_t i = 0; i < count; ++i) {
      const auto& [group, birth] = ready[first + i];
      fan->start(ctx.shard.executor(), core_.gate, i, readmit_one(&drive_, ctx, group, birth));
    }
    co_await fan->wait_all(core_.deps.clock, ctx.deadline);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& answer = fan->answers()[i];
      if (answer && answer->has_value())
        checkpoint_.births.erase(ready[first + i].first);
      else if (answer)
        refused = answer->error();
    }
  }
  progress_.set_groups(static_cast<unsigned>(checkpoint_.births.size()));
  if (!checkpoint_.again.empty()) {  // once more over these, from the start
    RefillCheckpoint anew;
    anew.started_ms = checkpoint_.started_ms;
    anew.births = checkpoint_.births;
    checkpoint_ = std::move(anew);
  }
  if (!checkpoint_.births.empty()) {
    fail_with(held_back.empty() ? "the drive does not take its readmission: " + refused.detail
                                : cannot_heal());
  }
  const Result<> saved = co_await save();
  if (!saved)
    log::warn("the checkpoint of a refill was not written drive={} reason={}", to_string(drive_.id()),
              saved.error().detail);
}

}  // namespace ostraka::object
