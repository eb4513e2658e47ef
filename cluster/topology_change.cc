#include "cluster/topology_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cluster/limits.h"
#include "cluster/spread.h"
#include "disk/drive_format.h"

namespace ostraka::cluster {
namespace {

std::string names_of(const std::vector<NodeName>& nodes) {
  return fmt::format("{}", fmt::join(nodes, ", "));
}

tl::unexpected<Error> no_such_drive(const Topology& topology, const DriveUrl& url) {
  const auto removed =
      std::any_of(topology.slots.begin(), topology.slots.end(), [&](const auto& s) { return s.url == url; });
  if (removed) return fail(Errc::not_found, to_string(url) + " was removed from the cluster already");
  return fail(
      Errc::not_found,
      fmt::format("the cluster has no drive {}: `ostraka admin drive list` names them", to_string(url)));
}

Result<std::vector<std::size_t>> slots_of(const Topology& topology, const std::vector<DriveUrl>& drives) {
  if (drives.empty()) return fail(Errc::invalid_argument, "name the drives, as http://NODE:PORT/FOLDER");
  std::vector<std::size_t> out;
  for (const DriveUrl& url : drives) {
    const auto slot = topology.slot_at(url);
    if (!slot) return no_such_drive(topology, url);
    out.push_back(*slot);
  }
  return out;
}

// The drives that take their part, as the planner will see them.
std::vector<PlacementDrive> staying(const Topology& topology, const std::vector<DriveLook>& looks) {
  std::vector<PlacementDrive> out;
  for (std::size_t i = 0; i < topology.slots.size(); ++i) {
    const Topology::Slot& slot = topology.slots[i];
    if (slot.state != SlotState::in_service) continue;
    out.push_back({slot.id, slot.url.node, i < looks.size() ? looks[i].total_bytes : 0});
  }
  return out;
}

Result<> check_parity(const Topology& before, const Topology& after, const std::vector<DriveLook>& looks) {
  const unsigned set_drives = before.data_shards + before.parity_shards;
  const unsigned cap = spread_over(staying(after, looks), set_drives, before.parity_shards).node_cap;
  if (cap <= before.parity_shards) return {};
  const auto were = staying(before, looks);
  if (were.size() >= set_drives && spread_over(were, set_drives, before.parity_shards).node_cap >= cap)
    return {};  // it is no worse than before
  return fail(Errc::conflict,
              fmt::format("a node would then hold {} of the {} shards of some objects, and parity makes good "
                          "{}: losing one node would make them unavailable. Add drives on other nodes first, "
                          "or say --force",
                          cap, set_drives, before.parity_shards));
}

Result<> check_room(const Topology& after, const std::vector<DriveLook>& looks) {
  std::uint64_t used = 0, total = 0;
  for (std::size_t i = 0; i < after.slots.size(); ++i) {
    if (after.slots[i].state == SlotState::removed) continue;
    if (i >= looks.size() || looks[i].total_bytes == 0) return {};  // nobody can say
    used += looks[i].used_bytes;
    total += after.slots[i].state == SlotState::in_service ? looks[i].total_bytes : 0;
  }
  if (static_cast<double>(used) <= static_cast<double>(total) * kDrainFullest) return {};
  return fail(Errc::conflict,
              fmt::format("the drives that stay have {} MiB, too few for the {} MiB that are stored: add "
                          "drives first, or say --force",
                          total >> 20U, used >> 20U));
}

}  // namespace

Result<std::vector<DriveUrl>> drives_of_node(const Topology& topology, const NodeName& node) {
  std::vector<DriveUrl> out;
  for (const Topology::Slot& slot : topology.slots)
    if (slot.state != SlotState::removed && slot.url.node == node) out.push_back(slot.url);
  if (out.empty())
    return fail(Errc::not_found,
                fmt::format("the cluster has no node {}: it has {}", node, names_of(topology.nodes())));
  return out;
}

Result<Topology> add_drives(const Topology& before, const std::vector<DriveUrl>& drives, Random& random) {
  if (drives.empty()) return fail(Errc::invalid_argument, "name the drives, as http://NODE:PORT/FOLDER");
  Topology after = before;
  const NodeName& node = drives.front().node;
  std::uint16_t port = drives.front().port;
  if (const auto known = drives_of_node(before, node)) port = known->front().port;
  for (const DriveUrl& url : drives) {
    if (url.node != node)
      return fail(Errc::invalid_argument,
                  fmt::format("{} and {}: add one node at a time, the next when this one is known everywhere",
                              node, url.node));
    if (url.port != port)
      return fail(Errc::invalid_argument,
                  fmt::format("{}: {} is on port {}, and a node has one port", to_string(url), node, port));
    if (const auto there = after.slot_at(url)) {
      const bool drains = after.slots[*there].state == SlotState::draining;
      return fail(Errc::conflict,
                  fmt::format("{} is a drive of the cluster already{}", to_string(url),
                              drains ? ", and drains: `drain --cancel` takes that back" : ""));
    }
    if (after.slots.size() == disk::kMaxDrives)
      return fail(Errc::conflict,
                  fmt::format("a cluster has at most {} drives, removed ones included", disk::kMaxDrives));
    Topology::Slot& slot = after.slots.emplace_back();
    slot.url = url;
    slot.id = DriveId{make_uuid(random)};
    slot.added = true;
  }
  return after;
}

Result<> check_all_started(const Topology& before, const DriveRegister& known,
                           const std::vector<DriveUrl>& drives) {
  if (drives.empty() || drives_of_node(before, drives.front().node)) return {};  // there are no more nodes
  for (const NodeName& node : before.nodes()) {
    bool started = false;
    for (std::size_t i = 0; i < before.slots.size(); ++i) {
      const Topology::Slot& slot = before.slots[i];
      if (slot.state == SlotState::removed || slot.url.node != node) continue;
      started = started || !slot.added || (i < known.size() && known[i].has_value());
    }
    if (started) continue;
    return fail(Errc::conflict,
                fmt::format("{0} was added and has never been started, and nodes join one at a time, since "
                            "each counts among those of which a majority has to answer for writes: start "
                            "{0}, then add {1}. If {0} was added by mistake: `ostraka admin node drain {0}`, "
                            "then `node remove {0}`",
                            node, drives.front().node));
  }
  return {};
}

Result<Topology> drain_drives(const Topology& before, const std::vector<DriveUrl>& drives,
                              const std::vector<DriveLook>& looks, bool bears_less) {
  TRY(slots, slots_of(before, drives));
  Topology after = before;
  bool changed = false;
  for (const std::size_t slot : slots) {
    if (after.slots[slot].state == SlotState::draining) continue;
    // One that was never started, or added by mistake, may go.
    if (slot >= looks.size() || (!looks[slot].online && !looks[slot].unused))
      return fail(Errc::conflict,
                  fmt::format("{} does not answer, so nothing can be moved away from it. Bring it back, or "
                              "replace its disk by an empty one, which is filled again; then drain it",
                              to_string(after.slots[slot].url)));
    after.slots[slot].state = SlotState::draining;
    changed = true;
  }
  if (!changed) return after;
  const std::size_t stay = staying(after, looks).size();
  const unsigned set_drives = before.data_shards + before.parity_shards;
  if (stay < set_drives)
    return fail(Errc::conflict,
                fmt::format("{} drives would stay, and objects of {}+{} need {}: add others first", stay,
                            before.data_shards, before.parity_shards, set_drives));
  if (bears_less) return after;
  TRY_VOID(check_parity(before, after, looks));
  TRY_VOID(check_room(after, looks));
  return after;
}

Result<Topology> take_drives_back(const Topology& before, const std::vector<DriveUrl>& drives) {
  TRY(slots, slots_of(before, drives));
  Topology after = before;
  for (const std::size_t slot : slots) after.slots[slot].state = SlotState::in_service;
  return after;
}

Result<Topology> remove_drives(const Topology& before, const std::vector<DriveUrl>& drives,
                               const Placement& placement, const MoveDocument& moves) {
  TRY(slots, slots_of(before, drives));
  Topology after = before;
  for (const std::size_t slot : slots) {
    Topology::Slot& drive = after.slots[slot];
    const std::string url = to_string(drive.url);
    if (drive.state != SlotState::draining)
      return fail(Errc::conflict, fmt::format("{} is in service: drain it first", url));
    std::size_t groups = 0;
    for (unsigned g = 0; g < kPlacementGroups; ++g) {
      const auto& on = placement.group(static_cast<std::uint16_t>(g)).drives;
      groups += std::find(on.begin(), on.end(), drive.id) != on.end() ? 1U : 0U;
    }
    if (groups > 0)
      return fail(Errc::conflict,
                  fmt::format("{} still holds shards of {} groups: wait until it is drained (`ostraka admin "
                              "rebalance status` says how far it is, and what stands in the way)",
                              url, groups));
    const auto about = [&](const MoveDocument::Move& move) {
      return move.spec.from == drive.id || move.spec.to == drive.id;
    };
    if (std::any_of(moves.moves.begin(), moves.moves.end(), about))
      return fail(Errc::conflict, fmt::format("{} is being cleaned up: try again in a moment", url));
    drive.state = SlotState::removed;
  }
  if (after.nodes().size() + 1 < before.nodes().size())
    return fail(
        Errc::conflict,
        "these are all drives of several nodes: remove one node at a time, the next when that is known "
        "everywhere");
  return after;
}

Task<Result<std::uint64_t>> change_topology(control::ControlStore& control, control::Membership& membership,
                                            Ctx& ctx,
                                            std::function<Result<Topology>(const Topology& before)> change) {
  for (int tries = 0;; ++tries) {
    const control::DocumentPtr now = control.get(kTopologyDocument);
    if (!now) co_return fail(Errc::unavailable, "there is no topology");
    CO_TRY(before, decode_topology(now->content));
    CO_TRY(first, change(before));  // what is refused is refused at once
    // Where there is nothing to change it is put all the same: what is known here may be out of date.
    const bool nothing_to_do = encode_topology(first) == encode_topology(before);
    Result<> known;
    if (!nothing_to_do) {
      auto waiting = membership.wait_until_known(ctx, now->revision);
      known = co_await std::move(waiting);
    }
    if (!known)
      co_return fail(Errc::unavailable,
                     "not every node knows the last change of the topology yet, and the next one has to wait "
                     "for that; try again: " +
                         known.error().detail);
    CO_TRY(after, change(before));  // it may rest on other documents, and the wait was long
    std::string text = encode_topology(after);
    auto putting = control.put(ctx, std::string(kTopologyDocument), std::move(text), now->revision);
    const auto put = co_await std::move(putting);
    if (put) co_return (*put)->revision;
    if (!put.failed_with(Errc::conflict) || tries == kPlacementPuts)
      co_return fail(put.code(), put.error().detail);
  }
}

}  // namespace ostraka::cluster
