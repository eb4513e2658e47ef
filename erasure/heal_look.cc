#include "erasure/heal_look.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "erasure/drive_round.h"
#include "erasure/file_heal.h"
#include "erasure/inline_body.h"
#include "erasure/limits.h"

namespace ostraka::erasure {

bool KeyLook::all_answered() const noexcept {
  for (unsigned slot = 0; slot < drives(); ++slot)
    if (!answered(slot)) return false;
  return true;
}

bool KeyLook::any_refilling() const noexcept {
  for (unsigned slot = 0; slot < drives(); ++slot)
    if (answered(slot) && held(slot).group.refilling) return true;
  return false;
}

Result<> KeyLook::adopt(const Election& election) {
  TRY_VOID(reading.adopt(election));
  const disk::VersionRecord& record = *reading.record;
  const auto geometry = make_geometry(record.data_shards, record.parity_shards);
  const bool has_body = record.inline_data || has_files(record);
  if (has_body && (!geometry || geometry->drives() != drives()))
    return fail(Errc::corrupt, "a record of another geometry");
  if (record.inline_data && !plausible_inline_size(record.size))
    return fail(Errc::corrupt, "an inline body that is too large");
  return {};
}

void conclude(KeyLook& look) {
  const std::vector<Vote> votes = look.reading.votes();
  look.reading.newest = newest_mentioned(votes);
  look.reading.epoch = look.told;
  for (const Vote& vote : votes)
    if (vote.group != nullptr) look.reading.epoch = std::max(look.reading.epoch, vote.group->epoch);
}

Task<KeyLook> look_at_key(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref) {
  const unsigned n = core->size();
  KeyLook look;
  look.told = ref.epoch;
  look.began = core->context.clock.now();
  Reading& reading = look.reading;
  reading.answers.resize(n);
  disk::ReadSpec what;
  what.with_inline = true;
  DriveRound<Result<disk::Held>> round(core, ctx, n);
  for (unsigned slot = 0; slot < n; ++slot) {
    if (core->drives[slot]->online()) {
      round.start(slot, call_read(core, slot, ctx, ref, what));
    } else {
      reading.answers[slot].emplace(fail(Errc::unavailable, "the drive is out of service"));
    }
  }
  const TimePoint patience = std::min(ctx.deadline, core->context.clock.now() + kHealCallWait);
  const std::function<bool()> healthy_all = [&round] { return !round.waiting_for_healthy(); };
  co_await round.wait(patience, healthy_all);
  const std::function<bool()> never = [] { return false; };
  const TimePoint grace = core->context.clock.now() + core->context.write_grace;
  if (round.running() > 0) co_await round.wait(std::min(grace, ctx.deadline), never);
  for (unsigned slot = 0; slot < n; ++slot)
    if (round.answers()[slot]) reading.answers[slot] = std::move(round.answers()[slot]);
  conclude(look);
  co_return look;
}

}  // namespace ostraka::erasure
