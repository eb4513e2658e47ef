#include "object/heal_queue_drain.h"

#include <algorithm>

#include "base/fault_point.h"
#include "object/limits.h"
#include "runtime/fan_out.h"

namespace ostraka::object {
namespace {

using Outcome = erasure::HealReport::Outcome;
using erasure::ShardState;

Task<Result<disk::DriveInfo>> ask_info(disk::Drive* drive, Ctx ctx) {
  auto asking = drive->info(ctx);
  Result<disk::DriveInfo> info = co_await std::move(asking);
  co_return info;
}

Task<Result<>> erase_copy(Ctx ctx, std::string name, QueuedHeal::Copy copy) {
  auto erasing = copy.drive->erase_system_if(ctx, std::move(name), *copy.value);
  Result<> erased = co_await std::move(erasing);
  co_return erased;
}

Duration back_off(int attempts) {
  Duration wait = kHealRetryMin;
  for (int i = 1; i < attempts && wait < kHealRetryMax; ++i) wait *= 2;
  return std::min(wait, kHealRetryMax);
}

bool all_away(const std::vector<disk::Drive*>& drives) {
  return !drives.empty() &&
         std::none_of(drives.begin(), drives.end(), [](disk::Drive* drive) { return drive->online(); });
}

}  // namespace

HealQueueDrain::HealQueueDrain(HealCore& core)
    : core_(core),
      entries_gauge_(core.deps.metrics.gauge("ostraka_heal_queue_entries", "Keys that wait to be healed.")),
      oldest_gauge_(core.deps.metrics.gauge("ostraka_heal_queue_oldest_seconds",
                                            "Age of the oldest entry of the heal queue.")) {}

Task<> HealQueueDrain::run() {
  HealCrew crew(core_.home, core_.gate, core_.lanes, HealWork::queue);
  while (!core_.stop.stopping()) {
    if (core_.now() >= next_look_) co_await look();
    promote();
    if (ready_.empty()) {
      TimePoint until = next_look_;
      if (!later_.empty()) until = std::min(until, later_.begin()->first);
      co_await core_.stop.wait(until);
      continue;
    }
    const auto item = items_.find(ready_.begin()->second);
    unlist(item);
    item->second.in_flight = true;
    std::string name = item->first;
    auto starting = crew.start(heal_one(this, std::move(name)));
    const bool started = co_await std::move(starting);
    if (!started) break;
  }
  co_await crew.drain();
}

// --- what there is

Task<> HealQueueDrain::look() {
  const TimePoint now = core_.now();
  next_look_ = now + kHealPoll;
  const std::vector<disk::Drive*> drives = core_.deps.drives->all();
  online_.resize(drives.size(), false);
  counted_.resize(drives.size(), 0);
  recorded_.resize(drives.size(), 0);
  erased_.resize(drives.size(), 0);
  auto fan = std::make_shared<FanOut<Result<disk::DriveInfo>>>(drives.size());
  Ctx ctx = core_.ctx("heal-queue");
  ctx.deadline = now + kHealPoll;
  bool returned = false;
  bool passed_on = false;  // groups that the drive's node has seen to are perhaps this one's now
  const std::vector<std::uint64_t> erased = erased_;
  for (std::size_t i = 0; i < drives.size(); ++i) {
    const bool online = drives[i]->online();
    returned = returned || (online && !online_[i]);
    passed_on = passed_on || (core_.deps.tends && !online && online_[i]);
    online_[i] = online;
    if (online) fan->start(ctx.shard.executor(), core_.gate, i, ask_info(drives[i], ctx));
  }
  co_await fan->wait_all(core_.deps.clock, ctx.deadline);
  bool grew = false;
  most_counted_ = 0;
  std::vector<std::uint64_t> counts = counted_;
  for (std::size_t i = 0; i < drives.size(); ++i) {
    const auto& answer = fan->answers()[i];
    if (!answer || !answer->has_value()) continue;
    counts[i] = (**answer).heal_queue;
    // What was erased meanwhile is counted or not: rather read the queue once too often.
    const std::uint64_t meanwhile = erased_[i] - erased[i];
    grew = grew || counts[i] > counted_[i] + meanwhile;
    // Other nodes may have erased as many as were recorded.
    grew = std::exchange(recorded_[i], (**answer).heal_recorded) != recorded_[i] || grew;
    counts[i] -= std::min(counts[i], meanwhile);
    counted_[i] = std::min(counted_[i], counts[i]);  // other nodes erase entries, too
    most_counted_ = std::max(most_counted_, counts[i]);
  }
  // However short it was away: since these entries were looked at.
  for (const auto& [drive, entries] : waiting_) returned = returned || drive->online();
  if (returned) promote_all();
  const bool old = now - last_read_ >= kHealRescan && most_counted_ > 0;
  const bool emptied = left_some_ && items_.empty();
  const bool taken_off = known_ > 0 && most_counted_ == 0;  // by other nodes
  read_again_ = read_again_ || returned || passed_on || grew || old || emptied || taken_off;
  if (read_again_ && now >= read_not_before_) {
    counted_ = std::move(counts);
    read_again_ = false;
    if (most_counted_ > 0 || known_ > 0) co_await read_queue();
  }
  publish();
}

Task<> HealQueueDrain::read_queue() {
  const TimePoint began = core_.now();
  ++reading_;
  known_ = 0;
  oldest_ms_ = 0;
  left_some_ = false;
  waiting_.clear();
  HealQueueReader reader(core_.deps.drives->all(), core_.gate);
  while (!reader.end() && !core_.stop.stopping()) {
    Ctx ctx = core_.ctx("heal-queue");
    auto reading = reader.next(ctx);
    std::vector<QueuedHeal> page = co_await std::move(reading);
    for (QueuedHeal& queued : page) consider(std::move(queued));
  }
  for (auto item = items_.begin(); item != items_.end();) {
    const auto here = item++;
    if (here->second.seen != reading_ && !here->second.in_flight) forget(here);
  }
  last_read_ = core_.now();
  read_not_before_ = last_read_ + (last_read_ - began) * kHealScanShare;
}

void HealQueueDrain::consider(QueuedHeal queued) {
  if (core_.deps.tends && !core_.deps.tends(queued.entry.group)) return;
  ++known_;
  const auto known = items_.find(queued.name);
  if (known != items_.end()) {
    Item& item = known->second;
    item.seen = reading_;
    if (item.in_flight) return;  // taken off only while it is what was read
    if (item.queued.entry == queued.entry) {
      item.queued.copies = std::move(queued.copies);
      return;
    }
    forget(known);
  }
  const std::vector<disk::Drive*> drives = lacking(queued);
  const auto deferred = deferred_.find(queued.name);
  const bool same = deferred != deferred_.end() && deferred->second.version == queued.entry.version &&
                    deferred->second.when_ms == queued.entry.when_ms &&
                    are_of_group(deferred->second.drives, queued.entry);  // slots of it may have moved since
  if (all_away(drives) || (same && all_away(deferred->second.drives))) {
    count_waiting(all_away(drives) ? drives : deferred->second.drives);
    if (oldest_ms_ == 0 || queued.entry.when_ms < oldest_ms_) oldest_ms_ = queued.entry.when_ms;
    return;
  }
  if (deferred != deferred_.end()) deferred_.erase(deferred);
  add(std::move(queued));
}

bool HealQueueDrain::are_of_group(const std::vector<disk::Drive*>& drives,
                                  const erasure::HealEntry& entry) const {
  const std::uint16_t group = core_.deps.sets.group_of(entry.bucket, entry.key);
  const auto now = core_.deps.sets.of_group(group).drives();
  return std::all_of(drives.begin(), drives.end(), [&now](disk::Drive* drive) {
    return std::find(now.begin(), now.end(), drive) != now.end();
  });
}

std::vector<disk::Drive*> HealQueueDrain::lacking(const QueuedHeal& queued) const {
  std::vector<disk::Drive*> out;
  const std::uint16_t group = core_.deps.sets.group_of(queued.entry.bucket, queued.entry.key);
  const auto drives = core_.deps.sets.of_group(group).drives();
  for (std::size_t slot = 0; slot < drives.size(); ++slot)
    if ((queued.entry.slots >> slot & 1U) != 0) out.push_back(drives[slot]);
  return out;
}

void HealQueueDrain::add(QueuedHeal queued) {
  std::string name = queued.name;
  Item item;
  item.queued = std::move(queued);
  item.seen = reading_;
  const auto added = items_.insert_or_assign(std::move(name), std::move(item)).first;
  list(added);
  if (ready_.size() + later_.size() <= kHealQueueKept) return;
  left_some_ = true;  // the youngest waits on the drives
  if (ready_.empty()) {
    forget(items_.find(std::prev(later_.end())->second));
  } else {
    forget(items_.find(std::prev(ready_.end())->second));
  }
}

void HealQueueDrain::list(const Items::iterator& item) {
  item->second.waits = false;
  ready_.emplace(item->second.queued.entry.when_ms, item->first);
}

void HealQueueDrain::unlist(const Items::iterator& item) {
  if (item->second.waits)
    later_.erase({item->second.retry_at, item->first});
  else
    ready_.erase({item->second.queued.entry.when_ms, item->first});
}

void HealQueueDrain::forget(Items::iterator item) {
  unlist(item);
  items_.erase(item);
}

void HealQueueDrain::wait_until(const Items::iterator& item, TimePoint at) {
  item->second.waits = true;
  item->second.retry_at = at;
  later_.emplace(at, item->first);
}

void HealQueueDrain::promote() {
  while (!later_.empty() && later_.begin()->first <= core_.now()) {
    const auto item = items_.find(later_.begin()->second);
    unlist(item);
    list(item);
  }
}

void HealQueueDrain::promote_all() {
  while (!later_.empty()) {
    const auto item = items_.find(later_.begin()->second);
    unlist(item);
    item->second.attempts = 0;
    list(item);
  }
}

void HealQueueDrain::count_waiting(const std::vector<disk::Drive*>& drives) {
  for (disk::Drive* drive : drives) ++waiting_[drive];
}

void HealQueueDrain::defer(const Items::iterator& item, std::vector<disk::Drive*> drives) {
  count_waiting(drives);
  const erasure::HealEntry& entry = item->second.queued.entry;
  if (oldest_ms_ == 0 || entry.when_ms < oldest_ms_) oldest_ms_ = entry.when_ms;
  if (deferred_.size() >= kHealQueueDeferred) deferred_.clear();  // some are tried once more
  deferred_[item->first] = Deferred{entry.version, entry.when_ms, std::move(drives)};
  items_.erase(item);
}

// --- what is done about it

Task<> HealQueueDrain::heal_one(HealQueueDrain* self, std::string name) {
  const erasure::HealEntry entry = self->items_.at(name).queued.entry;
  bool erased = false;
  if (entry.key.empty()) {  // no copy of it decodes
    co_await self->done(name, &erased);
  } else {
    disk::ObjectRef ref =
        self->core_.deps.sets.row(entry.bucket, entry.space, ObjectKey(entry.key), entry.sub);
    const bool damaged = entry.reason == erasure::HealReason::damaged_shard;
    erasure::HealSpec spec;
    spec.deep = damaged;  // a block that fails its checksum is found only by reading it
    const HealCause cause = damaged ? HealCause::damaged_shard : HealCause::missed_commit;
    auto healing = self->core_.heal_in_turn(std::move(ref), spec, cause);
    const Result<erasure::HealReport> report = co_await std::move(healing);
    const bool whole = report && (report->outcome == Outcome::healthy || report->outcome == Outcome::healed ||
                                  report->outcome == Outcome::absent);
    if (!whole) {
      const auto item = self->items_.find(name);
      item->second.in_flight = false;
      self->not_done(item, report);
      co_return;
    }
    co_await self->done(name, &erased);
  }
  const auto item = self->items_.find(name);
  item->second.in_flight = false;
  if (erased) {
    self->items_.erase(item);
    if (self->known_ > 0) --self->known_;
  } else {
    self->wait_until(item, self->core_.now() + back_off(++item->second.attempts));
  }
}

Task<> HealQueueDrain::done(std::string name, bool* erased) {
  fault_point("heal.before_erase");
  const std::vector<QueuedHeal::Copy> copies = items_.at(name).queued.copies;
  auto fan = std::make_shared<FanOut<Result<>>>(copies.size());
  const Ctx ctx = core_.ctx("heal-queue");
  for (std::size_t i = 0; i < copies.size(); ++i) {
    if (!copies[i].drive->online()) continue;  // read and erased when it is back
    fan->start(ctx.shard.executor(), core_.gate, i, erase_copy(ctx, name, copies[i]));
  }
  co_await fan->wait_all(core_.deps.clock, ctx.deadline);
  *erased = true;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    const auto& answer = fan->answers()[i];
    if (!copies[i].drive->online()) continue;
    if (answer && answer->failed_with(Errc::conflict)) {
      read_again_ = true;  // recorded anew: what is there now was not healed
    } else if (!answer || !answer->has_value()) {
      *erased = false;
    } else {
      const auto slot = core_.deps.drives->slot_of(copies[i].drive->id());
      if (!slot || *slot >= erased_.size()) continue;  // it came since the counters were read
      ++erased_[*slot];
      if (counted_[*slot] > 0) --counted_[*slot];
    }
  }
}

void HealQueueDrain::not_done(const Items::iterator& item, const Result<erasure::HealReport>& report) {
  const erasure::HealEntry& entry = item->second.queued.entry;
  const int attempts = ++item->second.attempts;
  if (report && report->outcome == Outcome::lost) {
    wait_until(item, core_.now() + kHealRetryMax);
    return;
  }
  if (report && report->outcome == Outcome::partly) {
    std::vector<disk::Drive*> away;
    bool others = false;
    const std::uint16_t group = core_.deps.sets.group_of(entry.bucket, entry.key);
    const auto drives = core_.deps.sets.of_group(group).drives();
    for (std::size_t slot = 0; slot < report->shards.size() && slot < drives.size(); ++slot) {
      const auto& shard = report->shards[slot];
      if (shard.state == ShardState::good || shard.healed) continue;
      if (drives[slot]->online())
        others = true;
      else
        away.push_back(drives[slot]);
    }
    if (!others && !away.empty()) {
      defer(item, std::move(away));
      return;
    }
  }
  wait_until(item, core_.now() + back_off(attempts));
}

// --- what is said about it

void HealQueueDrain::publish() {
  HealQueueStatus now;
  now.ready = items_.size();
  now.backing_off = later_.size();
  now.entries = std::max(known_, now.ready);
  if (!core_.deps.tends) now.entries = std::max(now.entries, most_counted_);
  // Some of what is counted may be this node's; all of it would be said by each node.
  if (read_again_ && most_counted_ > 0) now.entries = std::max<std::uint64_t>(now.entries, 1);
  now.oldest_ms = oldest_ms_;
  for (const auto& [name, item] : items_) {
    const std::int64_t when = item.queued.entry.when_ms;
    if (now.oldest_ms == 0 || when < now.oldest_ms) now.oldest_ms = when;
  }
  for (const auto& [drive, entries] : waiting_)
    if (!drive->online()) now.waiting.push_back({drive->id(), entries});
  entries_gauge_.set(static_cast<std::int64_t>(now.entries));
  const std::int64_t age_ms = now.oldest_ms == 0 ? 0 : core_.deps.clock.unix_ms() - now.oldest_ms;
  oldest_gauge_.set(std::max<std::int64_t>(0, age_ms / 1000));
  const std::lock_guard lock(mutex_);
  status_ = std::move(now);
}

HealQueueStatus HealQueueDrain::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace ostraka::object
