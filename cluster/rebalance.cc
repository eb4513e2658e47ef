#include "cluster/rebalance.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "cluster/limits.h"

namespace ostraka::cluster {
namespace {

// The table as it would be after the moves planned so far.
class Table {
 public:
  Table(const Placement& placement, const std::vector<RebalanceDrive>& drives, unsigned parity)
      : set_drives_(placement.set_drives()), goal_(drives.size(), 0) {
    std::map<std::string, std::size_t> nodes;
    std::vector<PlacementDrive> staying;
    for (const RebalanceDrive& one : drives) {
      index_.emplace(one.drive.id, members_.size());
      members_.push_back({nodes.emplace(one.drive.node, nodes.size()).first->second, one.in_service,
                          one.in_service && !one.draining, one.draining});
      ids_.push_back(one.drive.id);
      if (!one.draining) staying.push_back(one.drive);
    }
    node_count_ = nodes.size();
    const Spread spread = spread_over(staying, set_drives_, parity);
    cap_ = spread.node_cap;
    for (std::size_t i = 0, at = 0; i < drives.size(); ++i)
      if (!drives[i].draining) goal_[i] = spread.shares[at++] * kPlacementGroups;
    for (unsigned g = 0; g < kPlacementGroups; ++g) add_group(placement.group(static_cast<std::uint16_t>(g)));
    before_ = groups_;
  }

  void drain() {
    for (std::size_t g = 0; g < groups_.size(); ++g)
      for (std::size_t slot = 0; slot < set_drives_; ++slot)
        if (members_[groups_[g][slot]].draining && !move_to_best(g, slot)) ++stuck_;
  }

  void respect_caps() {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      for (std::size_t tries = 0; tries < set_drives_; ++tries) {
        const auto slot = worst_of_crowded_node(g);
        if (!slot) break;
        if (move_to_best(g, *slot)) continue;
        ++stuck_;
        break;
      }
    }
  }

  void even_out() {
    while (even_out_once()) {
    }
  }

  RebalancePlan plan() const {
    RebalancePlan out;
    out.stuck = stuck_;
    for (std::size_t g = 0; g < groups_.size(); ++g) add_moves(g, out.moves);
    return out;
  }

 private:
  struct Member {
    std::size_t node = 0;
    bool gives = false;
    bool takes = false;
    bool draining = false;
  };
  using Group = std::vector<std::size_t>;  // drives, by slot

  void add_group(const GroupPlacement& placed) {
    Group group;
    for (const DriveId& id : placed.drives) {
      auto at = index_.find(id);
      if (at == index_.end()) {  // removed: on a node of its own, and to be emptied
        at = index_.emplace(id, members_.size()).first;
        members_.push_back({node_count_++, true, false, true});
        ids_.push_back(id);
        goal_.push_back(0);
      }
      group.push_back(at->second);
    }
    got_.resize(members_.size(), 0);
    for (const std::size_t drive : group) ++got_[drive];
    groups_.push_back(std::move(group));
  }

  double over(std::size_t drive) const { return got_[drive] - goal_[drive]; }
  double slack(std::size_t drive) const { return std::max(1.0, goal_[drive] * kRebalanceSlack); }
  std::size_t on_node(const Group& group, std::size_t node) const {
    return static_cast<std::size_t>(
        std::count_if(group.begin(), group.end(), [&](std::size_t d) { return members_[d].node == node; }));
  }
  bool fits(const Group& group, std::size_t slot, std::size_t to) const {
    if (!members_[to].takes || std::find(group.begin(), group.end(), to) != group.end()) return false;
    const std::size_t node = members_[to].node;
    const bool same = members_[group[slot]].node == node;
    return on_node(group, node) + (same ? 0 : 1) <= std::max<std::size_t>(cap_, same ? set_drives_ : 0);
  }
  void move(std::size_t g, std::size_t slot, std::size_t to) {
    --got_[groups_[g][slot]];
    ++got_[to];
    groups_[g][slot] = to;
  }

  // To the drive that is furthest behind, in parts of its goal.
  bool move_to_best(std::size_t g, std::size_t slot) {
    if (!members_[groups_[g][slot]].gives) return false;
    std::optional<std::size_t> best;
    const bool crowded = on_node(groups_[g], members_[groups_[g][slot]].node) > cap_;
    for (std::size_t to = 0; to < members_.size(); ++to) {
      if (!fits(groups_[g], slot, to)) continue;
      if (crowded && !members_[groups_[g][slot]].draining &&
          members_[to].node == members_[groups_[g][slot]].node)
        continue;
      if (!best || fullness(to) < fullness(*best)) best = to;
    }
    if (best) move(g, slot, *best);
    return best.has_value();
  }
  double fullness(std::size_t drive) const { return got_[drive] / std::max(goal_[drive], 1e-9); }

  // The slot on a node with too many shards of the group whose drive has most too much.
  std::optional<std::size_t> worst_of_crowded_node(std::size_t g) const {
    const Group& group = groups_[g];
    std::optional<std::size_t> worst;
    for (std::size_t slot = 0; slot < group.size(); ++slot) {
      if (on_node(group, members_[group[slot]].node) <= cap_ || !members_[group[slot]].gives) continue;
      if (!worst || over(group[slot]) > over(group[*worst])) worst = slot;
    }
    return worst;
  }

  // One move from a drive that has too much to one that has too little, one of which is beyond its slack.
  bool even_out_once() {
    std::vector<std::size_t> givers, takers;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].gives && over(i) >= 0.5) givers.push_back(i);
      if (members_[i].takes && over(i) <= -0.5) takers.push_back(i);
    }
    std::sort(givers.begin(), givers.end(), [&](auto a, auto b) { return over(a) > over(b); });
    std::sort(takers.begin(), takers.end(), [&](auto a, auto b) { return over(a) < over(b); });
    for (const std::size_t from : givers) {
      for (const std::size_t to : takers) {
        if (over(from) <= slack(from) && -over(to) <= slack(to)) continue;
        if (move_one(from, to)) return true;
      }
    }
    return false;
  }

  // The slot whose group gains most in spread by it.
  bool move_one(std::size_t from, std::size_t to) {
    std::optional<std::pair<std::size_t, std::size_t>> best;  // group, slot
    std::ptrdiff_t best_gain = 0;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const auto at = std::find(groups_[g].begin(), groups_[g].end(), from);
      if (at == groups_[g].end()) continue;
      const auto slot = static_cast<std::size_t>(at - groups_[g].begin());
      if (!fits(groups_[g], slot, to)) continue;
      const auto gain = static_cast<std::ptrdiff_t>(on_node(groups_[g], members_[from].node)) -
                        static_cast<std::ptrdiff_t>(on_node(groups_[g], members_[to].node)) +
                        (groups_[g][slot] != before_[g][slot] ? 100 : 0);  // it moves anyway
      if (best && gain <= best_gain) continue;
      best = {g, slot};
      best_gain = gain;
    }
    if (best) move(best->first, best->second, to);
    return best.has_value();
  }

  // A drive that stays in the group keeps its slot, so that no move waits for another.
  void add_moves(std::size_t g, std::vector<SlotMove>& moves) const {
    const Group& before = before_[g];
    const Group& after = groups_[g];
    std::vector<std::size_t> added;
    for (const std::size_t drive : after)
      if (std::find(before.begin(), before.end(), drive) == before.end()) added.push_back(drive);
    auto next = added.begin();
    for (std::size_t slot = 0; slot < before.size(); ++slot) {
      if (std::find(after.begin(), after.end(), before[slot]) != after.end()) continue;
      moves.push_back({static_cast<std::uint16_t>(g), static_cast<std::uint16_t>(slot), ids_[before[slot]],
                       ids_[*next++]});
    }
  }

  const unsigned set_drives_;
  std::size_t node_count_ = 0;
  unsigned cap_ = 1;
  std::map<DriveId, std::size_t> index_;
  std::vector<Member> members_;
  std::vector<DriveId> ids_;
  std::vector<double> goal_;  // groups
  std::vector<double> got_;   // the same
  std::vector<Group> groups_, before_;
  std::size_t stuck_ = 0;
};

}  // namespace

Result<RebalancePlan> plan_rebalance(const Placement& placement, const std::vector<RebalanceDrive>& drives,
                                     unsigned parity) {
  const auto staying =
      std::count_if(drives.begin(), drives.end(), [](const auto& one) { return !one.draining; });
  if (staying < static_cast<std::ptrdiff_t>(placement.set_drives())) {
    return fail(Errc::invalid_argument, std::to_string(staying) + " drives would stay, and a group needs " +
                                            std::to_string(placement.set_drives()));
  }
  Table table(placement, drives, parity);
  table.drain();
  table.respect_caps();
  table.even_out();
  return table.plan();
}

}  // namespace ostraka::cluster
