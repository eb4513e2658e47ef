#include "erasure/plain_heal.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <utility>

#include "erasure/commit_coordinator.h"
#include "erasure/drive_round.h"
#include "erasure/file_heal.h"
#include "erasure/heal_look.h"
#include "erasure/heal_queue.h"
#include "erasure/inline_body.h"
#include "erasure/limits.h"

namespace ostraka::erasure {
namespace {

using HealOutcome = HealReport::Outcome;

// One of the keys, from the look to its report.
class PlainHeal {
 public:
  PlainHeal(PlainKey key, const Ctx& ctx)
      : core_(key.set->core()),
        ctx_(ctx),
        ref_(core_->stamped(std::move(key.ref))),
        look_(std::move(key.look)),
        turn_(core_->shared, core_->heal_name(ref_)),
        changing_(core_->changing(ctx)) {}

  // Sends the version to who lacks it. False: the key is not plain, and nothing was done.
  bool begin() {
    if (!look_ || !may_be_plain(*look_) || !usable()) return false;
    const Election election = look_->elect(core_->read_quorum, Purpose::data);
    if (election.full < core_->read_quorum || election.outcome != Outcome::value) return false;
    if (!look_->adopt(election) || has_files(*look_->reading.record)) return false;
    if (!look_->reading.newer_than(version().id).empty()) return false;
    find_targets();
    // One that nobody lacks may be purged.
    if (version().tombstone && targets_.empty()) return false;
    if (!turn_.enter() || !gather_shards()) return false;
    send();
    return true;
  }

  // For the drives' answers.
  Task<> wait() {
    if (!round_) co_return;
    const std::function<bool()> never = [] { return false; };
    co_await round_->wait(changing_.deadline, never);
  }

  HealReport end() {
    HealReport report;
    report.looked_at = look_->began;
    report.shards.resize(n());
    bool everywhere = true;
    for (unsigned slot = 0; slot < n(); ++slot) {
      HealReport::Shard& shard = report.shards[slot];
      shard.healed = took(slot);
      describe(slot, shard);
      const bool has = shard.healed || (look_->answered(slot) && !is_target(slot));
      everywhere = everywhere && has;
      if (has && look_->held(slot).group.birth <= look_->told)
        report.readmissible |= std::uint32_t{1} << slot;
      if (shard.healed && !version().tombstone) forget_damage(*core_->shared, version().id, slot);
    }
    if (version().tombstone) {
      report.outcome = everywhere ? HealOutcome::absent : HealOutcome::partly;
      if (everywhere) remember_tombstone(core_, ref_, version().id);
      return report;
    }
    report.outcome = !everywhere        ? HealOutcome::partly
                     : targets_.empty() ? HealOutcome::healthy
                                        : HealOutcome::healed;
    report.version = version().id;
    report.record = look_->reading.record;
    report.is_final = look_->reading.is_final;
    report.bytes_verified = bytes_verified_;
    if (!targets_.empty()) report.bytes_read = std::uint64_t{shard_bytes_} * version().data_shards;
    for (const HealReport::Shard& shard : report.shards)
      if (shard.healed) report.bytes_written += shard_bytes_;
    return report;
  }

 private:
  unsigned n() const noexcept { return core_->size(); }
  const disk::HeldVersion& version() const noexcept { return look_->reading.version; }
  bool is_target(unsigned slot) const {
    return std::find(targets_.begin(), targets_.end(), slot) != targets_.end();
  }

  // Young, of the newest epoch, and nobody has lost what he knew of this key.
  bool usable() const {
    if (ref_.space != disk::KeySpace::object) return false;  // those of an upload end with it
    if (ref_.epoch > look_->told || look_->reading.epoch > look_->told) return false;
    if (core_->context.clock.now() - look_->began > kLookAheadKept) return false;
    const auto whole = [](const std::optional<Result<disk::Held>>& answer) {
      return answer && (*answer ? (**answer).state.birth == 0 : !answer->failed_with(Errc::corrupt));
    };
    const auto& answers = look_->reading.answers;
    return std::all_of(answers.begin(), answers.end(), whole);
  }

  bool has_shards() const { return look_->reading.record->inline_data && look_->reading.record->size > 0; }
  bool has_good_shard(unsigned slot) const {
    if (!has_shards()) return true;
    if (!look_->asked_for_inline(slot)) return look_->reading.held_by(slot, version().id)->has_inline;
    return look_->held(slot).inline_shard.size() == shard_bytes_;
  }
  void find_targets() {
    const disk::VersionRecord& record = *look_->reading.record;
    if (has_shards()) shard_bytes_ = disk::shard_block_bytes(record.size, record.data_shards);
    for (unsigned slot = 0; slot < n(); ++slot)
      if (look_->answered(slot) && (!look_->holds(slot) || !has_good_shard(slot)))
        targets_.push_back(static_cast<std::uint8_t>(slot));
  }
  // False: too few came along with the look.
  bool gather_shards() {
    if (!has_shards()) return true;
    const auto here = [this](unsigned slot) {
      return look_->answered(slot) && look_->holds(slot) && look_->asked_for_inline(slot) &&
             has_good_shard(slot);
    };
    unsigned count = 0;
    for (unsigned slot = 0; slot < n(); ++slot) count += here(slot) ? 1U : 0U;
    if (count < version().data_shards) return false;
    shards_.resize(n());
    for (unsigned slot = 0; slot < n(); ++slot)
      if (here(slot)) shards_[slot] = std::move((**look_->reading.answers[slot]).inline_shard);
    bytes_verified_ = std::uint64_t{count} * shard_bytes_;
    return true;
  }

  void send() {
    const TimePoint now = core_->context.clock.now();
    changing_.deadline =
        std::min({changing_.deadline, deadline_after(look_->began, kLongestCall), now + kHealCallWait});
    for (unsigned slot = 0; slot < n(); ++slot)
      if (look_->answered(slot) && !is_target(slot) && !look_->retired(slot))
        core_->drives[slot]->retire(ref_, version().id);
    if (targets_.empty()) return;
    const disk::VersionRecord& record = *look_->reading.record;
    std::shared_ptr<const Codec> codec;
    if (has_shards()) codec = core_->codec(Geometry{record.data_shards, record.parity_shards});
    round_.emplace(core_, ctx_, n());
    for (const std::uint8_t slot : targets_) {
      disk::CommitRequest request;
      request.mode = disk::CommitMode::heal;
      request.retire = true;
      request.record = look_->reading.record;
      request.encoded = version().record;
      request.shard_index = slot;
      if (codec) {
        auto shard = rebuild_inline_shard(*codec, record.size, shards_, slot);
        if (!shard) continue;
        request.inline_shard = std::move(*shard);
      }
      round_->start(slot, call_commit(core_, slot, changing_, ref_, std::move(request)));
    }
    shards_.clear();
  }
  bool took(unsigned slot) {
    if (!round_) return false;
    const auto& answer = round_->answers()[slot];
    return answer && *answer &&
           ((**answer).verdict == disk::Verdict::ok || (**answer).verdict == disk::Verdict::newer);
  }

  void describe(unsigned slot, HealReport::Shard& shard) const {
    if (!look_->answered(slot)) {
      shard.state = ShardState::offline;
      shard.detail = look_->reading.answers[slot]->error().detail;
    } else if (!look_->holds(slot)) {
      shard.state = ShardState::no_record;
    } else if (is_target(slot)) {
      shard.state = ShardState::no_shard;
      shard.detail = "its shard in the index is missing or damaged";
    } else if (!version().tombstone) {
      shard.state = ShardState::good;
    }
  }

  const CorePtr core_;
  const Ctx& ctx_;
  const disk::ObjectRef ref_;
  const KeyLookPtr look_;
  HealTurn turn_;
  Ctx changing_;                       // its deadline is the calls'
  std::vector<std::uint8_t> targets_;  // slots that lack the version or its shard
  std::vector<std::string> shards_;    // inline ones, by slot
  std::size_t shard_bytes_ = 0;        // of each; 0: the version has none
  std::uint64_t bytes_verified_ = 0;
  std::optional<DriveRound<Result<disk::CommitAnswer>>> round_;
};

}  // namespace

bool may_be_plain(const KeyLook& look) {
  const disk::HeldVersion* newest = nullptr;
  for (const auto& answer : look.reading.answers) {
    if (!answer || !*answer || (**answer).state.versions.empty()) continue;
    const disk::HeldVersion& here = (**answer).state.versions.front();
    if (newest == nullptr || here.id > newest->id) newest = &here;
  }
  return newest != nullptr && !newest->has_files;
}

Task<std::vector<std::optional<HealReport>>> heal_plain(Ctx ctx, std::vector<PlainKey> keys) {
  std::vector<std::optional<HealReport>> out(keys.size());
  std::deque<PlainHeal> heals;
  std::vector<std::size_t> of_key;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    heals.emplace_back(std::move(keys[i]), ctx);
    if (heals.back().begin())
      of_key.push_back(i);
    else
      heals.pop_back();
  }
  for (std::size_t i = 0; i < heals.size(); ++i) co_await heals[i].wait();
  for (std::size_t i = 0; i < heals.size(); ++i) out[of_key[i]] = heals[i].end();
  co_return out;
}

}  // namespace ostraka::erasure
