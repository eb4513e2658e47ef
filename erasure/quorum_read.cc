#include "erasure/quorum_read.h"

#include <algorithm>
#include <utility>

#include "erasure/drive_round.h"
#include "erasure/heal_queue.h"
#include "erasure/inline_body.h"
#include "erasure/limits.h"
#include "erasure/settle.h"
#include "erasure/version_push.h"

namespace ostraka::erasure {
namespace {

using ReadRound = DriveRound<Result<disk::Held>>;

std::vector<Vote> votes_of(const std::vector<std::optional<Result<disk::Held>>>& answers) {
  std::vector<Vote> votes(answers.size());
  for (std::size_t slot = 0; slot < answers.size(); ++slot)
    if (answers[slot] && *answers[slot])
      votes[slot] = Vote{&(**answers[slot]).state, &(**answers[slot]).group};
  return votes;
}

Purpose purpose_of(Want want) noexcept {
  return want == Want::data ? Purpose::data : Purpose::metadata;
}

bool decided(Outcome outcome) noexcept {
  return outcome == Outcome::value || outcome == Outcome::none;
}

// Asks the preferred drives first, without suspending where they have the answer in memory; all others when
// that does not decide.
class Gathering {
 public:
  Gathering(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref, Want want)
      : core_(std::move(core)), ctx_(ctx), ref_(ref), want_(want), round_(core_, ctx, core_->size()) {
    spec_.with_inline = want == Want::data;
    answers_.resize(core_->size());
    // A body is read from the data shards: their drives pin it when they are asked.
    order_ = core_->preference(want == Want::data ? SetCore::Order::data_first : SetCore::Order::nearest);
  }

  Task<> run(Breadth breadth) {
    const unsigned need = want_ == Want::data
                              ? std::max<unsigned>(core_->read_quorum, core_->geometry.data_shards)
                              : core_->read_quorum;
    const unsigned first = breadth == Breadth::quorum ? need : core_->size();
    for (unsigned i = 0; i < first; ++i) ask_now(order_[i]);
    if (breadth == Breadth::all) {
      const std::function<bool()> healthy_all = [this] { return !round_.waiting_for_healthy(); };
      const TimePoint moment = core_->context.clock.now() + core_->context.write_grace;
      co_await round_.wait(std::min(moment, ctx_.deadline), healthy_all);
    }
    if (settled()) co_return;
    const TimePoint hedge = core_->context.clock.now() + core_->context.hedge_after;
    const std::function<bool()> enough = [this] { return settled() || lost(); };
    if (round_.running() > 0) co_await round_.wait(std::min(hedge, ctx_.deadline), enough);
    if (settled()) co_return;
    for (unsigned i = first; i < core_->size(); ++i) ask_now(order_[i]);
    if (settled()) co_return;

    // Everybody has been asked. What can be served is served at once; what would be rolled forward gives the
    // slow ones a moment.
    const std::function<bool()> final_answer = [this] { return settled(); };
    const TimePoint grace = core_->context.clock.now() + core_->context.write_grace;
    const bool in_time = co_await round_.wait(std::min(grace, ctx_.deadline), final_answer);
    if (in_time || election().outcome == Outcome::roll_forward) co_return;
    const TimePoint patience = core_->context.clock.now() + kUndecidedWait;
    const std::function<bool()> any = [this] { return election().outcome != Outcome::unknown; };
    co_await round_.wait(std::min(patience, ctx_.deadline), any);
  }

  std::vector<std::optional<Result<disk::Held>>> take() {
    collect();
    return std::move(answers_);
  }

 private:
  void ask_now(unsigned slot) {
    disk::Drive& drive = *core_->drives[slot];
    if (!drive.online()) {
      answers_[slot].emplace(fail(Errc::unavailable, "drive is out of service"));
      return;
    }
    if (auto answer = drive.try_read(ref_, spec_); answer && *answer) {
      answers_[slot].emplace(std::move(*answer));
      return;
    }
    round_.start(slot, call_read(core_, slot, ctx_, ref_, spec_));
  }
  void collect() {
    for (std::size_t slot = 0; slot < answers_.size(); ++slot) {
      auto& late = round_.answers()[slot];
      if (!answers_[slot] && late) answers_[slot] = std::move(late);
    }
  }
  Election election() {
    collect();
    return resolve(votes_of(answers_), core_->read_quorum, purpose_of(want_));
  }
  bool settled() { return decided(election().outcome); }
  // An answer that is an error: no use in waiting for the chosen few alone.
  bool lost() const {
    return std::any_of(answers_.begin(), answers_.end(),
                       [](const auto& answer) { return answer && !*answer; });
  }

  CorePtr core_;
  const Ctx& ctx_;
  const disk::ObjectRef& ref_;
  const Want want_;
  disk::ReadSpec spec_;
  std::vector<std::uint8_t> order_;
  std::vector<std::optional<Result<disk::Held>>> answers_;
  ReadRound round_;
};

// True when the version has reached its write quorum.
Task<bool> roll_forward(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref, const Reading& reading) {
  PushSpec push;
  push.mode = disk::CommitMode::roll_forward;
  push.record = reading.record;
  push.encoded = reading.version.record;
  for (unsigned slot = 0; slot < core->size(); ++slot) {
    if (!reading.answers[slot] || !*reading.answers[slot]) continue;
    const bool holds = reading.held_by(slot, reading.version.id) != nullptr;
    (holds ? push.holders : push.targets).push_back(static_cast<std::uint8_t>(slot));
  }
  const auto holders = static_cast<unsigned>(push.holders.size());
  const unsigned quorum = reading.version.write_quorum;
  const unsigned need = quorum > holders ? quorum - holders : 0;
  core->metrics.roll_forwards.add();
  const std::vector<std::uint8_t> took = co_await push_version(core, ctx, ref, std::move(push), need);
  co_return holders + took.size() >= quorum;
}

// The inline shards that came along, and those of drives whose newest version is another one.
Task<bool> complete_inline(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref, Reading& reading) {
  const disk::VersionRecord& record = *reading.record;
  if (!plausible_inline_size(record.size)) co_return false;
  const std::size_t bytes = disk::shard_block_bytes(record.size, record.data_shards);
  unsigned have = 0;
  std::vector<std::uint8_t> others;
  reading.inline_shards.resize(core->size());
  for (unsigned slot = 0; slot < core->size(); ++slot) {
    auto& answer = reading.answers[slot];
    const bool answered = answer && *answer;
    const bool newest = answered && (**answer).state.newest() == record.id;
    if (newest && (**answer).inline_shard.size() == bytes) {
      reading.inline_shards[slot] = std::move((**answer).inline_shard);
      ++have;
      continue;
    }
    // it holds this version and its shard is gone: the others will do, but somebody has to know
    if (newest) report_damage(core, ctx, ref, record.id, slot);
    if (!newest) others.push_back(static_cast<std::uint8_t>(slot));
  }
  if (have >= record.data_shards) co_return true;
  auto more = co_await read_inline_shards(core, ctx, ref, record.id, bytes, record.data_shards - have,
                                          std::move(others));
  for (unsigned slot = 0; slot < core->size(); ++slot) {
    if (more[slot].empty()) continue;
    reading.inline_shards[slot] = std::move(more[slot]);
    ++have;
  }
  co_return have >= record.data_shards;
}

// Drives that cannot read their row of the key: somebody has to know.
void report_lost_rows(const CorePtr& core, const Ctx& ctx, const disk::ObjectRef& ref,
                      const Reading& reading) {
  for (unsigned slot = 0; slot < core->size(); ++slot) {
    const auto& answer = reading.answers[slot];
    if (answer && answer->failed_with(Errc::corrupt)) report_lost_row(core, ctx, ref, reading.newest, slot);
  }
}

// A version that reads find at its write quorum but not final: whoever wrote it may be dead, so the readers
// retire for it.
void retire_found(const SetCore& core, const disk::ObjectRef& ref, const Reading& reading) {
  for (unsigned slot = 0; slot < core.size(); ++slot)
    if (reading.held_by(slot, reading.version.id) != nullptr)
      core.drives[slot]->retire(ref, reading.version.id);
}

Task<> settle_leftover(CorePtr core, Ctx ctx, disk::ObjectRef ref, disk::HeldVersion version) {
  co_await settle(core, ctx, ref, std::move(version));
}

// Versions newer than the elected one whose writer must be dead by now, since its calls have run out: while
// they stay, a read cannot do without the drives that prove them uncommitted. Settled in the background.
void settle_leftovers(const CorePtr& core, const Ctx& ctx, const disk::ObjectRef& ref, const Reading& reading,
                      VersionId elected) {
  if (reading.newest <= elected) return;
  const std::int64_t dead_before = core->context.clock.unix_ms() - kLongestCallMs;
  for (const Vote& vote : reading.votes()) {
    if (vote.state == nullptr) continue;
    for (const disk::HeldVersion& version : vote.state->versions) {
      if (version.id <= elected || version.id.unix_ms() >= dead_before) continue;
      if (!core->shared->settled.first_time(std::hash<VersionId>()(version.id))) continue;
      Ctx later = ctx;
      later.deadline = deadline_after(core->context.clock.now(), kLongestCall);
      core->context.background.spawn(ctx.shard.executor(),
                                     settle_leftover(core, std::move(later), ref, version));
    }
  }
}

}  // namespace

std::vector<Vote> Reading::votes() const {
  return votes_of(answers);
}

std::vector<disk::HeldVersion> Reading::newer_than(VersionId base) const {
  std::vector<disk::HeldVersion> newer;
  for (const Vote& vote : votes()) {
    if (vote.state == nullptr) continue;
    for (const disk::HeldVersion& version_held : vote.state->versions)
      if (version_held.id > base) newer.push_back(version_held);
  }
  const auto earlier = [](const disk::HeldVersion& a, const disk::HeldVersion& b) { return a.id < b.id; };
  const auto same = [](const disk::HeldVersion& a, const disk::HeldVersion& b) { return a.id == b.id; };
  std::sort(newer.begin(), newer.end(), earlier);
  newer.erase(std::unique(newer.begin(), newer.end(), same), newer.end());
  return newer;
}

Result<> Reading::adopt(const Election& election) {
  version = *election.version;
  is_final = election.is_final;
  if (!version.record) return fail(Errc::corrupt, "a row without a record");
  TRY(decoded, disk::decode_version_record(as_bytes(*version.record)));
  if (decoded.id != version.id) return fail(Errc::corrupt, "a record of another version");
  record = std::make_shared<const disk::VersionRecord>(std::move(decoded));
  return {};
}

const disk::HeldVersion* Reading::held_by(unsigned slot, VersionId id) const noexcept {
  const auto& answer = answers[slot];
  return answer && *answer ? (**answer).state.find(id) : nullptr;
}

Task<std::vector<std::string>> read_inline_shards(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref,
                                                  VersionId id, std::size_t shard_bytes, unsigned need,
                                                  std::vector<std::uint8_t> slots) {
  disk::ReadSpec spec;
  spec.with_inline = true;
  spec.inline_of = id;
  ReadRound round(core, ctx, core->size());
  for (const std::uint8_t slot : slots) round.start(slot, call_read(core, slot, ctx, ref, spec));
  const auto usable = [&round, shard_bytes](std::size_t slot) {
    const auto& answer = round.answers()[slot];
    return answer && *answer && (**answer).inline_shard.size() == shard_bytes;
  };
  const std::function<bool()> enough = [&] {
    unsigned have = 0;
    for (std::size_t slot = 0; slot < round.answers().size(); ++slot) have += usable(slot) ? 1U : 0U;
    return have >= need;
  };
  const TimePoint patience = core->context.clock.now() + kUndecidedWait;
  co_await round.wait(std::min(patience, ctx.deadline), enough);
  std::vector<std::string> out(core->size());
  for (std::size_t slot = 0; slot < out.size(); ++slot)
    if (usable(slot)) out[slot] = std::move((**round.answers()[slot]).inline_shard);
  co_return out;
}

Task<Result<Reading>> read_newest(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref, Want want,
                                  Breadth breadth) {
  Reading reading;
  disk::ObjectRef asked = ref;
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    if (core->context.clock.now() >= ctx.deadline)
      co_return fail(Errc::deadline, "reading the newest version");
    if (attempt > 1) co_await sleep_for(core->context.clock, std::chrono::milliseconds(1 << (2 * attempt)));
    reading = Reading();
    {
      Gathering gathering(core, ctx, asked, want);
      const Breadth asked_of = attempt == 0 ? breadth : Breadth::all;
      co_await gathering.run(asked_of);
      reading.answers = gathering.take();
    }
    const std::vector<Vote> votes = reading.votes();
    const Election election = resolve(votes, core->read_quorum, purpose_of(want));
    reading.full = election.full;
    reading.newest = newest_mentioned(votes);
    reading.epoch = asked.epoch;
    for (const Vote& vote : votes)
      if (vote.group != nullptr) reading.epoch = std::max(reading.epoch, vote.group->epoch);
    asked.epoch = reading.epoch;
    report_lost_rows(core, ctx, asked, reading);
    if (election.outcome == Outcome::none) {
      reading.outcome = Outcome::none;
      settle_leftovers(core, ctx, asked, reading, kNoVersion);
      co_return std::move(reading);
    }
    if (election.full < core->read_quorum)
      co_return std::move(reading);  // asking again would not bring drives back
    if (election.outcome == Outcome::unknown) continue;
    CO_TRY_VOID(reading.adopt(election));
    if (election.outcome == Outcome::roll_forward) {
      const bool rolled = co_await roll_forward(core, ctx, asked, reading);
      if (!rolled) continue;
    }
    if (want == Want::data && reading.record->inline_data && !reading.version.tombstone &&
        reading.record->size > 0) {
      const bool whole = co_await complete_inline(core, ctx, asked, reading);
      if (!whole) continue;  // replaced while it was read, or too much is lost
    }
    if (!reading.is_final && core->shared->retired.first_time(std::hash<VersionId>()(reading.version.id)))
      retire_found(*core, asked, reading);
    settle_leftovers(core, ctx, asked, reading, reading.version.id);
    reading.outcome = Outcome::value;
    co_return std::move(reading);
  }
  co_return std::move(reading);
}

}  // namespace ostraka::erasure
