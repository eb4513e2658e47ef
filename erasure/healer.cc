#include "erasure/healer.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/log.h"
#include "erasure/commit_coordinator.h"
#include "erasure/drive_round.h"
#include "erasure/file_heal.h"
#include "erasure/inline_body.h"
#include "erasure/limits.h"
#include "erasure/quorum_read.h"
#include "erasure/settle.h"
#include "erasure/upload_end.h"

namespace ostraka::erasure {
namespace {

using HealOutcome = HealReport::Outcome;

constexpr auto kLifeMs = std::chrono::duration_cast<std::chrono::milliseconds>(kLongestCall).count();
constexpr Duration kTurnPause = std::chrono::milliseconds(5);
constexpr Duration kLongestTurnPause = std::chrono::milliseconds(200);

class KeyHealer {
 public:
  KeyHealer(CorePtr core, Ctx ctx, disk::ObjectRef ref, HealSpec spec)
      : core_(std::move(core)), ctx_(std::move(ctx)), ref_(core_->stamped(std::move(ref))), spec_(spec) {}

  Task<Result<HealReport>> run() {
    for (int attempt = 0; attempt < kHealAttempts; ++attempt) {
      if (core_->context.clock.now() >= ctx_.deadline) co_return fail(Errc::deadline, "healing a key");
      if (attempt > 1) co_await sleep_for(core_->context.clock, std::chrono::milliseconds(5 << attempt));
      last_ = attempt + 1 == kHealAttempts;
      CO_TRY(done, co_await look_and_heal());
      if (done) break;
    }
    co_return std::move(report_);
  }

 private:
  unsigned n() const noexcept { return core_->size(); }
  TimePoint patience() const { return std::min(ctx_.deadline, core_->context.clock.now() + kHealCallWait); }
  bool answered(unsigned slot) const {
    const auto& answer = reading_.answers[slot];
    return answer && *answer;
  }
  bool all_answered() const {
    for (unsigned slot = 0; slot < n(); ++slot)
      if (!answered(slot)) return false;
    return true;
  }
  bool holds(unsigned slot) const { return reading_.held_by(slot, reading_.version.id) != nullptr; }
  bool any_refilling() const {
    for (unsigned slot = 0; slot < n(); ++slot)
      if (answered(slot) && (**reading_.answers[slot]).group.refilling) return true;
    return false;
  }

  // Asks all drives. Those that have been slow lately are waited for no longer than a grace time.
  Task<> look() {
    reading_ = Reading();
    reading_.answers.resize(n());
    told_ = ref_.epoch;
    disk::ReadSpec what;
    what.with_inline = true;
    DriveRound<Result<disk::Held>> round(core_, ctx_, n());
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (core_->drives[slot]->online()) {
        round.start(slot, call_read(core_, slot, ctx_, ref_, what));
      } else {
        reading_.answers[slot].emplace(fail(Errc::unavailable, "the drive is out of service"));
      }
    }
    const std::function<bool()> healthy_all = [&] { return !round.waiting_for_healthy(); };
    co_await round.wait(patience(), healthy_all);
    const std::function<bool()> never = [] { return false; };
    const TimePoint grace = core_->context.clock.now() + core_->context.write_grace;
    if (round.running() > 0) co_await round.wait(std::min(grace, ctx_.deadline), never);
    for (unsigned slot = 0; slot < n(); ++slot)
      if (round.answers()[slot]) reading_.answers[slot] = std::move(round.answers()[slot]);
    reading_.epoch = told_;
    for (const Vote& vote : reading_.votes())
      if (vote.group != nullptr) reading_.epoch = std::max(reading_.epoch, vote.group->epoch);
    reading_.newest = newest_mentioned(reading_.votes());
    ref_.epoch = reading_.epoch;
  }

  // Takes over what was elected.
  Result<> adopt(const Election& election) {
    reading_.version = *election.version;
    reading_.is_final = election.is_final;
    TRY(record, disk::decode_version_record(as_bytes(*reading_.version.record)));
    if (record.id != reading_.version.id) return fail(Errc::corrupt, "a record of another version");
    const auto geometry = make_geometry(record.data_shards, record.parity_shards);
    const bool has_body = record.inline_data || has_files(record);
    if (has_body && (!geometry || geometry->drives() != n()))
      return fail(Errc::corrupt, "a record of another geometry");
    if (record.inline_data && !plausible_inline_size(record.size))
      return fail(Errc::corrupt, "an inline body that is too large");
    reading_.record = std::make_shared<const disk::VersionRecord>(std::move(record));
    return {};
  }

  void start_report() {
    report_ = HealReport();
    report_.shards.resize(n());
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (answered(slot)) continue;
      report_.shards[slot].state = ShardState::offline;
      const auto& answer = reading_.answers[slot];
      report_.shards[slot].detail = answer ? answer->error().detail : "did not answer in time";
    }
  }

  // False: look again.
  Task<Result<bool>> look_and_heal() {
    co_await look();
    if (ref_.epoch > told_ && !last_) co_return false;  // the drives are to hear the newest epoch
    start_report();
    if (ref_.space != disk::KeySpace::object) {
      CO_TRY(ended, co_await end_upload_row());
      if (ended) co_return true;
    }
    Election election = resolve(reading_.votes(), core_->read_quorum, Purpose::data);
    reading_.full = election.full;
    if (election.full < core_->read_quorum) co_return true;
    if (election.version != nullptr) {
      CO_TRY_VOID(adopt(election));
    }
    if (election.outcome == Outcome::roll_forward && !spec_.dry_run) {
      const bool rolled = co_await roll_forward();
      if (rolled) co_return false;
    }
    const bool known = election.outcome == Outcome::value || election.outcome == Outcome::none;
    const VersionId base = election.outcome == Outcome::value ? reading_.version.id : kNoVersion;
    clean_ = known;
    bool decided_some = false;
    if (!spec_.dry_run) {
      CO_TRY(settled, co_await settle_newer(base));
      decided_some = settled;
    } else if (!newer_than(base).empty()) {
      clean_ = false;
    }
    if (decided_some && !last_) co_return false;
    if (!known) {
      if (!last_ && !spec_.dry_run) co_return false;
      judge_undecided();
      co_return true;
    }
    if (election.outcome == Outcome::none) {
      report_.outcome = clean_ ? HealOutcome::absent : HealOutcome::partly;
      for (unsigned slot = 0; slot < n(); ++slot) note_readmissible(slot, true);
      co_return true;
    }
    if (reading_.version.tombstone) {
      co_await heal_tombstone();
      co_return true;
    }
    co_return co_await heal_value();
  }

  Task<bool> roll_forward() {
    PushSpec push;
    push.mode = disk::CommitMode::roll_forward;
    push.record = reading_.record;
    push.encoded = reading_.version.record;
    for (unsigned slot = 0; slot < n(); ++slot)
      if (answered(slot))
        (holds(slot) ? push.holders : push.targets).push_back(static_cast<std::uint8_t>(slot));
    const auto holders = static_cast<unsigned>(push.holders.size());
    const auto targets = static_cast<unsigned>(push.targets.size());
    core_->metrics.roll_forwards.add();
    const Ctx bounded = this->bounded();
    const std::vector<std::uint8_t> took =
        co_await bring_version(core_, bounded, ref_, std::move(push), targets);
    co_return holders + took.size() >= reading_.version.write_quorum;
  }

  // For what needs no longer than one call: a drive that hangs is not waited for.
  Ctx bounded() const {
    Ctx out = ctx_;
    if (!reading_.record || !has_files(*reading_.record)) out.deadline = patience();
    return out;
  }

  std::vector<disk::HeldVersion> newer_than(VersionId base) const {
    std::vector<disk::HeldVersion> newer;
    for (const Vote& vote : reading_.votes()) {
      if (vote.state == nullptr) continue;
      for (const disk::HeldVersion& version : vote.state->versions)
        if (version.id > base) newer.push_back(version);
    }
    const auto earlier = [](const disk::HeldVersion& a, const disk::HeldVersion& b) { return a.id < b.id; };
    const auto same = [](const disk::HeldVersion& a, const disk::HeldVersion& b) { return a.id == b.id; };
    std::sort(newer.begin(), newer.end(), earlier);
    newer.erase(std::unique(newer.begin(), newer.end(), same), newer.end());
    return newer;
  }

  // Decides what is newer than `base` and whose writer must be dead; all of it while a drive refills, since
  // that is what readmitting it takes: a writer that lives is told that its version is gone, and tries again.
  // True when something was decided that changes what the key is.
  Task<Result<bool>> settle_newer(VersionId base) {
    const std::vector<disk::HeldVersion> newer = newer_than(base);
    if (newer.empty()) co_return false;
    const std::int64_t dead_before = core_->context.clock.unix_ms() - kLifeMs;
    const bool all = any_refilling();
    const auto young = [dead_before](const disk::HeldVersion& v) { return v.id.unix_ms() >= dead_before; };
    if (all && !lease_ && std::any_of(newer.begin(), newer.end(), young)) {
      // under the lease no writer of this cluster is in the middle of it
      Ctx waiting = ctx_;
      waiting.deadline = patience();
      auto lease = co_await core_->context.locks.acquire(waiting, core_->commit_lease(ref_));
      if (lease) lease_ = std::move(*lease);
      if (!last_) co_return true;
    }
    bool decided_some = false;
    for (const disk::HeldVersion& version : newer) {
      if (!all && young(version)) {
        clean_ = false;
        continue;
      }
      const Settled settled = co_await settle(core_, ctx_, ref_, version, bring_version);
      if (settled != Settled::gone) clean_ = false;
      if (settled == Settled::kept || (settled == Settled::gone && base.is_none())) decided_some = true;
    }
    co_return decided_some;
  }

  // Nobody can tell the newest version: because drives are away, or because too much of it is lost.
  void judge_undecided() {
    const Election election = resolve(reading_.votes(), core_->read_quorum, Purpose::metadata);
    if (election.version == nullptr || !adopt(election)) return;
    describe();
    for (unsigned slot = 0; slot < n(); ++slot)
      if (answered(slot))
        report_.shards[slot].state = holds(slot) ? ShardState::not_looked_at : ShardState::no_record;
    if (election.outcome == Outcome::roll_forward) {
      report_.outcome = spec_.dry_run ? HealOutcome::partly : HealOutcome::undecided;
    } else if (election.outcome == Outcome::value && all_answered()) {
      report_lost();
    }
  }

  void describe() {
    report_.version = reading_.version.id;
    report_.record = reading_.record;
    report_.is_final = reading_.is_final;
  }

  void report_lost() {
    report_.outcome = HealOutcome::lost;
    if (!core_->shared->lost.first_time(std::hash<VersionId>()(reading_.version.id))) return;
    log::error(
        "an object cannot be rebuilt: fewer than {} good shards are left bucket={:016x} key={} version={}",
        reading_.record->data_shards, static_cast<std::uint64_t>(ref_.bucket), ref_.key,
        to_string(reading_.version.id));
  }

  // Rule 8 is met on this drive for this key, when it has the value.
  void note_readmissible(unsigned slot, bool has) {
    if (!has || !clean_ || !answered(slot) || spec_.dry_run) return;
    if ((**reading_.answers[slot]).group.birth <= told_) report_.readmissible |= std::uint32_t{1} << slot;
  }

  void retire(unsigned slot) {
    core_->drives[slot]->retire(ref_, reading_.version.id, reading_.version.tombstone);
  }
  // Does the drive, which holds the version, know that it is final, and has it dropped what it replaced?
  bool retired(unsigned slot) const {
    const disk::KeyState& state = (**reading_.answers[slot]).state;
    return state.final_id >= reading_.version.id && state.versions.back().id >= reading_.version.id;
  }
  void retire_where_due() {
    if (spec_.dry_run) return;
    for (unsigned slot = 0; slot < n(); ++slot) {
      const bool healed = report_.shards[slot].healed;
      if (healed || (answered(slot) && holds(slot) && !retired(slot))) retire(slot);
    }
  }

  Task<> heal_tombstone() {
    PushSpec push;
    push.mode = disk::CommitMode::heal;
    push.record = reading_.record;
    push.encoded = reading_.version.record;
    bool purgeable = all_answered();
    std::int64_t final_at_ms = 0;
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (!answered(slot)) continue;
      const disk::Held& held = **reading_.answers[slot];
      (holds(slot) ? push.holders : push.targets).push_back(static_cast<std::uint8_t>(slot));
      final_at_ms = std::max(final_at_ms, held.state.final_at_ms);
      purgeable = purgeable && !held.group.refilling && held.state.final_id == reading_.version.id &&
                  held.state.newest() == reading_.version.id;
      if (!holds(slot)) report_.shards[slot].state = ShardState::no_record;
    }
    const std::vector<std::uint8_t> targets = push.targets;
    if (!targets.empty() && !spec_.dry_run) {
      const Ctx bounded = this->bounded();
      const auto need = static_cast<unsigned>(targets.size());
      const std::vector<std::uint8_t> took =
          co_await push_version(core_, bounded, ref_, std::move(push), need);
      for (const std::uint8_t slot : took) report_.shards[slot].healed = true;
    }
    retire_where_due();
    bool everywhere = all_answered();
    for (unsigned slot = 0; slot < n(); ++slot) {
      const bool has = answered(slot) && (holds(slot) || report_.shards[slot].healed);
      everywhere = everywhere && has;
      note_readmissible(slot, has);
    }
    report_.outcome = everywhere && clean_ ? HealOutcome::absent : HealOutcome::partly;
    if (spec_.dry_run || !everywhere) co_return;
    if (!purgeable) {
      remember_tombstone(core_, ref_, reading_.version.id);
    } else if (final_at_ms < core_->context.clock.unix_ms() - kLifeMs) {
      Ctx purging = core_->changing(ctx_);
      purging.deadline = patience();
      co_await purge_tombstone(core_, purging, ref_, reading_.version.id);
    }
  }

  // False: look again.
  Task<Result<bool>> heal_value() {
    lease_.reset();  // the rest may take long, and disturbs nobody
    describe();
    bool lost = false;
    if (has_files(*reading_.record)) {
      lost = co_await heal_file_body();
    } else {
      lost = co_await heal_in_index();
    }
    if (lost && lost_before_ != reading_.version.id && !last_) {
      lost_before_ = reading_.version.id;  // it may have been replaced meanwhile, and its files gone for that
      co_return false;
    }
    retire_where_due();
    bool all_good = clean_or_young();
    bool all_there = all_good;
    for (unsigned slot = 0; slot < n(); ++slot) {
      const HealReport::Shard& shard = report_.shards[slot];
      const bool good = shard.state == ShardState::good;
      all_good = all_good && good;
      all_there = all_there && (good || shard.healed);
      note_readmissible(slot, good || shard.healed);
    }
    report_.outcome = all_good ? HealOutcome::healthy : all_there ? HealOutcome::healed : HealOutcome::partly;
    if (lost) report_lost();
    co_return true;
  }

  // A version that a client is writing just now is no reason to come again.
  bool clean_or_young() const {
    if (clean_) return true;
    const std::int64_t dead_before = core_->context.clock.unix_ms() - kLifeMs;
    for (const disk::HeldVersion& version : newer_than(reading_.version.id))
      if (version.id.unix_ms() < dead_before) return false;
    return true;
  }

  // True: it is lost.
  Task<bool> heal_file_body() {
    FileHealSpec files;
    files.ref = ref_;
    files.record = reading_.record;
    files.encoded = reading_.version.record;
    files.deep = spec_.deep;
    for (unsigned slot = 0; slot < n(); ++slot) {
      files.answered.push_back(answered(slot));
      files.holders.push_back(answered(slot) && holds(slot));
      files.targets.push_back(answered(slot) && !spec_.dry_run);
    }
    const std::vector<bool> holders = files.holders;
    FileHealReport found = co_await heal_files(core_, ctx_, std::move(files));
    report_.bytes_verified += found.bytes_verified;
    report_.bytes_read += found.bytes_read;
    report_.bytes_written += found.bytes_written;
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (!answered(slot)) continue;
      report_.shards[slot] = std::move(found.shards[slot]);
      if (!holders[slot]) report_.shards[slot].state = ShardState::no_record;
    }
    co_return found.lost;
  }

  // Records without a body, and bodies that lie in the index. True: it is lost.
  Task<bool> heal_in_index() {
    const disk::VersionRecord& record = *reading_.record;
    const bool with_shards = record.inline_data && record.size > 0;
    if (with_shards) co_await find_inline_shards();
    PushSpec push;
    push.mode = disk::CommitMode::heal;
    push.record = reading_.record;
    push.encoded = reading_.version.record;
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (!answered(slot)) continue;
      HealReport::Shard& shard = report_.shards[slot];
      shard.state = !holds(slot) ? ShardState::no_record : ShardState::good;
      if (with_shards && holds(slot) && reading_.inline_shards[slot].empty()) {
        shard.state = ShardState::no_shard;
        shard.detail = "its shard in the index is missing or damaged";
      }
      const bool good = shard.state == ShardState::good;
      (good ? push.holders : push.targets).push_back(static_cast<std::uint8_t>(slot));
    }
    if (with_shards && push.holders.size() < record.data_shards) co_return all_answered();
    if (push.targets.empty() || spec_.dry_run) co_return false;
    const auto need = static_cast<unsigned>(push.targets.size());
    const std::uint64_t bytes = with_shards ? disk::shard_block_bytes(record.size, record.data_shards) : 0;
    push.shards = std::move(reading_.inline_shards);
    const Ctx bounded = this->bounded();
    const std::vector<std::uint8_t> took = co_await push_version(core_, bounded, ref_, std::move(push), need);
    report_.bytes_read += bytes * record.data_shards;
    report_.bytes_written += bytes * took.size();
    for (const std::uint8_t slot : took) report_.shards[slot].healed = true;
    co_return false;
  }

  Task<> find_inline_shards() {
    const disk::VersionRecord& record = *reading_.record;
    const std::size_t bytes = disk::shard_block_bytes(record.size, record.data_shards);
    reading_.inline_shards.assign(n(), {});
    std::vector<std::uint8_t> others;  // what came along is another version's
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (!answered(slot) || !holds(slot)) continue;
      disk::Held& held = **reading_.answers[slot];
      if (held.state.newest() != record.id) {
        others.push_back(static_cast<std::uint8_t>(slot));
      } else if (held.inline_shard.size() == bytes) {
        reading_.inline_shards[slot] = std::move(held.inline_shard);
      }
    }
    if (!others.empty()) {
      const auto need = static_cast<unsigned>(others.size());
      auto more = co_await read_inline_shards(core_, ctx_, ref_, record.id, bytes, need, std::move(others));
      for (unsigned slot = 0; slot < n(); ++slot)
        if (!more[slot].empty()) reading_.inline_shards[slot] = std::move(more[slot]);
    }
    for (const std::string& shard : reading_.inline_shards) report_.bytes_verified += shard.size();
  }

  // Rows of an upload that has ended go; true when this is one, and it is dealt with as far as possible.
  Task<Result<bool>> end_upload_row() {
    const disk::HeldVersion* newest = nullptr;
    const std::vector<Vote> votes = reading_.votes();
    for (const Vote& vote : votes) {
      if (vote.state == nullptr || vote.state->versions.empty()) continue;
      const disk::HeldVersion& front = vote.state->versions.front();
      if (newest == nullptr || front.id > newest->id) newest = &front;
    }
    if (newest == nullptr || newest->tombstone) co_return false;
    const UploadState state = co_await upload_state(core_, ctx_, ref_);
    if (state == UploadState::open) co_return false;
    if (state == UploadState::unknown) co_return true;
    report_.outcome = HealOutcome::partly;
    if (spec_.dry_run) co_return true;
    if (state == UploadState::completed) {
      CO_TRY(done, co_await drop_completed());
      if (done) report_.outcome = HealOutcome::absent;
      co_return true;
    }
    const auto age = std::chrono::milliseconds(core_->context.clock.unix_ms() - reading_.newest.unix_ms());
    if (age <= kUploadRowAge) co_return true;  // its end may be under way
    WriteSpec erase;
    erase.ref = ref_;
    erase.record.kind = disk::RecordKind::tombstone;
    erase.record.modified_ms = core_->context.clock.unix_ms();
    CO_TRY(written, co_await write_version(core_, ctx_, std::move(erase)));
    report_.outcome = all_answered() ? HealOutcome::absent : HealOutcome::partly;
    co_return true;
  }

  // First the version comes to every drive, so that none loses parts it has yet to name; where it is final
  // the upload's rows go.
  Task<Result<bool>> drop_completed() {
    const disk::ObjectRef object = object_of(ref_);
    HealSpec shallow;
    CO_TRY(healed, co_await heal_key(core_, ctx_, object, shallow));
    const bool whole = healed.outcome == HealOutcome::healthy || healed.outcome == HealOutcome::healed;
    if (!healed.record) co_return false;
    for (unsigned slot = 0; slot < n(); ++slot) {
      const HealReport::Shard& shard = healed.shards[slot];
      if (shard.state == ShardState::good || shard.healed)
        core_->drives[slot]->retire(object, healed.version, false);
    }
    co_return whole;
  }

  CorePtr core_;
  Ctx ctx_;
  disk::ObjectRef ref_;
  const HealSpec spec_;
  Reading reading_;
  HealReport report_;
  std::uint64_t told_ = 0;  // the epoch that the last look carried
  bool clean_ = false;      // what is newer than the elected version is settled as gone
  bool last_ = false;       // the last attempt
  VersionId lost_before_;   // found to be lost by the attempt before
  std::unique_ptr<control::Lease> lease_;
};

// While it lives no other heal of the key begins.
class Turn {
 public:
  Turn(std::shared_ptr<SetShared> shared, std::string key)
      : shared_(std::move(shared)), key_(std::move(key)) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (entered_) shared_->healing.leave(key_);
  }
  bool enter() { return entered_ = shared_->healing.enter(key_); }

 private:
  std::shared_ptr<SetShared> shared_;
  const std::string key_;
  bool entered_ = false;
};

}  // namespace

Task<Result<HealReport>> heal_key(CorePtr core, Ctx& ctx, disk::ObjectRef ref, HealSpec spec) {
  std::string name = core->commit_lease(ref);
  name.push_back(static_cast<char>(ref.space));
  name += ref.sub;
  Turn turn(core->shared, std::move(name));
  Duration pause = kTurnPause;
  while (!spec.dry_run && !turn.enter()) {
    if (core->context.clock.now() >= ctx.deadline) co_return fail(Errc::deadline, "another heal of the key");
    co_await sleep_for(core->context.clock, pause);
    pause = std::min(2 * pause, kLongestTurnPause);
  }
  KeyHealer healer(std::move(core), ctx, std::move(ref), spec);
  co_return co_await healer.run();
}

}  // namespace ostraka::erasure
