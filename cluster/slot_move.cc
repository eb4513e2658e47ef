#include "cluster/slot_move.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cluster/limits.h"
#include "cluster/placement_change.h"
#include "cluster/shard_copy.h"
#include "cluster/slot_copy.h"

namespace ostraka::cluster {
namespace {

enum class Placed : std::uint8_t { on_from, on_to, elsewhere };

Placed where(const Placement& placement, const MoveSpec& spec) {
  std::size_t from = 0, to = 0;
  for (const MoveSpec::Slot& slot : spec.slots) {
    const auto& drives = placement.group(slot.group).drives;
    if (slot.slot >= drives.size()) return Placed::elsewhere;
    from += drives[slot.slot] == spec.from ? 1U : 0U;
    to += drives[slot.slot] == spec.to ? 1U : 0U;
  }
  if (to == spec.slots.size()) return Placed::on_to;
  return from == spec.slots.size() ? Placed::on_from : Placed::elsewhere;
}

struct TableLook {
  Placement placement;
  std::uint64_t revision = 0;
};

Result<TableLook> look_at_table(const SlotMoveDeps& deps) {
  const control::DocumentPtr document = deps.control.get(deps.placement_document);
  if (!document) return fail(Errc::unavailable, "there is no placement table");
  TRY(placement, Placement::from_json(deps.deployment, document->content));
  return TableLook{std::move(placement), document->revision};
}

std::vector<std::uint16_t> groups_of(const MoveSpec& spec) {
  std::vector<std::uint16_t> groups;
  for (const MoveSpec::Slot& slot : spec.slots) groups.push_back(slot.group);
  return groups;
}

bool all_in(const disk::MoveStatus& status, const MoveSpec& spec, disk::GroupPlace place) {
  if (status.groups.size() != spec.slots.size()) return false;
  for (std::size_t i = 0; i < spec.slots.size(); ++i)
    if (status.groups[i] != std::pair(spec.slots[i].group, place)) return false;
  return true;
}

// One run of carry_out().
class Mover {
 public:
  Mover(const SlotMoveDeps& deps, const MoveSpec& spec, std::uint64_t term, disk::Drive& from,
        disk::Drive& to, MoveFigures& figures, const std::function<bool()>& stop)
      : deps_(deps),
        spec_(spec),
        from_(from),
        to_(to),
        gives_{spec.id, term, 0},
        takes_{spec.id, term, 0},
        figures_(figures),
        copy_(deps, spec, from, to, figures, stop) {}

  Task<Result<MoveEnd>> run(Ctx& ctx) {
    CO_TRY(table, look_at_table(deps_));
    switch (where(table.placement, spec_)) {
      case Placed::on_to:
        break;
      case Placed::elsewhere:
        co_return MoveEnd::hopeless;
      case Placed::on_from: {
        Ctx brief = briefly(deps_.clock, ctx);
        auto beginning = begin(brief);
        CO_TRY(begun, co_await std::move(beginning));
        if (!begun) co_return MoveEnd::hopeless;
        CO_TRY_VOID(co_await copy_.all_rows(ctx));
        CO_TRY_VOID(co_await copy_.changes_until_few(ctx));
        CO_TRY_VOID(co_await hand_over(ctx));
        break;
      }
    }
    CO_TRY_VOID(co_await finish(ctx));
    co_return MoveEnd::done;
  }

 private:
  // False: what was copied is of no use.
  Task<Result<bool>> begin(Ctx& ctx) {
    auto asking_from = from_.moves()->status(ctx, spec_.id);
    CO_TRY(gives, co_await std::move(asking_from));
    auto asking_to = to_.moves()->status(ctx, spec_.id);
    CO_TRY(takes, co_await std::move(asking_to));
    if (takes.term != 0 && takes.other != gives.life) co_return false;
    gives_.life = takes_.life = random_u64(deps_.random) | 1;  // if the drives know of none yet
    auto leaving = from_.moves()->begin_leaving(ctx, gives_, groups_of(spec_));
    CO_TRY_VOID(co_await std::move(leaving));
    CO_TRY_VOID(co_await learn_life(ctx, from_, gives_));
    auto arriving = to_.moves()->begin_arriving(ctx, takes_, groups_of(spec_), gives_.life);
    CO_TRY_VOID(co_await std::move(arriving));
    auto asking_again = to_.moves()->status(ctx, spec_.id);
    CO_TRY(now, co_await std::move(asking_again));
    if (now.term == 0 || now.other != gives_.life) co_return false;
    takes_.life = now.life;
    copy_.go_on(gives_, takes_, now.step, now.cursor);
    co_return true;
  }

  Task<Result<>> learn_life(Ctx& ctx, disk::Drive& drive, disk::MoveTicket& ticket) {
    auto asking = drive.moves()->status(ctx, spec_.id);
    CO_TRY(status, co_await std::move(asking));
    if (status.term == 0) co_return fail(Errc::not_found, "the drive has forgotten the move");
    ticket.life = status.life;
    co_return Result<>();
  }

  // From here until the table is changed the slots do not answer.
  Task<Result<>> hand_over(Ctx& ctx) {
    for (int tries = 0; tries < kPlacementPuts; ++tries) {
      CO_TRY(before, look_at_table(deps_));
      Ctx brief = briefly(deps_.clock, ctx);
      auto sealing =
          from_.moves()->seal(brief, gives_);  // said again, it shows that the drive is what it was
      CO_TRY(states, co_await std::move(sealing));
      figures_.sealed.store(true, std::memory_order_relaxed);
      CO_TRY_VOID(co_await copy_.last_changes(ctx));
      brief.deadline = briefly(deps_.clock, ctx).deadline;
      auto owning = to_.moves()->own(brief, takes_, std::move(states));
      CO_TRY_VOID(co_await std::move(owning));
      CO_TRY(now, look_at_table(deps_));
      auto asking = to_.moves()->status(brief, spec_.id);  // after the look at the table
      CO_TRY(takes, co_await std::move(asking));
      if (takes.life != takes_.life || !all_in(takes, spec_, disk::GroupPlace::here))
        co_return fail(Errc::unavailable, "the drive that takes the groups has lost them");
      if (!same_epochs(before.placement, now.placement)) continue;
      for (const MoveSpec::Slot& slot : spec_.slots) {
        if (!now.placement.move_slot(slot.group, slot.slot, spec_.from, spec_.to))
          co_return fail(Errc::conflict, "the placement table was changed by somebody else");
      }
      std::string json = now.placement.to_json();
      auto putting = deps_.control.put(brief, deps_.placement_document, std::move(json), now.revision);
      const auto put = co_await std::move(putting);
      if (put) {
        figures_.sealed.store(false, std::memory_order_relaxed);
        co_return Result<>();
      }
      if (!put.failed_with(Errc::conflict)) co_return fail(put.code(), put.error().detail);
    }
    co_return fail(Errc::unavailable, "others change the placement table all the time");
  }

  bool same_epochs(const Placement& before, const Placement& now) const {
    for (const MoveSpec::Slot& slot : spec_.slots)
      if (before.group(slot.group).epoch != now.group(slot.group).epoch) return false;
    return true;
  }

  // The table says so; what is left on the other drive goes when everybody knows.
  Task<Result<>> finish(Ctx& ctx) {
    CO_TRY(table, look_at_table(deps_));
    auto waiting = deps_.wait_until_known(ctx, table.revision);
    CO_TRY_VOID(co_await std::move(waiting));
    CO_TRY_VOID(co_await copy_.system_records(ctx));
    auto asking = from_.moves()->status(ctx, spec_.id);
    CO_TRY(gives, co_await std::move(asking));
    if (gives.term == 0) co_return Result<>();  // dropped before, or the drive was emptied meanwhile
    gives_.life = gives.life;
    auto dropping = from_.moves()->drop(ctx, gives_);
    const Result<> dropped = co_await std::move(dropping);
    co_return dropped;
  }

  const SlotMoveDeps& deps_;
  const MoveSpec& spec_;
  disk::Drive& from_;
  disk::Drive& to_;
  disk::MoveTicket gives_, takes_;  // for each of the two
  MoveFigures& figures_;
  SlotCopy copy_;
};

Result<> check(const MoveSpec& spec, disk::Drive& from, disk::Drive& to) {
  const auto later = [](const MoveSpec::Slot& a, const MoveSpec::Slot& b) { return a.group >= b.group; };
  const bool ascending = std::adjacent_find(spec.slots.begin(), spec.slots.end(), later) == spec.slots.end();
  if (spec.slots.empty() || !ascending || spec.slots.back().group >= kPlacementGroups ||
      spec.from == spec.to || from.id() != spec.from || to.id() != spec.to)
    return fail(Errc::invalid_argument, "a move of groups that makes no sense");
  if (from.moves() == nullptr || to.moves() == nullptr)
    return fail(Errc::invalid_argument, "a drive that cannot take part in moves of groups");
  return {};
}

tl::unexpected<Error> too_late() {
  return fail(Errc::conflict, "the groups have moved: that cannot be taken back");
}

// In the table, while that names the drive that gives. Gives them, in the order of gives.groups.
Task<Result<std::vector<std::uint64_t>>> raise_epochs(const SlotMoveDeps& deps, Ctx& ctx,
                                                      const MoveSpec& spec, const disk::MoveStatus& gives) {
  for (int tries = 0;; ++tries) {
    CO_TRY(table, look_at_table(deps));
    if (where(table.placement, spec) == Placed::on_to) co_return too_late();
    std::vector<std::uint64_t> epochs;
    for (const auto& [group, place] : gives.groups) {
      table.placement.raise_epoch(group, 0);
      epochs.push_back(table.placement.group(group).epoch);
    }
    std::string json = table.placement.to_json();
    auto putting = deps.control.put(ctx, deps.placement_document, std::move(json), table.revision);
    const auto put = co_await std::move(putting);
    if (put) co_return epochs;
    if (!put.failed_with(Errc::conflict) || tries == kPlacementPuts)
      co_return fail(put.code(), put.error().detail);
  }
}

}  // namespace

Task<Result<MoveEnd>> carry_out(const SlotMoveDeps& deps, Ctx& ctx, const MoveSpec& spec, std::uint64_t term,
                                disk::Drive& from, disk::Drive& to, MoveFigures& figures,
                                const std::function<bool()>& stop) {
  CO_TRY_VOID(check(spec, from, to));
  Mover mover(deps, spec, term, from, to, figures, stop);
  auto running = mover.run(ctx);
  Result<MoveEnd> end = co_await std::move(running);
  co_return end;
}

Task<Result<>> give_up(const SlotMoveDeps& deps, Ctx& ctx, const MoveSpec& spec, std::uint64_t term,
                       disk::Drive& from, disk::Drive& to) {
  CO_TRY_VOID(check(spec, from, to));
  Ctx brief = briefly(deps.clock, ctx);
  auto asking_from = from.moves()->status(brief, spec.id);
  CO_TRY(gives, co_await std::move(asking_from));
  if (gives.term != 0) {
    const disk::MoveTicket ticket{spec.id, term, gives.life};
    // First: from here on movers that were there cannot seal the groups again, once the epochs are raised.
    auto taking_over = from.moves()->forget_changes(brief, ticket, 0);
    CO_TRY_VOID(co_await std::move(taking_over));
    auto raising = raise_epochs(deps, brief, spec, gives);
    CO_TRY(epochs, co_await std::move(raising));
    auto taking = from.moves()->take_back(brief, ticket, std::move(epochs));
    CO_TRY_VOID(co_await std::move(taking));
  } else {
    CO_TRY(table, look_at_table(deps));
    if (where(table.placement, spec) == Placed::on_to) co_return too_late();
  }
  brief.deadline = briefly(deps.clock, ctx).deadline;
  // Last: the groups answer again, whether the drive that was to take them is there or not.
  auto asking_to = to.moves()->status(brief, spec.id);
  CO_TRY(takes, co_await std::move(asking_to));
  if (takes.term != 0) {
    const disk::MoveTicket ticket{spec.id, term, takes.life};
    auto dropping = to.moves()->drop(ctx, ticket);
    CO_TRY_VOID(co_await std::move(dropping));
  }
  log::info("a move of groups was given up from={} to={} groups={}", to_string(spec.from), to_string(spec.to),
            spec.slots.size());
  co_return Result<>();
}

}  // namespace ostraka::cluster
