#include "erasure/lost_rows.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "erasure/drive_round.h"
#include "erasure/limits.h"

namespace ostraka::erasure {
namespace {

constexpr int kBeginTries = 3;
constexpr Duration kBeginPause = std::chrono::milliseconds(5);

Task<Result<bool>> call_begin_anew(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref) {
  auto beginning = core->drives[slot]->begin_anew(ctx, std::move(ref));
  Result<bool> begun = co_await std::move(beginning);
  co_return begun;
}

Task<Result<disk::Verdict>> call_readmit_key(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                             std::uint64_t birth) {
  auto readmitting = core->drives[slot]->readmit_key(ctx, std::move(ref), birth);
  Result<disk::Verdict> done = co_await std::move(readmitting);
  co_return done;
}

Task<bool> group_refills(CorePtr core, unsigned slot, Ctx ctx) {
  auto asking = core->drives[slot]->groups(ctx);
  const auto groups = co_await std::move(asking);
  co_return !groups || groups->size() <= core->group || (*groups)[core->group].refilling;
}

bool any_begun_anew(const KeyLook& look) {
  for (unsigned slot = 0; slot < look.drives(); ++slot)
    if (look.answered(slot) && look.held(slot).state.birth != 0) return true;
  return false;
}

std::uint32_t bit(unsigned slot) noexcept {
  return std::uint32_t{1} << slot;
}

}  // namespace

std::uint32_t lost_rows(const KeyLook& look) {
  std::uint32_t slots = 0;
  for (unsigned slot = 0; slot < look.drives(); ++slot) {
    const auto& answer = look.reading.answers[slot];
    if (answer && answer->failed_with(Errc::corrupt)) slots |= bit(slot);
  }
  return slots;
}

Task<std::uint32_t> begin_lost_rows(CorePtr core, const Ctx& ctx, disk::ObjectRef ref, std::uint32_t slots) {
  std::uint32_t begun = 0;
  if (slots == 0 || core->context.epochs == nullptr) co_return begun;
  Ctx changing = core->changing(ctx);
  changing.deadline = std::min(changing.deadline, core->context.clock.now() + kHealCallWait);
  // Asked first, the drives say by stale_epoch that it takes a newer one: what can be read again, or not be
  // begun, costs the group no epoch.
  for (int tries = 0; slots != 0 && tries <= kBeginTries; ++tries) {
    if (tries > 1) co_await sleep_for(core->context.clock, (tries - 1) * kBeginPause);
    if (tries > 0) {
      auto raising = core->context.epochs->raise(changing, core->group, ref.epoch);
      const Result<std::uint64_t> born = co_await std::move(raising);
      if (!born) {
        log::warn(
            "a row that cannot be read stays so: the epoch of its group was not raised key={} reason={}",
            ref.key, born.error().detail);
        co_return begun;
      }
      ref.epoch = *born;
    }
    DriveRound<Result<bool>> round(core, ctx, core->size());
    for (unsigned slot = 0; slot < core->size(); ++slot)
      if ((slots & bit(slot)) != 0) round.start(slot, call_begin_anew(core, slot, changing, ref));
    const std::function<bool()> never = [] { return false; };
    co_await round.wait(changing.deadline, never);
    core->raise_epoch(ref.epoch);  // not before: a drive that has heard of it does not begin the row in it
    slots = 0;
    for (unsigned slot = 0; slot < core->size(); ++slot) {
      const auto& answer = round.answers()[slot];
      if (answer && *answer) begun |= bit(slot);
      if (answer && *answer && **answer) core->metrics.lost_rows.add();
      // at first; later on somebody else, who follows the placement table, has told the drive before
      if (answer && answer->failed_with(Errc::stale_epoch)) slots |= bit(slot);
    }
  }
  co_return begun;
}

Task<std::uint32_t> readmit_rows(CorePtr core, const Ctx& ctx, disk::ObjectRef ref, const KeyLook& look,
                                 std::uint32_t full) {
  if (!any_begun_anew(look)) co_return 0;
  Ctx changing = core->changing(ctx);
  changing.deadline = std::min(changing.deadline, core->context.clock.now() + kHealCallWait);
  DriveRound<Result<disk::Verdict>> round(core, ctx, core->size());
  std::uint32_t waiting = 0;
  bool asked = false;
  const bool steady = core->shared->wall_clock.steady(core->context.clock, core->metrics.clock_steps);
  for (unsigned slot = 0; slot < core->size(); ++slot) {
    if (!look.answered(slot)) continue;
    const disk::KeyState& state = look.held(slot).state;
    if (state.birth == 0) continue;
    if (state.refilling) waiting |= bit(slot);
    // one that is full already, and says nothing, goes in time
    const bool due = state.refilling || (state.says_nothing() && steady);
    if (due && (full & bit(slot)) != 0)
      asked |= round.start(slot, call_readmit_key(core, slot, changing, ref, state.birth));
  }
  if (!asked) co_return waiting;
  const std::function<bool()> never = [] { return false; };
  co_await round.wait(changing.deadline, never);
  for (unsigned slot = 0; slot < core->size(); ++slot) {
    const auto& answer = round.answers()[slot];
    if (answer && *answer && **answer == disk::Verdict::ok) waiting &= ~bit(slot);
  }
  co_return waiting;
}

Task<bool> readmit_beyond_parity(CorePtr core, const Ctx& ctx, disk::ObjectRef ref, const KeyLook& look) {
  if (!look.all_answered()) co_return false;
  std::uint32_t rows = 0;
  unsigned full = 0;
  for (unsigned slot = 0; slot < core->size(); ++slot) {
    const disk::Held& held = look.held(slot);
    if (!held.group.refilling) {
      ++full;
      continue;
    }
    if (held.group.birth > look.told) co_return false;
    if (!held.state.refilling) continue;
    const bool group = co_await group_refills(core, slot, ctx);
    if (group) continue;  // emptied: what it has is all there is of it, too, but it stays as it is
    ++full;
    rows |= bit(slot);
  }
  if (rows == 0 || full < core->read_quorum) co_return false;
  core->metrics.lost_versions.add();
  log::error(
      "rows of a key were lost on more drives than its parity makes good: it may be lost bucket={:016x} "
      "key={}",
      static_cast<std::uint64_t>(ref.bucket), ref.key);
  const std::uint32_t waiting = co_await readmit_rows(core, ctx, std::move(ref), look, rows);
  co_return (waiting & rows) == 0;
}

}  // namespace ostraka::erasure
