// What operators ask of a rebalancer.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cluster/drive_register.h"
#include "cluster/rebalancer.h"

namespace ostraka::cluster {
namespace {

unsigned groups_on(const Placement& table, const DriveId& drive) {
  unsigned out = 0;
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    const auto& on = table.group(static_cast<std::uint16_t>(g)).drives;
    out += std::find(on.begin(), on.end(), drive) != on.end() ? 1U : 0U;
  }
  return out;
}

bool is_unused(const Placement& table, const MoveDocument& moves, const DriveId& drive) {
  const auto about = [&drive](const MoveDocument::Move& move) {
    return move.spec.from == drive || move.spec.to == drive;
  };
  return groups_on(table, drive) == 0 && std::none_of(moves.moves.begin(), moves.moves.end(), about);
}

}  // namespace

Task<Result<std::vector<DriveReport>>> Rebalancer::drives(Ctx& ctx) {
  CO_TRY(topology, this->topology());
  auto looking = look_at(ctx, topology);
  const std::vector<Look> looks = co_await std::move(looking);
  CO_TRY(table, placement());
  CO_TRY(moves, runner_.document());
  std::vector<DriveReport> out;
  for (std::size_t i = 0; i < topology.slots.size(); ++i) {
    const Topology::Slot& slot = topology.slots[i];
    DriveReport& report = out.emplace_back();
    report.url = slot.url;
    report.id = slot.id;
    report.state = slot.state;
    report.online = looks[i].online;
    report.refilling = looks[i].info.refilling;
    report.problem = looks[i].info.problem;
    report.total_bytes = looks[i].info.total_bytes;
    report.used_bytes = looks[i].info.used_bytes;
    report.free_bytes = looks[i].info.free_bytes;
    report.groups = groups_on(table, slot.id);
    for (const MoveDocument::Move& move : moves.moves) {
      if (move.giving_up) continue;
      const auto slots = static_cast<unsigned>(move.spec.slots.size());
      report.leaving += move.spec.from == slot.id ? slots : 0;
      report.arriving += move.spec.to == slot.id ? slots : 0;
    }
  }
  co_return out;
}

Task<Result<std::uint64_t>> Rebalancer::add(Ctx& ctx, std::vector<DriveUrl> drives) {
  std::function<Result<Topology>(const Topology&)> change =
      [this, &drives](const Topology& before) -> Result<Topology> {
    const control::DocumentPtr document = deps_.moves.control.get(kDriveRegister);
    DriveRegister known;
    if (document) {
      TRY(decoded, decode_drive_register(document->content));
      known = std::move(decoded);
    }
    TRY_VOID(check_all_started(before, known, drives));
    return add_drives(before, drives, deps_.moves.random);
  };
  auto changing = change_topology(deps_.moves.control, deps_.membership, ctx, std::move(change));
  CO_TRY(revision, co_await std::move(changing));
  for (const DriveUrl& url : drives) log::info("a drive was added to the cluster drive={}", to_string(url));
  co_return revision;
}

Task<Result<std::uint64_t>> Rebalancer::drain(Ctx& ctx, std::vector<DriveUrl> drives, bool bears_less) {
  CO_TRY(topology, this->topology());
  auto looking = look_at(ctx, topology);
  const std::vector<Look> seen = co_await std::move(looking);
  std::vector<DriveLook> looks;
  CO_TRY(table, placement());
  CO_TRY(moves, runner_.document());
  for (std::size_t i = 0; i < seen.size(); ++i)
    looks.push_back({seen[i].online, seen[i].info.total_bytes, seen[i].info.used_bytes,
                     is_unused(table, moves, topology.slots[i].id)});
  std::function<Result<Topology>(const Topology&)> change = [&](const Topology& before) {
    return drain_drives(before, drives, looks, bears_less);
  };
  auto changing = change_topology(deps_.moves.control, deps_.membership, ctx, std::move(change));
  CO_TRY(revision, co_await std::move(changing));
  for (const DriveUrl& url : drives) log::info("a drive is to be drained drive={}", to_string(url));
  co_return revision;  // moves to them are given up by whoever leads
}

Task<Result<std::uint64_t>> Rebalancer::take_back(Ctx& ctx, std::vector<DriveUrl> drives) {
  std::vector<DriveId> ids;
  std::function<Result<Topology>(const Topology&)> change =
      [&drives, &ids](const Topology& before) -> Result<Topology> {
    ids.clear();
    for (const DriveUrl& url : drives)
      if (const auto slot = before.slot_at(url)) ids.push_back(before.slots[*slot].id);
    return take_drives_back(before, drives);
  };
  auto changing = change_topology(deps_.moves.control, deps_.membership, ctx, std::move(change));
  CO_TRY(revision, co_await std::move(changing));
  for (const DriveUrl& url : drives) log::info("a drive is not drained any more drive={}", to_string(url));
  std::function<bool(const MoveSpec&)> from_them = [ids](const MoveSpec& spec) {
    return std::find(ids.begin(), ids.end(), spec.from) != ids.end();
  };
  auto cancelling = runner_.cancel(ctx, std::move(from_them));
  CO_TRY_VOID(co_await std::move(cancelling));
  co_return revision;
}

Task<Result<std::uint64_t>> Rebalancer::remove(Ctx& ctx, std::vector<DriveUrl> drives) {
  std::function<Result<Topology>(const Topology&)> change =
      [this, &drives](const Topology& before) -> Result<Topology> {
    TRY(table, placement());
    TRY(moves, runner_.document());
    return remove_drives(before, drives, table, moves);
  };
  auto changing = change_topology(deps_.moves.control, deps_.membership, ctx, std::move(change));
  CO_TRY(revision, co_await std::move(changing));
  for (const DriveUrl& url : drives)
    log::info("a drive was removed from the cluster drive={}", to_string(url));
  co_return revision;
}

}  // namespace ostraka::cluster
