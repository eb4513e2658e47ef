#include "erasure/upload_end.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "erasure/commit_coordinator.h"
#include "erasure/heal_look.h"
#include "erasure/healer.h"
#include "erasure/limits.h"
#include "erasure/quorum_read.h"

namespace ostraka::erasure {
namespace {

enum class UploadState : std::uint8_t {
  open,       // in progress, as far as anybody can tell
  completed,  // the key's version was completed from it: its parts' files are the version's
  over,       // it has ended, and no version of the key names its parts
  unknown,    // too few drives answer to tell
};

constexpr std::size_t kPartNumberBytes = 2;  // behind the upload id in the sub of a part row

unsigned part_number_of(const disk::ObjectRef& row) {
  const std::string_view sub = row.sub;
  if (sub.size() < kPartNumberBytes) return 0;
  const auto byte = [&](std::size_t from_end) {
    return static_cast<unsigned char>(sub[sub.size() - from_end]);
  };
  return byte(2) * 256U + byte(1);
}

std::string upload_id_of(const disk::ObjectRef& row) {
  if (row.space != disk::KeySpace::part || row.sub.size() < kPartNumberBytes) return row.sub;
  return row.sub.substr(0, row.sub.size() - kPartNumberBytes);
}

// True when some drive holds a version of the key, newer than `base`, that was completed from this upload:
// whether it is committed is not decided yet.
bool completion_pending(const Reading& reading, VersionId base, const std::string& upload_id) {
  for (const Vote& vote : reading.votes()) {
    if (vote.state == nullptr) continue;
    for (const disk::HeldVersion& version : vote.state->versions) {
      if (version.id <= base) break;
      const auto record = disk::decode_version_record(as_bytes(*version.record));
      if (!record || record->upload_id == upload_id) return true;
    }
  }
  return false;
}

// Which drives have a trace of an upload's row.
struct Traces {
  bool enough = false;  // it may be at its write quorum; otherwise that depends on drives that are silent
  // More full drives have no trace of it than a version at its write quorum can be lacking on.
  bool wiped = false;
  // Fewer drives than its parts need can have any: drives that were emptied say nothing, but an upload that
  // is open has lost no more than its parity, and drives that missed its end are fewer than that (n - w < k).
  bool few = false;
};

Traces traces(const KeyLook& look) {
  const disk::HeldVersion& version = look.reading.version;
  unsigned lacking = 0;
  unsigned silent = 0;
  unsigned found = 0;
  for (const Vote& vote : look.reading.votes()) {
    if (vote.state == nullptr) {
      ++silent;
      continue;
    }
    const bool speaks = !vote.group->refilling || version.epoch >= vote.group->birth;
    const bool trace = vote.state->find(version.id) != nullptr || vote.state->newest() > version.id;
    if (speaks && !trace) ++lacking;
    if (trace) ++found;
  }
  Traces out;
  out.wiped = look.drives() - lacking < version.write_quorum;
  out.few = found + silent < version.data_shards;
  out.enough = lacking == 0 || look.drives() - lacking - silent >= version.write_quorum;
  return out;
}

disk::ObjectRef object_of(const disk::ObjectRef& row) {
  disk::ObjectRef object = row;
  object.space = disk::KeySpace::object;
  object.sub.clear();
  return object;
}

Task<UploadState> ask_upload_state(CorePtr core, const Ctx& ctx, const disk::ObjectRef& row) {
  const std::string upload_id = upload_id_of(row);
  const disk::ObjectRef object = object_of(row);
  const Result<Reading> key = co_await read_newest(core, ctx, object, Want::metadata, Breadth::all);
  if (!key || key->outcome == Outcome::unknown) co_return UploadState::unknown;
  if (key->is_value() && !key->version.tombstone && key->record->upload_id == upload_id)
    co_return UploadState::completed;
  const VersionId base = key->is_value() ? key->version.id : kNoVersion;
  if (completion_pending(*key, base, upload_id)) co_return UploadState::unknown;

  disk::ObjectRef upload = row;
  upload.space = disk::KeySpace::upload;
  upload.sub = upload_id;
  KeyLook look = co_await look_at_key(core, ctx, upload);
  const Election election = look.elect(core->read_quorum, Purpose::metadata);
  if (election.full < core->read_quorum) co_return UploadState::unknown;
  if (election.outcome == Outcome::none) co_return UploadState::over;
  // Whether the upload ever began is still to be settled, as with any other row: nobody else would do it.
  if (election.version == nullptr) co_return UploadState::open;
  if (!look.adopt(election)) co_return UploadState::unknown;
  if (look.reading.version.tombstone) co_return UploadState::over;
  const Traces found = traces(look);
  const auto age =
      std::chrono::milliseconds(core->context.clock.unix_ms() - look.reading.version.id.unix_ms());
  // A young one may be on its way to the drives that lack it.
  if ((found.wiped || found.few) && age > kUploadRowAge) co_return UploadState::over;
  co_return found.enough ? UploadState::open : UploadState::unknown;
}

// The rows of an upload's parts are healed one after the other: the upload need not be asked for each time.
Task<UploadState> upload_state(CorePtr core, const Ctx& ctx, const disk::ObjectRef& row) {
  disk::ObjectRef upload = row;
  upload.space = disk::KeySpace::upload;
  upload.sub = upload_id_of(row);
  std::string name = core->heal_name(upload);
  const TimePoint asked = core->context.clock.now();
  const bool part = row.space == disk::KeySpace::part;
  if (part && core->shared->open_upload.known(name, asked)) co_return UploadState::open;
  const UploadState state = co_await ask_upload_state(core, ctx, row);
  if (part && state == UploadState::open) core->shared->open_upload.note(std::move(name), asked);
  co_return state;
}

// True when no drive has the row any more. Where the version is final the upload's rows go with retiring it.
Task<Result<bool>> drop_completed(CorePtr core, Ctx& ctx, disk::ObjectRef object) {
  const HealSpec shallow;
  CO_TRY(healed, co_await heal_key(core, ctx, object, shallow));
  if (!healed.record) co_return false;
  // what the version was when the drives were asked need not be so any more
  if (core->context.clock.now() - healed.looked_at >= kLongestCall) co_return false;
  for (unsigned slot = 0; slot < core->size(); ++slot) {
    const HealReport::Shard& shard = healed.shards[slot];
    if (shard.state == ShardState::good || shard.healed) core->drives[slot]->retire(object, healed.version);
  }
  co_return healed.outcome == HealReport::Outcome::healthy || healed.outcome == HealReport::Outcome::healed;
}

bool tombstone_or_none(const KeyLook& look) {
  const disk::HeldVersion* newest = nullptr;
  const std::vector<Vote> votes = look.reading.votes();
  for (const Vote& vote : votes) {
    if (vote.state == nullptr || vote.state->versions.empty()) continue;
    const disk::HeldVersion& front = vote.state->versions.front();
    if (newest == nullptr || front.id > newest->id) newest = &front;
  }
  return newest == nullptr || newest->tombstone;
}

}  // namespace

Task<Result<RowEnd>> end_upload_row(CorePtr core, Ctx& ctx, const disk::ObjectRef& row, const KeyLook& look,
                                    bool dry_run) {
  if (tombstone_or_none(look)) co_return RowEnd::open;
  const UploadState state = co_await upload_state(core, ctx, row);
  if (state == UploadState::open) co_return RowEnd::open;
  if (state == UploadState::unknown) co_return RowEnd::unknown;
  if (dry_run) co_return RowEnd::there_yet;
  if (state == UploadState::completed) {
    CO_TRY(dropped, co_await drop_completed(core, ctx, object_of(row)));
    co_return dropped ? RowEnd::gone : RowEnd::there_yet;
  }
  const std::int64_t age_ms = core->context.clock.unix_ms() - look.reading.newest.unix_ms();
  if (std::chrono::milliseconds(age_ms) <= kUploadRowAge) co_return RowEnd::unknown;
  WriteSpec erase = write_of_tombstone(row, false, nullptr, core->context.clock.unix_ms());
  erase.only_if_present = false;  // some drive has it, though it may be below its quorum
  CO_TRY_VOID(co_await write_version(core, ctx, erase));
  co_return look.all_answered() ? RowEnd::gone : RowEnd::there_yet;
}

std::string upload_lease(std::string_view upload_id) {
  return "upload/" + std::string(upload_id);
}

Task<> erase_lost_part(CorePtr core, Ctx& ctx, disk::ObjectRef row, VersionId lost) {
  const std::int64_t now_ms = core->context.clock.unix_ms();
  if (std::chrono::milliseconds(now_ms - lost.unix_ms()) <= kUploadRowAge) co_return;
  Ctx waiting = ctx;
  waiting.deadline = std::min(ctx.deadline, core->context.clock.now() + kHealCallWait);
  std::string name = upload_lease(upload_id_of(row));
  const auto lease = co_await core->context.locks.acquire(waiting, std::move(name));
  if (!lease) co_return;
  const UploadState state = co_await ask_upload_state(core, ctx, row);
  if (state != UploadState::open) co_return;
  log::error("a part of an upload in progress is lost and is erased bucket={:016x} key={} part={}",
             static_cast<std::uint64_t>(row.bucket), row.key, part_number_of(row));
  Precondition same = [lost](const disk::VersionRecord* current) -> Result<> {
    if (current != nullptr && current->id == lost) return {};
    return fail(Errc::conflict, "the part was uploaded again");
  };
  WriteSpec erase = write_of_tombstone(std::move(row), false, std::move(same), now_ms);
  static_cast<void>(co_await write_version(core, ctx, erase));  // or the next heal does
}

}  // namespace ostraka::erasure
