#include "erasure/healer.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/log.h"
#include "base/sabotage.h"
#include "erasure/commit_coordinator.h"
#include "erasure/file_heal.h"
#include "erasure/heal_look.h"
#include "erasure/heal_queue.h"
#include "erasure/limits.h"
#include "erasure/lost_rows.h"
#include "erasure/quorum_read.h"
#include "erasure/settle.h"
#include "erasure/upload_end.h"

namespace ostraka::erasure {
namespace {

using HealOutcome = HealReport::Outcome;

constexpr Duration kTurnPause = std::chrono::milliseconds(5);
constexpr Duration kLongestTurnPause = std::chrono::milliseconds(200);

bool nothing_lacks(HealOutcome outcome) noexcept {
  return outcome == HealOutcome::healthy || outcome == HealOutcome::healed || outcome == HealOutcome::absent;
}

class KeyHealer {
 public:
  KeyHealer(CorePtr core, Ctx& ctx, disk::ObjectRef ref, HealSpec spec, KeyLookPtr ahead)
      : core_(std::move(core)),
        ctx_(ctx),
        ref_(core_->stamped(std::move(ref))),
        spec_(spec),
        given_(ctx.deadline),
        ahead_(std::move(ahead)) {}

  Task<Result<HealReport>> run() {
    for (int attempt = 0; attempt < kHealAttempts; ++attempt) {
      if (core_->context.clock.now() >= ctx_.deadline) co_return fail(Errc::deadline, "healing a key");
      if (attempt > 1) co_await sleep_for(core_->context.clock, std::chrono::milliseconds(5 << attempt));
      last_ = attempt + 1 == kHealAttempts;
      CO_TRY(done, co_await look_and_heal());
      if (done) break;
    }
    co_await finish_lost_rows();
    co_return std::move(report_);
  }

 private:
  unsigned n() const noexcept { return core_->size(); }
  TimePoint patience() const { return std::min(ctx_.deadline, core_->context.clock.now() + kHealCallWait); }
  // Until then what the look said may be acted on: the key cannot have been deleted and purged since.
  TimePoint commit_by() const { return deadline_after(looked_at_, kLongestCall); }
  bool fresh() const { return core_->context.clock.now() < commit_by(); }
  // Had the drives heard of this epoch when they were asked?
  bool told(std::uint64_t epoch) const { return epoch <= look_.told || sabotaged(Sabotage::untold); }
  void start_report() {
    report_ = HealReport();
    report_.looked_at = looked_at_;
    report_.shards.resize(n());
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (look_.answered(slot)) continue;
      report_.shards[slot].state = ShardState::offline;
      const auto& answer = look_.reading.answers[slot];
      report_.shards[slot].detail = answer ? answer->error().detail : "did not answer in time";
    }
  }

  bool may_use_ahead() const {
    if (!ahead_ || spec_.deep || spec_.dry_run || ahead_->told < ref_.epoch) return false;
    return core_->context.clock.now() - ahead_->began <= kLookAheadKept;
  }

  // False: look again.
  Task<Result<bool>> look_and_heal() {
    if (may_use_ahead()) {
      look_ = std::move(*ahead_);
    } else {
      look_ = co_await look_at_key(core_, ctx_, ref_);
    }
    ahead_.reset();
    looked_at_ = look_.began;
    ref_.epoch = look_.reading.epoch;
    if (!told(ref_.epoch) && !last_) co_return false;  // the drives are to hear the newest epoch
    start_report();
    const std::uint32_t lost = lost_rows(look_) & ~row_lost_;
    row_lost_ |= lost;
    if (lost != 0 && !spec_.dry_run && !last_) {
      const std::uint32_t begun = co_await begin_lost_rows(core_, ctx_, ref_, lost);
      ref_ = core_->stamped(std::move(ref_));
      if (begun != 0) co_return false;
    }
    // With the lease in hand it would wait for itself, and the look before has found the upload open.
    if (ref_.space != disk::KeySpace::object && !lease_) {
      CO_TRY(end, co_await end_upload_row(core_, ctx_, ref_, look_, spec_.dry_run));
      if (end == RowEnd::gone) report_.outcome = HealOutcome::absent;
      if (end == RowEnd::there_yet) report_.outcome = HealOutcome::partly;
      if (end != RowEnd::open) co_return true;
    }
    Election election = look_.elect(core_->read_quorum, Purpose::data);
    look_.reading.full = election.full;
    if (election.full < core_->read_quorum) co_return co_await decide_without_quorum();
    if (sabotaged(Sabotage::readmit)) report_.readmissible = ~std::uint32_t{0};
    if (election.version != nullptr) {
      CO_TRY_VOID(look_.adopt(election));
      take_time();
    }
    if (election.outcome == Outcome::roll_forward && !spec_.dry_run) {
      const bool rolled = co_await roll_forward();
      if (rolled) co_return false;
    }
    const bool known = election.outcome == Outcome::value || election.outcome == Outcome::none;
    const VersionId base = election.outcome == Outcome::value ? look_.reading.version.id : kNoVersion;
    clean_ = known;
    bool decided_some = false;
    if (!spec_.dry_run) {
      CO_TRY(settled, co_await settle_newer(base));
      decided_some = settled;
    } else if (!look_.reading.newer_than(base).empty()) {
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
    if (look_.reading.version.tombstone) {
      co_await heal_tombstone();
      co_return true;
    }
    co_return co_await heal_value();
  }

  // False: look again.
  Task<bool> decide_without_quorum() {
    if (spec_.dry_run || last_ || !fresh()) co_return true;
    Ctx readmitting = ctx_;
    readmitting.deadline = std::min(ctx_.deadline, commit_by());
    const bool readmitted = co_await readmit_beyond_parity(core_, readmitting, ref_, look_);
    beyond_parity_ = beyond_parity_ || readmitted;
    co_return !readmitted;
  }

  // Drives that could not read their row of the key: those that began it anew are readmitted where they have
  // what they should.
  Task<> finish_lost_rows() {
    std::uint32_t waiting = row_lost_;
    if (!spec_.dry_run && fresh()) {
      Ctx readmitting = ctx_;
      readmitting.deadline = std::min(ctx_.deadline, commit_by());
      waiting = co_await readmit_rows(core_, readmitting, ref_, look_, report_.readmissible);
      waiting |= row_lost_ & lost_rows(look_);  // not begun anew
    }
    if (waiting != 0 && nothing_lacks(report_.outcome)) report_.outcome = HealOutcome::partly;
    const bool nothing_else = report_.outcome == HealOutcome::absent && !beyond_parity_;
    // What was elected may be older than what was acknowledged, and forgotten by all that had it.
    if (beyond_parity_) report_.outcome = HealOutcome::lost;
    for (unsigned slot = 0; slot < report_.shards.size(); ++slot) {
      HealReport::Shard& shard = report_.shards[slot];
      if ((row_lost_ >> slot & 1U) == 0) continue;
      if ((waiting >> slot & 1U) == 0) forget_lost_row(*core_->shared, ref_, slot);
      if (shard.state == ShardState::good) continue;
      shard.healed = shard.healed || (nothing_else && look_.answered(slot));
      shard.state = ShardState::lost_row;
    }
  }

  // A large object has as long as it takes, unless whoever asked for the heal has brought its end forward.
  void take_time() {
    const disk::VersionRecord& record = *look_.reading.record;
    if (spec_.dry_run || !has_files(record) || ctx_.deadline < given_) return;
    const auto seconds = std::chrono::seconds(std::min(record.size, kMaxObjectBytes) / kSlowHeal);
    given_ = std::max(given_, deadline_after(core_->context.clock.now(), seconds));
    ctx_.deadline = std::max(ctx_.deadline, given_);
  }

  Task<bool> roll_forward() {
    PushSpec push;
    push.commit_by = commit_by();
    push.mode = disk::CommitMode::roll_forward;
    push.record = look_.reading.record;
    push.encoded = look_.reading.version.record;
    for (unsigned slot = 0; slot < n(); ++slot)
      if (look_.answered(slot))
        (look_.holds(slot) ? push.holders : push.targets).push_back(static_cast<std::uint8_t>(slot));
    const auto holders = static_cast<unsigned>(push.holders.size());
    const auto targets = static_cast<unsigned>(push.targets.size());
    core_->metrics.roll_forwards.add();
    const Ctx bounded = this->bounded();
    const std::vector<std::uint8_t> took =
        co_await bring_version(core_, bounded, ref_, std::move(push), targets);
    co_return holders + took.size() >= look_.reading.version.write_quorum;
  }

  // For what needs no longer than one call: a drive that hangs is not waited for.
  Ctx bounded() const {
    Ctx out = ctx_;
    if (!look_.reading.record || !has_files(*look_.reading.record)) out.deadline = patience();
    return out;
  }

  // Decides what is newer than `base` and whose writer must be dead; all of it while a drive refills, since
  // that is what readmitting it takes: a writer that lives is told that its version is gone, and tries again.
  // True when something was decided that changes what the key is.
  Task<Result<bool>> settle_newer(VersionId base) {
    const std::vector<disk::HeldVersion> newer = look_.reading.newer_than(base);
    if (newer.empty()) co_return false;
    const std::int64_t dead_before = core_->context.clock.unix_ms() - kLongestCallMs;
    const bool all = look_.any_refilling();
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
      if ((!all && young(version)) || !fresh()) {
        clean_ = false;
        continue;
      }
      const Settled settled = co_await settle(core_, ctx_, ref_, version, bring_version);
      if (settled != Settled::gone) clean_ = false;
      if (settled == Settled::kept || (settled == Settled::gone && base.is_none())) decided_some = true;
    }
    co_return decided_some || !fresh();
  }

  // Nobody can tell the newest version: because drives are away, or because too much of it is lost.
  void judge_undecided() {
    const Election election = look_.elect(core_->read_quorum, Purpose::metadata);
    if (election.version == nullptr || !look_.adopt(election)) return;
    describe();
    for (unsigned slot = 0; slot < n(); ++slot)
      if (look_.answered(slot))
        report_.shards[slot].state = look_.holds(slot) ? ShardState::not_looked_at : ShardState::no_record;
    if (election.outcome == Outcome::roll_forward) {
      report_.outcome = spec_.dry_run ? HealOutcome::partly : HealOutcome::undecided;
    } else if (election.outcome == Outcome::value && look_.all_answered()) {
      report_lost();
    }
  }

  void describe() {
    report_.version = look_.reading.version.id;
    report_.record = look_.reading.record;
    report_.is_final = look_.reading.is_final;
  }

  void report_lost() {
    report_.outcome = HealOutcome::lost;
    if (!core_->shared->lost.first_time(std::hash<VersionId>()(look_.reading.version.id))) return;
    core_->metrics.lost_versions.add();
    log::error(
        "an object cannot be rebuilt: fewer than {} good shards are left bucket={:016x} key={} version={}",
        look_.reading.record->data_shards, static_cast<std::uint64_t>(ref_.bucket), ref_.key,
        to_string(look_.reading.version.id));
  }

  // Rule 8 is met on this drive for this key, when it has the value.
  void note_readmissible(unsigned slot, bool has) {
    if (!has || !clean_ || !look_.answered(slot) || spec_.dry_run) return;
    if (told(look_.held(slot).group.birth)) report_.readmissible |= std::uint32_t{1} << slot;
  }

  void retire(unsigned slot) { core_->drives[slot]->retire(ref_, look_.reading.version.id); }
  void retire_where_due() {
    if (spec_.dry_run || !fresh()) return;
    for (unsigned slot = 0; slot < n(); ++slot) {
      const bool healed = report_.shards[slot].healed;  // and retired with that
      if (!healed && look_.answered(slot) && look_.holds(slot) && !look_.retired(slot)) retire(slot);
    }
  }

  Task<> heal_tombstone() {
    PushSpec push;
    push.commit_by = commit_by();
    push.mode = disk::CommitMode::heal;
    push.retire = true;
    push.record = look_.reading.record;
    push.encoded = look_.reading.version.record;
    bool purgeable = look_.all_answered();
    std::int64_t final_at_ms = 0;
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (!look_.answered(slot)) continue;
      const disk::Held& held = look_.held(slot);
      (look_.holds(slot) ? push.holders : push.targets).push_back(static_cast<std::uint8_t>(slot));
      final_at_ms = std::max(final_at_ms, held.state.final_at_ms);
      purgeable = purgeable && !held.group.refilling && held.state.final_id == look_.reading.version.id &&
                  held.state.newest() == look_.reading.version.id;
      if (!look_.holds(slot)) report_.shards[slot].state = ShardState::no_record;
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
    bool everywhere = look_.all_answered();
    for (unsigned slot = 0; slot < n(); ++slot) {
      const bool has = look_.answered(slot) && (look_.holds(slot) || report_.shards[slot].healed);
      everywhere = everywhere && has;
      note_readmissible(slot, has);
    }
    report_.outcome = everywhere && clean_ ? HealOutcome::absent : HealOutcome::partly;
    if (spec_.dry_run || !everywhere) co_return;
    if (!purgeable) {
      remember_tombstone(core_, ref_, look_.reading.version.id);
    } else if (final_at_ms < core_->context.clock.unix_ms() - kPurgeAfterMs) {
      Ctx purging = core_->changing(ctx_);
      purging.deadline = patience();
      co_await purge_tombstone(core_, purging, ref_, look_.reading.version.id);
    }
  }

  // False: look again.
  Task<Result<bool>> heal_value() {
    lease_.reset();  // the rest may take long, and disturbs nobody
    describe();
    bool lost = false;
    if (has_files(*look_.reading.record)) {
      retire_where_due();  // looking at the files may take longer than the look is good for
      lost = co_await heal_file_body();
    } else {
      lost = co_await heal_in_index();
    }
    if (std::exchange(look_further_, false)) co_return false;
    if (lost && lost_before_ != look_.reading.version.id && !last_) {
      lost_before_ =
          look_.reading.version.id;  // it may have been replaced meanwhile, and its files gone for that
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
      if (shard.healed) forget_damage(*core_->shared, report_.version, slot);
      note_readmissible(slot, good || shard.healed);
    }
    report_.outcome = all_good ? HealOutcome::healthy : all_there ? HealOutcome::healed : HealOutcome::partly;
    if (lost) report_lost();
    // It would hold the refill of the group back until somebody aborts the upload.
    const bool gives_up = ref_.space == disk::KeySpace::part && look_.any_refilling() && !spec_.dry_run;
    if (lost && gives_up) co_await erase_lost_part(core_, ctx_, ref_, report_.version);
    co_return true;
  }

  // A version that a client is writing just now is no reason to come again.
  bool clean_or_young() const {
    if (clean_) return true;
    const std::int64_t dead_before = core_->context.clock.unix_ms() - kLongestCallMs;
    for (const disk::HeldVersion& version : look_.reading.newer_than(look_.reading.version.id))
      if (version.id.unix_ms() < dead_before) return false;
    return true;
  }

  // True: it is lost.
  Task<bool> heal_file_body() {
    FileHealSpec files;
    files.ref = ref_;
    files.record = look_.reading.record;
    files.encoded = look_.reading.version.record;
    files.retire = true;
    files.deep = spec_.deep;
    files.sparing = look_.sparing;
    files.commit_by = commit_by();
    files.look_again = [this] { return look_again(); };
    for (unsigned slot = 0; slot < n(); ++slot) {
      files.answered.push_back(look_.answered(slot));
      files.holders.push_back(look_.answered(slot) && look_.holds(slot));
      files.targets.push_back(look_.answered(slot) && !spec_.dry_run);
    }
    const std::vector<bool> answered = files.answered;
    const std::vector<bool> holders = files.holders;
    FileHealReport found = co_await heal_files(core_, ctx_, std::move(files));
    report_.bytes_verified += found.bytes_verified;
    report_.bytes_read += found.bytes_read;
    report_.bytes_written += found.bytes_written;
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (!answered[slot]) continue;
      report_.shards[slot] = std::move(found.shards[slot]);
      if (!holders[slot]) report_.shards[slot].state = ShardState::no_record;
    }
    co_return found.lost;
  }

  // Is the version that was rebuilt still the key's?
  Task<SecondLook> look_again() {
    SecondLook out;
    KeyLook look = co_await look_at_key(core_, ctx_, ref_);
    const Election election = look.elect(core_->read_quorum, Purpose::data);
    if (election.full < core_->read_quorum || look.reading.epoch > look.told) co_return out;
    if (election.outcome == Outcome::none) out.verdict = SecondLook::Verdict::history;
    if (election.outcome != Outcome::value) co_return out;
    if (election.version->id != look_.reading.version.id) {
      out.verdict = SecondLook::Verdict::history;
      co_return out;
    }
    const Result<> adopted = look.adopt(election);
    if (!adopted) co_return out;
    look.reading.full = election.full;
    look_ = std::move(look);
    looked_at_ = look_.began;
    report_.looked_at = looked_at_;
    clean_ = look_.reading.newer_than(look_.reading.version.id).empty();
    out.verdict = SecondLook::Verdict::wanted;
    out.commit_by = commit_by();
    co_return out;
  }

  // Records without a body, and bodies that lie in the index. True: it is lost.
  Task<bool> heal_in_index() {
    const disk::VersionRecord& record = *look_.reading.record;
    const bool with_shards = record.inline_data && record.size > 0;
    if (with_shards) co_await find_inline_shards();
    PushSpec push;
    push.commit_by = commit_by();
    push.mode = disk::CommitMode::heal;
    push.retire = true;
    push.record = look_.reading.record;
    push.encoded = look_.reading.version.record;
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (!look_.answered(slot)) continue;
      HealReport::Shard& shard = report_.shards[slot];
      shard.state = !look_.holds(slot) ? ShardState::no_record : ShardState::good;
      if (with_shards && look_.holds(slot) && !has_inline_shard(slot)) {
        shard.state = ShardState::no_shard;
        shard.detail = "its shard in the index is missing or damaged";
      }
      const bool good = shard.state == ShardState::good;
      (good ? push.holders : push.targets).push_back(static_cast<std::uint8_t>(slot));
    }
    if (with_shards && inline_shards_at_hand() < record.data_shards) {
      look_further_ = look_.sparing;
      co_return !look_further_ && look_.all_answered();
    }
    if (push.targets.empty() || spec_.dry_run) co_return false;
    const auto need = static_cast<unsigned>(push.targets.size());
    const std::uint64_t bytes = with_shards ? disk::shard_block_bytes(record.size, record.data_shards) : 0;
    push.shards = std::move(look_.reading.inline_shards);
    const Ctx bounded = this->bounded();
    const std::vector<std::uint8_t> took = co_await push_version(core_, bounded, ref_, std::move(push), need);
    report_.bytes_read += bytes * record.data_shards;
    report_.bytes_written += bytes * took.size();
    for (const std::uint8_t slot : took) report_.shards[slot].healed = true;
    co_return false;
  }

  // It holds the version.
  bool has_inline_shard(unsigned slot) const {
    if (look_.asked_for_inline(slot)) return !look_.reading.inline_shards[slot].empty();
    return look_.reading.held_by(slot, look_.reading.version.id)->has_inline;
  }
  std::size_t inline_shards_at_hand() const {
    const std::vector<std::string>& shards = look_.reading.inline_shards;
    return shards.size() - static_cast<std::size_t>(std::count(shards.begin(), shards.end(), std::string()));
  }

  Task<> find_inline_shards() {
    const disk::VersionRecord& record = *look_.reading.record;
    const std::size_t bytes = disk::shard_block_bytes(record.size, record.data_shards);
    look_.reading.inline_shards.assign(n(), {});
    std::vector<std::uint8_t> others;  // what came along is another version's
    for (unsigned slot = 0; slot < n(); ++slot) {
      if (!look_.answered(slot) || !look_.holds(slot) || !look_.asked_for_inline(slot)) continue;
      disk::Held& held = **look_.reading.answers[slot];
      if (held.state.newest() != record.id) {
        others.push_back(static_cast<std::uint8_t>(slot));
      } else if (held.inline_shard.size() == bytes) {
        look_.reading.inline_shards[slot] = std::move(held.inline_shard);
      }
    }
    if (!others.empty()) {
      const auto need = static_cast<unsigned>(others.size());
      auto more = co_await read_inline_shards(core_, ctx_, ref_, record.id, bytes, need, std::move(others));
      for (unsigned slot = 0; slot < n(); ++slot)
        if (!more[slot].empty()) look_.reading.inline_shards[slot] = std::move(more[slot]);
    }
    for (const std::string& shard : look_.reading.inline_shards) report_.bytes_verified += shard.size();
  }

  CorePtr core_;
  Ctx& ctx_;  // its deadline may be brought forward meanwhile
  disk::ObjectRef ref_;
  const HealSpec spec_;
  TimePoint given_;   // the deadline, unless it was brought forward
  KeyLookPtr ahead_;  // what was known before
  KeyLook look_;
  TimePoint looked_at_;  // when that began
  HealReport report_;
  bool clean_ = false;          // what is newer than the elected version is settled as gone
  bool last_ = false;           // the last attempt
  bool look_further_ = false;   // too little was asked for
  std::uint32_t row_lost_ = 0;  // by bit of the slot: its drive could not read its row
  bool beyond_parity_ = false;  // of too many drives
  VersionId lost_before_;       // found to be lost by the attempt before
  std::unique_ptr<control::Lease> lease_;
};

}  // namespace

Task<Result<HealReport>> heal_key(CorePtr core, Ctx& ctx, disk::ObjectRef ref, HealSpec spec,
                                  KeyLookPtr ahead) {
  HealTurn turn(core->shared, core->heal_name(ref));
  Duration pause = kTurnPause;
  while (!spec.dry_run && !turn.enter()) {
    if (core->context.clock.now() >= ctx.deadline) co_return fail(Errc::deadline, "another heal of the key");
    ahead.reset();  // from before what the other one does
    co_await sleep_for(core->context.clock, pause);
    pause = std::min(2 * pause, kLongestTurnPause);
  }
  KeyHealer healer(std::move(core), ctx, std::move(ref), spec, std::move(ahead));
  co_return co_await healer.run();
}

}  // namespace ostraka::erasure
