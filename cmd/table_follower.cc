#include "cmd/table_follower.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cluster/move_document.h"
#include "cmd/build_node.h"

namespace ostraka::cmd {
namespace {

bool is_older(const control::DocumentPtr& document, const control::DocumentPtr& taken) {
  return document && taken && document->revision <= taken->revision;
}

bool has_drives(const erasure::ErasureSet& set, const std::vector<DriveId>& wanted) {
  const std::vector<disk::Drive*> drives = set.drives();
  return std::equal(drives.begin(), drives.end(), wanted.begin(), wanted.end(),
                    [](const disk::Drive* drive, const DriveId& id) { return drive->id() == id; });
}

}  // namespace

// Null: a drive is not there.
object::SetPtr TableFollower::make_set(std::uint16_t group, const cluster::GroupPlacement& where) const {
  std::vector<disk::Drive*> drives;
  for (const DriveId& id : where.drives) {
    disk::Drive* drive = deps_.find(id);
    if (drive == nullptr) {
      log::error("the placement table names a drive that this node does not know drive={} group={}",
                 to_string(id), group);
      return nullptr;
    }
    drives.push_back(drive);
  }
  return erasure::make_erasure_set(deps_.sets, group, where.epoch, deps_.geometry, std::move(drives));
}

Result<> TableFollower::begin(cluster::Placement table) {
  auto first = std::make_shared<object::SetTable>();
  first->placement = std::make_shared<const cluster::Placement>(std::move(table));
  for (unsigned i = 0; i < kPlacementGroups; ++i) {
    const auto group = static_cast<std::uint16_t>(i);
    object::SetPtr set = make_set(group, first->placement->group(group));
    if (!set)
      return fail(Errc::corrupt, "the placement table names a drive that this deployment does not have");
    first->sets.push_back(std::move(set));
  }
  sets_ = std::make_unique<object::ObjectSets>(std::move(first), deps_.classes);
  return {};
}

void TableFollower::watch(control::ControlStore& control) {
  control.watch(std::string(kPlacementDocument),
                [this](const std::string& name, const control::DocumentPtr& now) {
                  if (name == kPlacementDocument) take_table(now);
                });
  control.watch(std::string(cluster::kMovesDocument),
                [this](const std::string& name, const control::DocumentPtr& now) {
                  if (name == cluster::kMovesDocument) take_moves(now);
                });
  take_moves(control.get(cluster::kMovesDocument));  // what changed before it was watched
  take_table(control.get(kPlacementDocument));
}

void TableFollower::look_again() {
  const std::lock_guard lock(mutex_);
  if (!incomplete_ || !table_) return;
  auto table = cluster::Placement::from_json(deps_.deployment, table_->content);
  if (table) follow(std::move(*table));
}

void TableFollower::take_table(const control::DocumentPtr& document) {
  if (!document) return;
  auto table = cluster::Placement::from_json(deps_.deployment, document->content);
  if (!table || table->set_drives() != sets_->set_drives()) {
    log::error("the placement table cannot be read, and is used as it was: {}",
               table ? "its sets are of another size" : table.error().detail);
    return;
  }
  const std::lock_guard lock(mutex_);
  if (is_older(document, table_)) return;
  table_ = document;
  follow(std::move(*table));
}

void TableFollower::follow(cluster::Placement table) {
  const object::SetTablePtr now = sets_->table();
  auto next = std::make_shared<object::SetTable>();
  next->placement = std::make_shared<const cluster::Placement>(std::move(table));
  incomplete_ = false;
  unsigned moved = 0;
  for (unsigned i = 0; i < kPlacementGroups; ++i) {
    const auto group = static_cast<std::uint16_t>(i);
    const cluster::GroupPlacement& where = next->placement->group(group);
    object::SetPtr set = now->sets[group];
    if (!has_drives(*set, where.drives)) {
      object::SetPtr other = make_set(group, where);
      incomplete_ = incomplete_ || !other;
      moved += other ? 1 : 0;
      if (other) set = std::move(other);
    }
    next->sets.push_back(std::move(set));
  }
  sets_->follow(next);
  for (unsigned i = 0; i < kPlacementGroups; ++i) {
    const auto group = static_cast<std::uint16_t>(i);
    sets_->of_group(group).raise_epoch(next->placement->group(group).epoch);
  }
  if (moved > 0) log::info("slots of placement groups have moved groups={}", moved);
  if (moved > 0 && deps_.changed) deps_.changed();
}

void TableFollower::take_moves(const control::DocumentPtr& document) {
  std::vector<bool> moving(kPlacementGroups, false);
  if (document) {
    const auto moves = cluster::decode_moves(document->content);
    if (!moves) {
      log::error("the document of moves cannot be read: {}", moves.error().detail);
      return;
    }
    for (const cluster::MoveDocument::Move& move : moves->moves)
      for (const cluster::MoveSpec::Slot& slot : move.spec.slots)
        if (slot.group < kPlacementGroups) moving[slot.group] = true;
  }
  const std::lock_guard lock(mutex_);
  if (is_older(document, moves_)) return;
  if (document) moves_ = document;
  sets_->set_moving(moving);
}

}  // namespace ostraka::cmd
