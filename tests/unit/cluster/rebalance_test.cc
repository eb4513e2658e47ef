#include "cluster/rebalance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace ostraka::cluster {
namespace {

constexpr std::uint64_t kTerabyte = 1'000'000'000'000;

DriveId drive_id(unsigned n) {
  DriveId id;
  id.bytes[0] = static_cast<std::uint8_t>(n >> 8);
  id.bytes[1] = static_cast<std::uint8_t>(n);
  id.bytes[2] = 1;
  return id;
}

std::vector<RebalanceDrive> cluster_of(unsigned nodes, unsigned each) {
  std::vector<RebalanceDrive> out;
  for (unsigned i = 0; i < nodes * each; ++i)
    out.push_back({{drive_id(i), "node" + std::to_string(i / each), kTerabyte}, true, false});
  return out;
}

Placement make(const std::vector<RebalanceDrive>& drives, unsigned set, unsigned parity) {
  std::vector<PlacementDrive> placed;
  for (const RebalanceDrive& one : drives) placed.push_back(one.drive);
  return Placement::make(DeploymentId{}, placed, set, parity);
}

// The table after the moves, each of which has to make sense by itself.
Placement carried_out(Placement placement, const RebalancePlan& plan) {
  for (const SlotMove& move : plan.moves) {
    const auto& group = placement.group(move.group);
    EXPECT_EQ(group.drives[move.slot], move.from);
    EXPECT_EQ(std::count(group.drives.begin(), group.drives.end(), move.to), 0);
    EXPECT_TRUE(placement.move_slot(move.group, move.slot, move.from, move.to));
  }
  return placement;
}

struct Shape {
  Shape(const Placement& placement, const std::vector<RebalanceDrive>& drives) {
    std::map<DriveId, std::string> node_of;
    for (const RebalanceDrive& one : drives) {
      node_of[one.drive.id] = one.drive.node;
      groups[one.drive.id] = 0;
    }
    for (unsigned g = 0; g < kPlacementGroups; ++g) {
      std::map<std::string, unsigned> on_node;
      std::set<DriveId> distinct;
      for (const DriveId& id : placement.group(static_cast<std::uint16_t>(g)).drives) {
        ++groups[id];
        distinct.insert(id);
        most_on_node = std::max(most_on_node, ++on_node[node_of[id]]);
      }
      EXPECT_EQ(distinct.size(), placement.set_drives());
    }
  }
  std::map<DriveId, unsigned> groups;
  unsigned most_on_node = 0;
};

TEST(Rebalance, ATableThatIsWellSpreadStaysAsItIs) {
  for (const auto& [nodes, each] : {std::pair{4U, 2U}, {6U, 2U}, {9U, 4U}, {1U, 12U}}) {
    const auto drives = cluster_of(nodes, each);
    const auto plan = plan_rebalance(make(drives, 6, 2), drives, 2);
    ASSERT_TRUE(plan);
    EXPECT_TRUE(plan->moves.empty()) << nodes;
    EXPECT_EQ(plan->stuck, 0U);
  }
}

TEST(Rebalance, ANewNodeGetsItsShareAndNothingElseMoves) {
  for (const auto& [nodes, each, set] : {std::tuple{4U, 2U, 8U}, {6U, 2U, 6U}, {3U, 4U, 6U}}) {
    SCOPED_TRACE(nodes);
    const auto before = cluster_of(nodes, each);
    const auto after = cluster_of(nodes + 1, each);
    const Placement table = make(before, set, 2);
    const auto plan = plan_rebalance(table, after, 2);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->stuck, 0U);
    const double share = static_cast<double>(kPlacementGroups) * set / static_cast<double>(after.size());
    EXPECT_LE(plan->moves.size(), share * each * 1.02 + each);
    for (const SlotMove& move : plan->moves)
      EXPECT_GE(move.to, drive_id(nodes * each)) << "between old drives";
    const Placement moved = carried_out(table, *plan);
    const Shape shape(moved, after);
    for (const auto& [id, groups] : shape.groups) EXPECT_NEAR(groups, share, share * 0.05 + 1);
    EXPECT_LE(shape.most_on_node, 2U);
    EXPECT_TRUE(plan_rebalance(moved, after, 2)->moves.empty());
  }
}

TEST(Rebalance, ANodeIsDrained) {
  auto drives = cluster_of(5, 2);
  const Placement table = make(drives, 8, 2);
  for (unsigned i : {8U, 9U}) drives[i].draining = true;
  const auto plan = plan_rebalance(table, drives, 2);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->stuck, 0U);
  const Placement moved = carried_out(table, *plan);
  const Shape shape(moved, drives);
  EXPECT_EQ(shape.groups.at(drive_id(8)), 0U);
  EXPECT_EQ(shape.groups.at(drive_id(9)), 0U);
  EXPECT_LE(shape.most_on_node, 2U);
  const Shape full(table, drives);
  EXPECT_EQ(plan->moves.size(), full.groups.at(drive_id(8)) + full.groups.at(drive_id(9)));

  for (unsigned i : {6U, 7U}) drives[i].draining = true;
  EXPECT_TRUE(plan_rebalance(table, drives, 2).failed_with(Errc::invalid_argument)) << "6 stay of 8";
}

TEST(Rebalance, ADriveThatWasRemovedGivesAll) {
  const auto drives = cluster_of(4, 3);
  const Placement table = make(drives, 6, 2);
  auto left = drives;
  left.erase(left.begin());
  const auto plan = plan_rebalance(table, left, 2);
  ASSERT_TRUE(plan);
  const Shape shape(carried_out(table, *plan), left);
  EXPECT_EQ(shape.groups.count(drive_id(0)), 0U);
  EXPECT_LE(shape.most_on_node, 2U);
}

TEST(Rebalance, ADriveThatIsAwayNeitherGivesNorTakes) {
  auto drives = cluster_of(6, 2);
  const Placement table = make(cluster_of(5, 2), 6, 2);
  drives[0].in_service = false;
  drives[11].in_service = false;
  const auto plan = plan_rebalance(table, drives, 2);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->moves.empty());
  for (const SlotMove& move : plan->moves) {
    EXPECT_NE(move.from, drive_id(0));
    EXPECT_EQ(move.to, drive_id(10));
  }
}

TEST(Rebalance, NodesThatJoinTakeShardsFromCrowdedOnes) {
  const Placement table = make(cluster_of(3, 2), 6, 2);  // two shards of each group on every node
  EXPECT_EQ(Shape(table, cluster_of(3, 2)).most_on_node, 2U);
  const auto drives = cluster_of(6, 2);
  const auto plan = plan_rebalance(table, drives, 2);
  ASSERT_TRUE(plan);
  const Shape shape(carried_out(table, *plan), drives);
  EXPECT_EQ(shape.most_on_node, 1U);
  EXPECT_EQ(plan->moves.size(), kPlacementGroups * 3U) << "half of all";
  for (const auto& [id, groups] : shape.groups)
    EXPECT_NEAR(groups, kPlacementGroups / 2.0, kPlacementGroups * 0.05);
}

// Clusters of any form, changed again and again.
TEST(Rebalance, WhateverHappensTheTableBecomesEvenAndSafe) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    const unsigned parity = 1 + below(3), set = 2 * parity + below(4);
    unsigned next_drive = 0, next_node = 0;
    std::vector<RebalanceDrive> drives;
    const auto add_node = [&] {
      const unsigned each = 2 + below(2);
      for (unsigned i = 0; i < each; ++i)
        drives.push_back(
            {{drive_id(next_drive++), "n" + std::to_string(next_node), kTerabyte * (2 + below(3)) / 2},
             true,
             false});
      ++next_node;
    };
    while (drives.size() < set + 4 || next_node < 4) add_node();
    Placement table = make(drives, set, parity);
    for (int step = 0; step < 3; ++step) {
      if (below(2) == 0) {
        add_node();
      } else if (drives.size() >= set + 6) {
        drives[below(static_cast<unsigned>(drives.size()))].draining = true;
      }
      const auto plan = plan_rebalance(table, drives, parity);
      ASSERT_TRUE(plan) << plan.error().detail;
      EXPECT_EQ(plan->stuck, 0U);
      table = carried_out(std::move(table), *plan);
      std::vector<PlacementDrive> staying;
      for (const RebalanceDrive& one : drives)
        if (!one.draining) staying.push_back(one.drive);
      const Spread spread = spread_over(staying, set, parity);
      const Shape shape(table, drives);
      EXPECT_LE(shape.most_on_node, spread.node_cap);
      for (std::size_t i = 0; i < staying.size(); ++i) {
        const double goal = spread.shares[i] * kPlacementGroups;
        EXPECT_NEAR(shape.groups.at(staying[i].id), goal, goal * 0.1 + 1) << i;
      }
      for (const RebalanceDrive& one : drives)
        EXPECT_TRUE(!one.draining || shape.groups.at(one.drive.id) == 0);
      EXPECT_TRUE(plan_rebalance(table, drives, parity)->moves.empty());
      std::erase_if(drives, [](const RebalanceDrive& one) { return one.draining; });
    }
  }
}

}  // namespace
}  // namespace ostraka::cluster
