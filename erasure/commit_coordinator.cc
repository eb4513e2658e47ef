#include "erasure/commit_coordinator.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/sabotage.h"
#include "disk/limits.h"
#include "erasure/drive_round.h"
#include "erasure/heal_queue.h"
#include "erasure/limits.h"
#include "erasure/quorum_read.h"
#include "erasure/settle.h"

namespace ostraka::erasure {
namespace {

using CommitRound = DriveRound<Result<disk::CommitAnswer>>;

// One version on its way to all drives. Shared with the calls, which may outlive the request.
struct Proposal {
  CorePtr core;
  disk::ObjectRef ref;
  std::shared_ptr<const disk::VersionRecord> record;
  disk::SharedBytes encoded;
  std::vector<std::uint8_t> holders;  // slots that took it
  bool kept = false;      // at its write quorum: whoever takes it from now on may retire what it replaced
  bool laggards = false;  // some drives have not answered yet

  bool tombstone() const noexcept { return record->kind == disk::RecordKind::tombstone; }
  // Bit set of the slots that have not taken it.
  std::uint32_t missing() const {
    std::uint32_t out = 0;
    for (unsigned slot = 0; slot < core->size(); ++slot)
      if (std::find(holders.begin(), holders.end(), slot) == holders.end()) out |= std::uint32_t{1} << slot;
    return out;
  }
  void took(unsigned slot) {
    holders.push_back(static_cast<std::uint8_t>(slot));
    if (kept || sabotaged(Sabotage::retire)) core->drives[slot]->retire(ref, record->id);
  }
  // Acknowledged: those that have it learn that it is final, lazily.
  void keep() {
    kept = true;
    for (const std::uint8_t slot : holders) core->drives[slot]->retire(ref, record->id);
  }
};

Task<Result<disk::CommitAnswer>> commit_on(std::shared_ptr<Proposal> proposal, unsigned slot, Ctx ctx,
                                           disk::CommitRequest request) {
  disk::Drive& drive = *proposal->core->drives[slot];
  Result<disk::CommitAnswer> answer = co_await drive.commit(ctx, proposal->ref, std::move(request));
  if (answer && answer->verdict == disk::Verdict::ok) proposal->took(slot);
  fault_point("commit.drive_answered");
  co_return answer;
}

void remember_if_tombstone(const Proposal& proposal) {
  if (proposal.tombstone()) remember_tombstone(proposal.core, proposal.ref, proposal.record->id);
}

// Gives laggards a moment, then writes down who missed the commit.
Task<> follow_up(std::shared_ptr<Proposal> proposal, Ctx ctx) {
  if (proposal->laggards) co_await sleep_for(proposal->core->context.clock, kHealEntryDelay);
  const std::uint32_t missing = proposal->missing();
  if (missing == 0) {
    remember_if_tombstone(*proposal);
    co_return;
  }
  HealEntry entry = make_heal_entry(*proposal->core, proposal->ref, HealReason::missed_commit,
                                    proposal->record->id, missing);
  record_for_heal(proposal->core, ctx, std::move(entry), proposal->holders);
}

class Coordinator {
 public:
  Coordinator(CorePtr core, Ctx& ctx, WriteSpec& spec) : core_(std::move(core)), ctx_(ctx), spec_(spec) {
    ref_ = core_->stamped(spec.ref);
  }

  Task<Result<Written>> run() {
    Error last{Errc::unavailable, "no read quorum"};
    for (int attempt = 0; attempt < kCommitAttempts; ++attempt) {
      const bool broad = attempt > 0 || spec_.slot_moves || spec_.whole;
      const Breadth breadth = broad ? Breadth::all : Breadth::quorum;
      Result<Reading> read = co_await read_newest(core_, ctx_, ref_, Want::metadata, breadth);
      if (!read) co_return tl::unexpected<Error>(std::move(read).error());
      const Reading reading = std::move(*read);
      ref_.epoch = std::max(ref_.epoch, reading.epoch);
      if (reading.full < core_->read_quorum) co_return fail(Errc::unavailable, "no read quorum");
      const bool known = reading.outcome != Outcome::unknown;
      if (!known && (spec_.conditional || spec_.precondition)) {
        last = Error{Errc::unavailable, "the newest version cannot be told"};
        continue;
      }
      const bool present = known && !reading.is_absent();
      Written written;
      if (present) written.replaced = reading.record;
      if (spec_.precondition) {
        CO_TRY_VOID(spec_.precondition(written.replaced.get()));
      }
      if (known && !present && spec_.only_if_present) co_return written;

      const VersionId base = reading.is_value() ? reading.version.id : kNoVersion;
      if (known && spec_.conditional) {
        // leftovers of dead writers stand in the way of a conditional write: settle them first
        const bool clear = co_await settle_newer(reading, base);
        if (!clear) {
          last = Error{Errc::unavailable, "an undecided version stands in the way"};
          continue;
        }
      }
      CO_TRY_VOID(reachable(reading));
      const std::shared_ptr<Proposal> proposal = propose(reading, base);
      fault_point("commit.proposed");
      const Settled outcome = co_await send(proposal);
      if (outcome == Settled::kept) {
        fault_point("commit.at_quorum");
        proposal->keep();
        if (proposal->missing() == 0) {
          remember_if_tombstone(*proposal);
        } else {
          core_->context.background.spawn(ctx_.shard.executor(), follow_up(proposal, ctx_));
        }
        written.record = proposal->record;
        fault_point("commit.before_answer");
        co_return written;
      }
      if (outcome == Settled::doubt) {
        in_doubt_ = true;
        if (spec_.doubt) {
          spec_.doubt->record = proposal->record;
          spec_.doubt->replaced = written.replaced;
        }
        core_->metrics.in_doubt.add();
        co_return fail(Errc::in_doubt,
                       "too few drives took the commit, and nobody can tell what became of it");
      }
      last = refusal_;
      if (last.code == Errc::no_space || last.code == Errc::deadline) break;
    }
    co_return tl::unexpected<Error>(std::move(last));
  }

  bool in_doubt() const noexcept { return in_doubt_; }
  bool begun() const noexcept { return begun_; }

 private:
  // True when nothing newer than `base` was in the way; otherwise what was is settled, and the key must be
  // read again.
  Task<bool> settle_newer(const Reading& reading, VersionId base) {
    const std::vector<disk::HeldVersion> newer = reading.newer_than(base);
    for (std::size_t i = 0; i < newer.size(); ++i) co_await settle(core_, ctx_, ref_, newer[i]);
    co_return newer.empty();
  }

  // Starting a commit that cannot reach its quorum would only leave a doubtful version behind.
  Result<> reachable(const Reading& reading) const {
    const unsigned quorum = core_->quorum_of(geometry());
    unsigned there = 0;
    for (unsigned slot = 0; slot < core_->size(); ++slot) {
      if (!takes_part(slot)) continue;
      const auto& answer = reading.answers[slot];
      if (spec_.whole && answer && answer->failed_with(Errc::unavailable))
        return fail(Errc::unavailable, fmt::format("slot {} does not answer for the group", slot));
      const bool silent = spec_.slot_moves && !(answer && *answer);
      there += silent ? 0U : 1U;
    }
    if (there < quorum)
      return fail(Errc::unavailable,
                  fmt::format("{} of {} drives in service, {} needed", there, core_->size(), quorum));
    return {};
  }

  bool takes_part(unsigned slot) const {
    if (!core_->drives[slot]->online()) return false;
    const bool has_files = spec_.body && !spec_.body->data.is_nil();
    return !has_files || (slot < spec_.body->staged_on.size() && spec_.body->staged_on[slot]);
  }

  Geometry geometry() const {
    if (spec_.body) return spec_.body->geometry;
    const Geometry own{spec_.record.data_shards, spec_.record.parity_shards};
    return own.drives() == core_->size() ? own : core_->geometry;
  }

  VersionId next_id(VersionId newest) {
    static_assert(2 * kHlcAheadMs <= disk::kMaxClockAheadMs);
    Clock& clock = core_->context.clock;
    static_cast<void>(
        core_->shared->wall_clock.steady(clock, core_->metrics.clock_steps));  // says when it was set
    const std::int64_t now_ms = clock.unix_ms();
    // What a clock that was far ahead has dated would date the key ahead as well.
    const bool follows = spec_.record.id.unix_ms() <= now_ms + kHlcAheadMs;
    const VersionId id =
        core_->context.hlc.next(now_ms, follows ? std::max(newest, spec_.record.id) : newest);
    if (id.unix_ms() <= now_ms + kHlcAheadMs) return id;
    core_->metrics.dated_ahead.add();
    if (core_->shared->dated_ahead.first_time(std::hash<std::string>()(ref_.key)))
      log::warn("a version is dated ahead of the system clock, since the key's newest one is key={} dated={}",
                ref_.key, iso8601(id.unix_ms()));
    return id;
  }

  std::shared_ptr<Proposal> propose(const Reading& reading, VersionId base) {
    auto record = std::make_shared<disk::VersionRecord>(spec_.record);
    record->id = next_id(reading.newest);
    record->expect = spec_.conditional ? base : kAnyVersion;
    record->epoch = ref_.epoch;
    record->data_shards = geometry().data_shards;
    record->parity_shards = geometry().parity_shards;
    record->write_quorum = static_cast<std::uint8_t>(core_->quorum_of(geometry()));
    if (spec_.body) {
      record->inline_data = !spec_.body->inline_shards.empty();
      record->size = spec_.body->size;
      if (record->inline_data) {
        record->parts.clear();
      } else if (spec_.body->size > 0) {
        if (record->parts.empty()) record->parts.emplace_back();
        record->parts.front().size = spec_.body->size;
        record->parts.front().data = spec_.body->data;
      }
    }
    auto proposal = std::make_shared<Proposal>();
    proposal->core = core_;
    proposal->ref = ref_;
    proposal->encoded = std::make_shared<const std::string>(disk::encode(*record));
    proposal->record = std::move(record);
    return proposal;
  }

  Task<Settled> send(std::shared_ptr<Proposal> proposal) {
    const unsigned n = core_->size();
    const unsigned w = proposal->record->write_quorum - (sabotaged(Sabotage::early) ? 1U : 0U);
    const Ctx changing = core_->changing(ctx_);
    begun_ = true;
    if (spec_.doubt) spec_.doubt->begun = true;
    CommitRound round(core_, ctx_, n);
    for (unsigned slot = 0; slot < n; ++slot) {
      if (!takes_part(slot)) continue;  // it would refuse: the healer brings it up to date
      disk::CommitRequest request;
      request.record = proposal->record;
      request.encoded = proposal->encoded;
      request.shard_index = static_cast<std::uint8_t>(slot);
      if (proposal->record->inline_data) request.inline_shard = spec_.body->inline_shards[slot];
      round.start(slot, commit_on(proposal, slot, changing, std::move(request)));
    }
    const std::function<bool()> outcome_known = [&] {
      unsigned others = 0;  // that may still take it
      for (unsigned slot = 0; slot < n; ++slot) others += round.out(slot) ? 1U : 0U;
      return proposal->holders.size() >= w || proposal->holders.size() + others < w;
    };
    const TimePoint patience = std::min(changing.deadline, core_->context.clock.now() + kSettleWait);
    co_await round.wait(patience, outcome_known);
    if (proposal->holders.size() >= w) {
      const std::function<bool()> healthy_all = [&] { return !round.waiting_for_healthy(); };
      const TimePoint grace = core_->context.clock.now() + core_->context.write_grace;
      co_await round.wait(std::min(grace, changing.deadline), healthy_all);
      proposal->laggards = round.running() > 0;
      co_return Settled::kept;
    }
    note_refusal(round.answers());
    disk::HeldVersion version;
    version.id = proposal->record->id;
    version.expect = proposal->record->expect;
    version.epoch = proposal->record->epoch;
    version.tombstone = proposal->tombstone();
    version.data_shards = proposal->record->data_shards;
    version.write_quorum = static_cast<std::uint8_t>(w);
    version.record = proposal->encoded;
    // The group's epoch may have risen meanwhile, which is why the drives refused: settled by the new one.
    const disk::ObjectRef now = core_->stamped(ref_);
    if (spec_.doubt) spec_.doubt->version = version;
    const Settled settled = co_await settle(core_, ctx_, now, std::move(version));
    if (settled == Settled::gone) forget_withdrawn(*proposal);
    co_return settled;
  }

  void note_refusal(const CommitRound::Answers& answers) {
    unsigned full = spec_.body ? spec_.body->full : 0;  // and others, now
    unsigned refused = 0;
    for (const auto& answer : answers) {
      if (!answer) continue;
      if (answer->failed_with(Errc::no_space)) ++full;
      if (*answer) refused += (**answer).verdict == disk::Verdict::refused ? 1U : 0U;
    }
    if (full > core_->size() - core_->write_quorum) {
      refusal_ = Error{Errc::no_space, fmt::format("{} of {} drives are full", full, core_->size())};
    } else if (refused > 0) {
      refusal_ = Error{Errc::unavailable, "other writers kept coming first"};
    } else {
      refusal_ = Error{Errc::unavailable, "too few drives took the commit"};
    }
  }

  // Withdrawing dropped the shard files where the version had been taken.
  void forget_withdrawn(const Proposal& proposal) {
    if (!spec_.body || spec_.body->data.is_nil()) return;
    for (const std::uint8_t slot : proposal.holders) spec_.body->staged_on[slot] = false;
  }

  CorePtr core_;
  Ctx& ctx_;
  WriteSpec& spec_;
  disk::ObjectRef ref_;
  Error refusal_{Errc::unavailable, "too few drives took the commit"};
  bool in_doubt_ = false;
  bool begun_ = false;
};

Task<> discard_everywhere(CorePtr core, Ctx ctx, DataId data) {
  DriveRound<Result<>> round(core, ctx, core->size());
  for (unsigned slot = 0; slot < core->size(); ++slot) round.start(slot, call_discard(core, slot, ctx, data));
  const std::function<bool()> never = [] { return false; };
  co_await round.wait(ctx.deadline, never);
}

}  // namespace

Task<bool> purge_tombstone(CorePtr core, Ctx ctx, disk::ObjectRef ref, VersionId id) {
  if (!core->shared->wall_clock.steady(core->context.clock, core->metrics.clock_steps)) co_return false;
  const disk::ReadSpec spec;
  const std::function<bool()> never = [] { return false; };
  DriveRound<Result<disk::Held>> reads(core, ctx, core->size());
  for (unsigned slot = 0; slot < core->size(); ++slot)
    reads.start(slot, call_read(core, slot, ctx, ref, spec));
  co_await reads.wait(ctx.deadline, never);
  const std::int64_t settled_before = core->context.clock.unix_ms() - kPurgeAfterMs;
  for (const auto& answer : reads.answers()) {
    if (!answer || !*answer || (**answer).group.refilling) co_return false;
    const disk::KeyState& state = (**answer).state;
    const bool newest_and_final = state.final_id == id && state.newest() == id;
    const bool needed = !newest_and_final || state.final_at_ms >= settled_before;
    if (needed && !sabotaged(Sabotage::purge)) co_return false;
  }
  DriveRound<Result<disk::Verdict>> purges(core, ctx, core->size());
  for (unsigned slot = 0; slot < core->size(); ++slot)
    purges.start(slot, call_purge(core, slot, ctx, ref, id));
  co_await purges.wait(ctx.deadline, never);
  for (const auto& answer : purges.answers())
    if (!answer || !*answer) co_return false;
  core->metrics.purged_tombstones.add();
  co_return true;
}

namespace {

// As long as there are any due: a batch at a time, so that deleting a bucket's worth of keys does not crowd
// out requests.
Task<> purge_all(CorePtr core, Ctx ctx, std::vector<TombstoneQueue::Entry> entries) {
  const std::shared_ptr<SetShared> shared = core->shared;
  while (!entries.empty()) {
    ctx.deadline = deadline_after(core->context.clock.now(), kLongestCall);
    const auto batch = std::make_shared<FanOut<bool>>(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      CorePtr set = entries[i].set.lock();
      if (set == nullptr) continue;
      Task<bool> purge = purge_tombstone(std::move(set), ctx, std::move(entries[i].ref), entries[i].id);
      batch->start(ctx.shard.executor(), core->context.background, i, std::move(purge));
    }
    co_await batch->wait_all(core->context.clock, ctx.deadline);
    entries = shared->tombstones.more(core->context.clock.unix_ms());
  }
  shared->tombstones.done();
}

}  // namespace

WriteSpec write_of(CommitSpec spec) {
  WriteSpec write;
  write.ref = std::move(spec.ref);
  write.record = std::move(spec.record);
  write.body = std::move(spec.body);
  write.conditional = spec.conditional;
  write.precondition = std::move(spec.precondition);
  return write;
}

WriteSpec write_of_tombstone(disk::ObjectRef ref, bool conditional, Precondition precondition,
                             std::int64_t now_ms) {
  WriteSpec write;
  write.ref = std::move(ref);
  write.record.kind = disk::RecordKind::tombstone;
  write.record.modified_ms = now_ms;
  write.conditional = conditional;
  write.precondition = std::move(precondition);
  write.only_if_present = true;
  return write;
}

Task<Result<Written>> write_version(CorePtr core, Ctx& ctx, WriteSpec& spec) {
  const DataId data = spec.body ? spec.body->data : DataId{};
  const CorePtr stager = spec.body && spec.body->core ? spec.body->core : core;
  Result<std::unique_ptr<control::Lease>> lease =
      co_await core->context.locks.acquire(ctx, core->commit_lease(spec.ref));
  if (!lease) {
    if (!data.is_nil() && !spec.keeps_body) discard_body(stager, ctx, data);
    co_return tl::unexpected<Error>(std::move(lease).error());
  }
  Coordinator coordinator(core, ctx, spec);
  Result<Written> written = co_await coordinator.run();
  const bool unused = written ? written->record == nullptr : !coordinator.in_doubt();
  if (unused && !data.is_nil() && (coordinator.begun() || !spec.keeps_body)) discard_body(stager, ctx, data);
  co_return written;
}

void discard_body(const CorePtr& core, const Ctx& ctx, DataId data) {
  Ctx later = ctx;
  later.deadline = deadline_after(core->context.clock.now(), kLongestCall);
  core->context.background.spawn(ctx.shard.executor(), discard_everywhere(core, std::move(later), data));
}

void remember_tombstone(const CorePtr& core, const disk::ObjectRef& ref, VersionId id) {
  // the drives learn lazily that it is final
  constexpr auto kWait = std::chrono::duration_cast<std::chrono::milliseconds>(kPurgeAfter + kRetiredWithin);
  TombstoneQueue::Entry entry;
  entry.set = core;
  entry.ref = ref;
  entry.id = id;
  entry.due_ms = core->context.clock.unix_ms() + kWait.count();
  core->shared->tombstones.add(std::move(entry));
}

void purge_due_tombstones(const CorePtr& core, const Ctx& ctx) {
  const std::int64_t now_ms = core->context.clock.unix_ms();
  if (!core->shared->tombstones.due(now_ms)) return;
  // After a step forward all are due, and none would be purged: they wait until the clock is believed again.
  if (!core->shared->wall_clock.steady(core->context.clock, core->metrics.clock_steps)) return;
  auto entries = core->shared->tombstones.take(now_ms);
  if (entries.empty()) return;
  if (!core->context.background.spawn(ctx.shard.executor(), purge_all(core, ctx, std::move(entries))))
    core->shared->tombstones.done();
}

}  // namespace ostraka::erasure
