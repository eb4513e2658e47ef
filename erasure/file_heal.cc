#include "erasure/file_heal.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "base/fault_point.h"
#include "base/log.h"
#include "erasure/drive_round.h"
#include "erasure/heal_queue.h"
#include "erasure/limits.h"
#include "erasure/shard_rebuild.h"

namespace ostraka::erasure {
namespace {

constexpr std::size_t kMaxDetailBytes = 200;
constexpr std::uint64_t kSlowestVerify = 4U << 20;                  // bytes a second
constexpr Duration kDeadlineLook = std::chrono::milliseconds(250);  // whether it was brought forward

// One drive's shard file of one part.
struct FileLook {
  ShardState state = ShardState::offline;
  bool certain = false;  // the drive has looked
  std::string detail;
  std::uint64_t verified = 0;
  std::shared_ptr<disk::ShardReader> reader;
};

FileLook unreadable(const Error& error) {
  FileLook look;
  look.detail = error.detail.empty() ? std::string(to_string(error.code)) : error.detail;
  if (error.code == Errc::not_found) look.state = ShardState::no_shard;
  if (error.code == Errc::corrupt || error.code == Errc::io) look.state = ShardState::corrupt;
  look.certain = error.code == Errc::not_found || error.code == Errc::corrupt;
  return look;
}

Task<FileLook> look_at(CorePtr core, unsigned slot, Ctx ctx, disk::ShardRef ref, bool deep) {
  disk::Drive& drive = *core->drives[slot];
  auto opened = co_await drive.open_shard(ctx, ref);
  if (!opened) co_return unreadable(opened.error());
  FileLook look;
  look.state = ShardState::good;
  look.certain = true;
  look.reader = std::move(*opened);
  if (!deep) co_return look;
  const auto health = co_await drive.verify(ctx, ref);
  if (!health) {
    FileLook failed = unreadable(health.error());
    failed.reader = std::move(look.reader);
    co_return failed;
  }
  disk::StripeLayout layout;
  layout.data_shards = ref.data_shards;
  layout.part_bytes = ref.part_bytes;
  look.verified = layout.stripes() == 0
                      ? 0
                      : layout.block_offset(layout.stripes() - 1) + layout.block_bytes(layout.stripes() - 1);
  if (!health->present) {
    look.state = ShardState::no_shard;
  } else if (!health->corrupt_blocks.empty() || health->blocks != layout.stripes()) {
    look.state = ShardState::corrupt;
    look.detail = fmt::format("{} of {} blocks fail their checksum, first {}", health->corrupt_blocks.size(),
                              health->blocks,
                              health->corrupt_blocks.empty() ? health->blocks : health->corrupt_blocks[0]);
  }
  co_return look;
}

class FileHealer {
 public:
  FileHealer(CorePtr core, const Ctx& ctx, FileHealSpec spec)
      : core_(std::move(core)),
        ctx_(ctx),
        spec_(std::move(spec)),
        commit_by_(spec_.commit_by),
        whole_(core_->size(), true),
        staged_(core_->size()) {
    report_.shards.resize(core_->size());
    for (unsigned slot = 0; slot < core_->size(); ++slot)
      report_.shards[slot].state = spec_.answered[slot] ? ShardState::good : ShardState::offline;
  }

  Task<FileHealReport> run() {
    for (const disk::PartRecord& part : spec_.record->parts) {
      if (part.data.is_nil() || part.size == 0) continue;
      if (core_->context.clock.now() >= ctx_.deadline) {
        leave_off();
        co_return std::move(report_);
      }
      co_await heal_part(part);
    }
    fault_point("heal.rebuilt");
    if (!anything_to_commit()) co_return std::move(report_);
    const SecondLook::Verdict verdict = co_await confirm();
    if (verdict == SecondLook::Verdict::wanted) co_await commit();
    if (verdict == SecondLook::Verdict::history) co_await discard_all();
    co_return std::move(report_);
  }

 private:
  // The other parts are not looked at: nobody knows that they are good. What was rebuilt waits for the next
  // heal.
  void leave_off() {
    for (HealReport::Shard& shard : report_.shards) {
      if (shard.state != ShardState::good) continue;
      shard.state = ShardState::not_looked_at;
      shard.detail = "the time was over before all parts were looked at";
    }
  }

  bool to_commit(unsigned slot) const {
    if (!spec_.targets[slot] || !spec_.answered[slot] || !whole_[slot]) return false;
    return !spec_.holders[slot] || !staged_[slot].empty();
  }
  bool anything_to_commit() const {
    for (unsigned slot = 0; slot < core_->size(); ++slot)
      if (to_commit(slot)) return true;
    return false;
  }

  // Rebuilding may have taken long.
  Task<SecondLook::Verdict> confirm() {
    const TimePoint now = core_->context.clock.now();
    if (now + kHealCallWait < commit_by_) co_return SecondLook::Verdict::wanted;
    if (!spec_.look_again)
      co_return now < commit_by_ ? SecondLook::Verdict::wanted : SecondLook::Verdict::unclear;
    Task<SecondLook> looking = spec_.look_again();
    const SecondLook look = co_await std::move(looking);
    commit_by_ = look.commit_by;
    co_return look.verdict;
  }

  // Every call that changes something for the version ends with it.
  Ctx changing() const {
    Ctx out = core_->changing(ctx_);
    out.deadline = std::min(out.deadline, commit_by_);
    return out;
  }

  Task<> heal_part(disk::PartRecord part) {
    if (spec_.sparing) {
      const std::vector<bool> whole = whole_;
      const bool done = co_await try_part(part, true);
      if (done) co_return;
      whole_ = whole;
    }
    co_await try_part(part, false);
  }

  // False, when it is sparing: all drives have to be looked at.
  Task<bool> try_part(const disk::PartRecord& part, bool sparing) {
    const std::vector<FileLook> looks = co_await survey(part, sparing);
    RebuildSpec rebuild;
    rebuild.geometry = Geometry{spec_.record->data_shards, spec_.record->parity_shards};
    rebuild.part = part;
    for (unsigned slot = 0; slot < core_->size(); ++slot) {
      const FileLook& look = looks[slot];
      const bool unopened = look.state == ShardState::good && !look.reader;
      rebuild.sources.push_back(RebuildSource{look.reader, unopened, look.certain});
      if (look.state == ShardState::good) continue;
      // a drive that could not carry one part is not given the others
      const bool wanted = spec_.targets[slot] && whole_[slot] && look.state != ShardState::offline;
      whole_[slot] = false;
      if (wanted) rebuild.targets.push_back(static_cast<std::uint8_t>(slot));
    }
    unsigned readable = 0;
    bool all_certain = true;
    for (const FileLook& look : looks) {
      readable += look.reader ? 1U : 0U;
      all_certain = all_certain && look.certain;
    }
    report_.lost = report_.lost || (all_certain && readable < rebuild.geometry.data_shards);
    Rebuilt rebuilt;
    const bool anything = !rebuild.targets.empty();
    if (anything) rebuilt = co_await rebuild_part(core_, ctx_, std::move(rebuild));
    report_.bytes_read += rebuilt.bytes_read;
    report_.bytes_written += rebuilt.bytes_written;
    for (const std::uint8_t slot : rebuilt.staged) {
      whole_[slot] = true;
      staged_[slot].push_back(part.data);
    }
    for (const std::uint8_t slot : rebuilt.corrupt)  // the others did, but somebody has to read all of it
      report_damage(core_, ctx_, spec_.ref, spec_.record->id, slot);
    if (sparing && (!rebuilt.status || rebuilt.damage_found)) co_return false;
    for (unsigned slot = 0; slot < core_->size(); ++slot) note(slot, part, looks[slot]);
    report_.lost = report_.lost || rebuilt.status.failed_with(Errc::corrupt);
    if (!rebuilt.status)
      log::warn("a shard could not be rebuilt key={} data={} reason=\"{}\"", spec_.ref.key,
                to_string(part.data), rebuilt.status.error().detail);
    co_return true;
  }

  // Without looking at its file. Who lacks the version may have the file from a heal that was cut off: worth
  // a look when the file is large.
  bool believed(unsigned slot, const disk::PartRecord& part, bool sparing) const {
    if (!sparing || !spec_.answered[slot]) return false;
    return spec_.holders[slot] || part.size <= kUnseenRebuild;
  }

  Task<std::vector<FileLook>> survey(const disk::PartRecord& part, bool sparing) {
    const std::uint8_t data_shards = spec_.record->data_shards;
    DriveRound<FileLook> round(core_, ctx_, core_->size());
    for (unsigned slot = 0; slot < core_->size(); ++slot) {
      if (!spec_.answered[slot] || believed(slot, part, sparing)) continue;
      const disk::ShardRef ref = disk::shard_ref(part, data_shards, spec_.record->parity_shards, slot);
      round.start(slot, look_at(core_, slot, ctx_, ref, spec_.deep));
    }
    Duration wait = kHealCallWait;
    if (spec_.deep) wait += std::chrono::seconds(part.size / data_shards / kSlowestVerify);
    const TimePoint patience = core_->context.clock.now() + wait;
    const std::function<bool()> never = [] { return false; };
    TimePoint now = core_->context.clock.now();
    while (round.running() > 0 && now < std::min(ctx_.deadline, patience)) {
      const TimePoint until = std::min(std::min(ctx_.deadline, patience), now + kDeadlineLook);
      co_await round.wait(until, never);
      now = core_->context.clock.now();
    }
    std::vector<FileLook> out(core_->size());
    for (unsigned slot = 0; slot < core_->size(); ++slot) {
      auto& answer = round.answers()[slot];
      if (believed(slot, part, sparing)) {
        out[slot].state = spec_.holders[slot] ? ShardState::good : ShardState::no_shard;
        out[slot].certain = !spec_.holders[slot];
      } else if (answer) {
        out[slot] = std::move(*answer);
      } else if (spec_.answered[slot]) {
        out[slot].detail = "did not answer in time";
      }
    }
    co_return out;
  }

  // The worst that was found of a drive's files is what is reported of it.
  void note(unsigned slot, const disk::PartRecord& part, const FileLook& look) {
    report_.bytes_verified += look.verified;
    HealReport::Shard& shard = report_.shards[slot];
    if (look.state == ShardState::good || !spec_.answered[slot]) return;
    if (shard.state == ShardState::good || look.state == ShardState::corrupt) shard.state = look.state;
    if (shard.detail.size() >= kMaxDetailBytes) return;
    if (!shard.detail.empty()) shard.detail += "; ";
    if (part.number > 0) shard.detail += fmt::format("part {}: ", part.number);
    shard.detail += look.detail.substr(0, kMaxDetailBytes);
  }

  // Where all files are, the version is committed with those that were staged.
  Task<> commit() {
    const Ctx changing = this->changing();
    DriveRound<Result<disk::CommitAnswer>> round(core_, ctx_, core_->size());
    for (unsigned slot = 0; slot < core_->size(); ++slot) {
      if (!to_commit(slot)) continue;
      disk::CommitRequest request;
      request.mode = spec_.mode;
      request.retire = spec_.retire;
      request.record = spec_.record;
      request.encoded = spec_.encoded;
      request.shard_index = static_cast<std::uint8_t>(slot);
      disk::ObjectRef ref = spec_.ref;
      round.start(slot, call_commit(core_, slot, changing, std::move(ref), std::move(request)));
    }
    const std::function<bool()> never = [] { return false; };
    co_await round.wait(std::min(changing.deadline, core_->context.clock.now() + kHealCallWait), never);
    for (unsigned slot = 0; slot < core_->size(); ++slot) {
      const auto& answer = round.answers()[slot];
      HealReport::Shard& shard = report_.shards[slot];
      const bool ok = answer && *answer && (**answer).verdict == disk::Verdict::ok;
      const bool newer = answer && *answer && (**answer).verdict == disk::Verdict::newer;
      shard.healed = ok || newer;
      if (ok || staged_[slot].empty()) continue;
      if (newer) shard.detail = "has a newer version by now";
      if (answer && !*answer) shard.detail = answer->error().detail;
      const bool in_vain = answer && !*answer && answer->failed_with(Errc::deadline);
      if (!in_vain) co_await discard(slot);  // a commit that comes late finds the files gone, and is refused
    }
  }

  Task<> discard(unsigned slot) {
    const Ctx changing = core_->changing(ctx_);
    for (const DataId& data : staged_[slot]) {
      const Result<> discarded = co_await call_discard(core_, slot, changing, data);
      if (!discarded) log::warn("a rebuilt shard file stays behind data={}", to_string(data));
    }
  }
  Task<> discard_all() {
    for (unsigned slot = 0; slot < core_->size(); ++slot) {
      co_await discard(slot);
      if (spec_.answered[slot] && spec_.targets[slot]) report_.shards[slot].detail = "replaced meanwhile";
    }
  }

  CorePtr core_;
  const Ctx& ctx_;
  const FileHealSpec spec_;
  FileHealReport report_;
  TimePoint commit_by_;
  std::vector<bool> whole_;                  // by slot: every file so far is there
  std::vector<std::vector<DataId>> staged_;  // by slot
};

}  // namespace

bool has_files(const disk::VersionRecord& record) noexcept {
  return std::any_of(record.parts.begin(), record.parts.end(),
                     [](const disk::PartRecord& part) { return !part.data.is_nil() && part.size > 0; });
}

Task<FileHealReport> heal_files(CorePtr core, const Ctx& ctx, FileHealSpec spec) {
  FileHealer healer(std::move(core), ctx, std::move(spec));
  co_return co_await healer.run();
}

Task<std::vector<std::uint8_t>> bring_version(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref,
                                              PushSpec spec, unsigned need) {
  if (!has_files(*spec.record)) co_return co_await push_version(core, ctx, ref, std::move(spec), need);
  std::vector<std::uint8_t> took;
  const auto geometry = make_geometry(spec.record->data_shards, spec.record->parity_shards);
  if (!geometry || geometry->drives() != core->size()) co_return took;
  FileHealSpec files;
  files.ref = ref;
  files.record = spec.record;
  files.encoded = spec.encoded;
  files.mode = spec.mode;
  files.retire = spec.retire;
  files.commit_by = spec.commit_by;
  files.answered.assign(core->size(), false);
  files.holders.assign(core->size(), false);
  files.targets.assign(core->size(), false);
  for (const std::uint8_t slot : spec.holders) files.answered[slot] = files.holders[slot] = true;
  for (const std::uint8_t slot : spec.targets) {
    files.answered[slot] = files.targets[slot] = true;
    files.holders[slot] = false;  // it gets the version again
  }
  const FileHealReport report = co_await heal_files(core, ctx, std::move(files));
  for (const std::uint8_t slot : spec.targets)
    if (report.shards[slot].healed) took.push_back(slot);
  co_return took;
}

}  // namespace ostraka::erasure
