#include "object/refill_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace ostraka::object {

GroupMembers::GroupMembers(SetTablePtr table, const std::vector<disk::Drive*>& drives)
    : table_(std::move(table)) {
  members_.resize(kPlacementGroups);
  for (std::size_t group = 0; group < kPlacementGroups; ++group) {
    for (const disk::Drive* member : table_->sets[group]->drives()) {
      const auto found = std::find(drives.begin(), drives.end(), member);
      const auto index = static_cast<std::uint16_t>(found - drives.begin());
      members_[group].push_back(found == drives.end() ? kElsewhere : index);
    }
  }
}

std::optional<unsigned> GroupMembers::slot(std::uint16_t group, std::size_t drive) const noexcept {
  const auto& members = members_[group];
  const auto found = std::find(members.begin(), members.end(), drive);
  if (found == members.end()) return std::nullopt;
  return static_cast<unsigned>(found - members.begin());
}

unsigned GroupMembers::full(std::uint16_t group, std::size_t beside, const GroupStates& states,
                            const std::vector<bool>& among) const {
  unsigned count = 0;
  for (const std::uint16_t member : members_[group]) {
    if (member == beside || member == kElsewhere || !states[member]) continue;
    if (!among.empty() && !among[member]) continue;
    count += (*states[member])[group].refilling ? 0 : 1;
  }
  return count;
}

unsigned GroupMembers::full_and_told(std::uint16_t group, std::size_t beside, const GroupStates& states,
                                     const GroupStates& told, std::uint64_t epoch,
                                     const std::vector<bool>& among) const {
  unsigned count = 0;
  for (const std::uint16_t member : members_[group]) {
    if (member == beside || member == kElsewhere || !states[member] || !told[member] || !among[member])
      continue;
    const disk::GroupState& then = (*told[member])[group];
    if (then.refilling || then.epoch < epoch) continue;
    count += (*states[member])[group].refilling ? 0 : 1;
  }
  return count;
}

unsigned GroupMembers::groups_of(std::size_t drive) const noexcept {
  unsigned count = 0;
  for (const auto& members : members_)
    count += std::find(members.begin(), members.end(), drive) != members.end() ? 1 : 0;
  return count;
}

RefillPlan plan_refill(const GroupMembers& members, std::size_t drive, const GroupStates& states,
                       unsigned read_quorum) {
  RefillPlan plan;
  if (!states[drive]) return plan;
  unsigned fewest = read_quorum;
  for (std::size_t i = 0; i < kPlacementGroups; ++i) {
    const auto group = static_cast<std::uint16_t>(i);
    const disk::GroupState& state = (*states[drive])[group];
    if (!state.refilling || !members.slot(group, drive)) continue;
    ++plan.refilling;
    const unsigned full = members.full(group, drive, states);
    if (full >= read_quorum)
      plan.groups[group] = {state.birth, std::max(state.birth, state.epoch)};
    else
      fewest = std::min(fewest, full);
  }
  if (fewest < read_quorum) {
    plan.problem = fmt::format(
        "needs {} other drives that are in service and not being refilled themselves; there are {}",
        read_quorum, fewest);
  }
  return plan;
}

}  // namespace ostraka::object
