#include "cluster/placement.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace ostraka::cluster {
namespace {

DeploymentId deployment(std::uint8_t seed) {
  DeploymentId id;
  id.bytes.fill(seed);
  return id;
}

std::vector<PlacementDrive> drives(unsigned count) {
  std::vector<PlacementDrive> out(count);
  for (unsigned i = 0; i < count; ++i) {
    out[i].id.bytes.fill(static_cast<std::uint8_t>(200 - i));
    out[i].id.bytes[0] = static_cast<std::uint8_t>(i + 1);
  }
  return out;
}

std::set<DriveId> ids_of(const std::vector<PlacementDrive>& all) {
  std::set<DriveId> out;
  for (const PlacementDrive& drive : all) out.insert(drive.id);
  return out;
}

// Each of some drives of 1 TB.
std::vector<PlacementDrive> cluster_of(unsigned nodes, unsigned each) {
  std::vector<PlacementDrive> out = drives(nodes * each);
  for (unsigned i = 0; i < out.size(); ++i) {
    out[i].node = "node" + std::to_string(i / each);
    out[i].bytes = 1'000'000'000'000;
  }
  return out;
}

// How the groups lie on drives and nodes.
struct Lie {
  Lie(const Placement& placement, const std::vector<PlacementDrive>& all) {
    std::map<DriveId, std::string> node_of;
    for (const PlacementDrive& drive : all) node_of[drive.id] = drive.node;
    for (unsigned g = 0; g < kPlacementGroups; ++g) {
      const auto& group = placement.group(static_cast<std::uint16_t>(g));
      EXPECT_EQ(std::set<DriveId>(group.drives.begin(), group.drives.end()).size(), placement.set_drives());
      std::map<std::string, unsigned> on_node;
      for (const DriveId& id : group.drives) {
        ++groups[id];
        most_on_node = std::max(most_on_node, ++on_node[node_of.at(id)]);
      }
      ++firsts[group.drives[0]];
      sets.insert(std::set<DriveId>(group.drives.begin(), group.drives.end()));
    }
  }
  std::map<DriveId, unsigned> groups, firsts;
  std::set<std::set<DriveId>> sets;
  unsigned most_on_node = 0;
};

TEST(Placement, ExactlyOneSetIsEveryGroupInAnotherRotation) {
  const auto all = drives(6);
  const Placement placement = Placement::make(deployment(1), all, 6, 2);
  std::map<DriveId, unsigned> first;
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    const auto& group = placement.group(static_cast<std::uint16_t>(g));
    EXPECT_EQ(group.epoch, 1U);
    EXPECT_EQ(std::set<DriveId>(group.drives.begin(), group.drives.end()), ids_of(all));
    ++first[group.drives[0]];
  }
  EXPECT_EQ(first.size(), 6U);
  for (const auto& [id, count] : first) EXPECT_NEAR(count, kPlacementGroups / 6.0, 1.0);
}

TEST(Placement, ShardsSpreadOverNodes) {
  struct Case {
    unsigned nodes, each, set, parity, most;
  };
  for (const Case& c :
       {Case{4, 2, 8, 2, 2}, Case{6, 2, 6, 2, 1}, Case{5, 2, 8, 2, 2}, Case{4, 3, 8, 2, 2},
        Case{3, 4, 6, 2, 2}, Case{7, 1, 6, 2, 1}, Case{2, 4, 8, 2, 4}, Case{9, 4, 12, 4, 2}}) {
    SCOPED_TRACE(testing::Message() << c.nodes << " nodes x " << c.each << ", sets of " << c.set);
    const auto all = cluster_of(c.nodes, c.each);
    const Lie lie(Placement::make(deployment(1), all, c.set, c.parity), all);
    EXPECT_EQ(lie.most_on_node, c.most);
    const double fair = static_cast<double>(kPlacementGroups) * c.set / (c.nodes * c.each);
    for (const auto& [id, count] : lie.groups) EXPECT_NEAR(count, fair, 2.0);
    EXPECT_EQ(lie.groups.size(), all.size());
    for (const auto& [id, count] : lie.firsts) EXPECT_NEAR(count, fair / c.set, 2.0);
    EXPECT_LE(lie.sets.size(), all.size()) << "listings merge them all";
    std::set<DriveId> helpers;
    for (const auto& set : lie.sets)
      if (set.contains(all[0].id)) helpers.insert(set.begin(), set.end());
    EXPECT_GE(helpers.size() - 1, std::min(all.size() - c.each, std::size_t{c.set}))
        << "few drives help to fill one";
  }
}

TEST(Placement, DrivesCarryWhatTheirSizesSay) {
  auto all = cluster_of(6, 2);
  for (unsigned i = 0; i < all.size(); i += 2) all[i].bytes *= 3;  // each node has a large and a small one
  const Lie lie(Placement::make(deployment(1), all, 6, 2), all);
  EXPECT_EQ(lie.most_on_node, 1U);
  for (unsigned i = 0; i < all.size(); ++i)
    EXPECT_NEAR(lie.groups.at(all[i].id), kPlacementGroups * (i % 2 == 0 ? 0.75 : 0.25), 2.0);
}

TEST(Placement, ALargeNodeGetsMoreThanOthersAsFarAsParityAllows) {
  auto all = cluster_of(7, 2);
  all[0].bytes *= 2;
  all[1].bytes *= 2;  // two of eight parts: 1.5 shards of 6
  const Lie lie(Placement::make(deployment(1), all, 6, 2), all);
  EXPECT_EQ(lie.most_on_node, 2U);
  EXPECT_NEAR(lie.groups.at(all[0].id), kPlacementGroups * 0.75, 2.0);
  EXPECT_NEAR(lie.groups.at(all[5].id), kPlacementGroups * 0.375, 2.0);

  for (unsigned i : {0U, 1U}) all[i].bytes *= 10;  // it cannot have its due
  const Lie capped(Placement::make(deployment(1), all, 6, 2), all);
  EXPECT_EQ(capped.most_on_node, 2U);
  EXPECT_EQ(capped.groups.at(all[0].id), kPlacementGroups);
  EXPECT_NEAR(capped.groups.at(all[5].id), kPlacementGroups / 3.0, 2.0);
}

TEST(Placement, NodesThatDifferByLittleKeepOneShardEach) {
  auto all = cluster_of(6, 2);
  for (unsigned i = 0; i < all.size(); ++i) all[i].bytes += i * 8'000'000'000;
  EXPECT_EQ(Lie(Placement::make(deployment(1), all, 6, 2), all).most_on_node, 1U);
}

TEST(Placement, DrivesOfUnknownSizeCountLikeTheOthers) {
  auto all = cluster_of(4, 2);
  all[3].bytes = 0;
  const Lie lie(Placement::make(deployment(1), all, 4, 2), all);
  for (const auto& [id, count] : lie.groups) EXPECT_NEAR(count, kPlacementGroups / 2.0, 2.0);
}

TEST(Placement, MoreDrivesCarryEqualShares) {
  const Placement placement = Placement::make(deployment(1), drives(10), 6, 2);
  std::map<DriveId, unsigned> groups;
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    const auto& group = placement.group(static_cast<std::uint16_t>(g));
    ASSERT_EQ(std::set<DriveId>(group.drives.begin(), group.drives.end()).size(), 6U);
    for (const auto& id : group.drives) ++groups[id];
  }
  EXPECT_EQ(groups.size(), 10U);
  for (const auto& [id, count] : groups) EXPECT_NEAR(count, kPlacementGroups * 6 / 10.0, 6.0);
}

TEST(Placement, KeysSpreadAndDependOnDeploymentAndBucket) {
  const Placement a = Placement::make(deployment(1), drives(4), 4, 2);
  const Placement b = Placement::make(deployment(2), drives(4), 4, 2);
  std::vector<unsigned> hits(kPlacementGroups);
  unsigned same_deployment = 0, same_bucket = 0;
  for (int i = 0; i < 102400; ++i) {
    const std::string key = "photos/" + std::to_string(i);
    const auto group = a.group_of(BucketId{7}, key);
    ASSERT_LT(group, kPlacementGroups);
    EXPECT_EQ(group, a.group_of(BucketId{7}, key));
    ++hits[group];
    same_deployment += group == b.group_of(BucketId{7}, key);
    same_bucket += group == a.group_of(BucketId{8}, key);
  }
  EXPECT_GT(*std::min_element(hits.begin(), hits.end()), 40U);  // 100 expected, deviation 10
  EXPECT_LT(*std::max_element(hits.begin(), hits.end()), 170U);
  EXPECT_LT(same_deployment, 400U);
  EXPECT_LT(same_bucket, 400U);
}

TEST(Placement, GroupOfIsPinned) {  // objects must be found again by later releases
  const Placement placement = Placement::make(deployment(0), drives(3), 3, 2);
  EXPECT_EQ(placement.group_of(BucketId{1}, "a"), 763);
  EXPECT_EQ(placement.group_of(BucketId{0x0102030405060708}, "photos/1.jpg"), 141);
  const std::string longest(kMaxKeyBytes, 'k');
  EXPECT_LT(placement.group_of(BucketId{1}, longest), kPlacementGroups);
  EXPECT_LT(placement.group_of(BucketId{1}, ""), kPlacementGroups);
}

TEST(Placement, JsonRoundTrip) {
  const Placement made = Placement::make(deployment(1), drives(9), 5, 2);
  const auto read = Placement::from_json(deployment(1), made.to_json());
  ASSERT_TRUE(read.has_value()) << read.error().detail;
  EXPECT_EQ(read->set_drives(), 5U);
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    const auto group = static_cast<std::uint16_t>(g);
    EXPECT_EQ(read->group(group).drives, made.group(group).drives);
    EXPECT_EQ(read->group(group).epoch, made.group(group).epoch);
  }
  EXPECT_EQ(read->to_json(), made.to_json());
  EXPECT_LT(made.to_json().size(), 64U << 10);
}

TEST(Placement, BadJsonIsRefused) {
  const auto refuse = [](const nlohmann::json& table, Errc code) {
    const auto read = Placement::from_json(deployment(1), table.dump());
    EXPECT_TRUE(read.failed_with(code)) << table.dump().substr(0, 200);
  };
  const auto good = nlohmann::json::parse(Placement::make(deployment(1), drives(4), 3, 2).to_json());
  EXPECT_TRUE(Placement::from_json(deployment(1), "").failed_with(Errc::malformed));
  EXPECT_TRUE(Placement::from_json(deployment(1), "[1,2").failed_with(Errc::malformed));
  refuse(nlohmann::json::array(), Errc::malformed);
  auto bad = good;
  bad.erase("version");
  refuse(bad, Errc::malformed);
  bad = good;
  bad["version"] = 2;
  refuse(bad, Errc::unsupported_version);
  bad = good;
  bad["drives"][1] = bad["drives"][0];
  refuse(bad, Errc::malformed);
  bad = good;
  bad["drives"][1] = "not-a-drive";
  refuse(bad, Errc::malformed);
  bad = good;
  bad["groups"].erase(0);
  refuse(bad, Errc::malformed);
  bad = good;
  bad["groups"][5] = {1, 0, 1, 4};  // no such drive
  refuse(bad, Errc::malformed);
  bad["groups"][5] = {1, 0, 1, 1};  // twice
  refuse(bad, Errc::malformed);
  bad["groups"][5] = {0, 0, 1, 2};  // epoch 0
  refuse(bad, Errc::malformed);
  bad["groups"][5] = {1, 0, 1};  // another size
  refuse(bad, Errc::malformed);
  bad["groups"][5] = {1, -1, 1, 2};
  refuse(bad, Errc::malformed);
  bad["groups"][5] = "x";
  refuse(bad, Errc::malformed);
}

TEST(Placement, ALostDriveRaisesTheEpochsOfItsGroups) {
  const auto all = drives(5);
  Placement placement = Placement::make(deployment(1), all, 3, 2);
  const auto raised = placement.raise_epochs(all[2].id);
  ASSERT_EQ(raised.size(), kPlacementGroups);
  unsigned groups = 0;
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    const auto& group = placement.group(static_cast<std::uint16_t>(g));
    const bool in_it = std::count(group.drives.begin(), group.drives.end(), all[2].id) > 0;
    EXPECT_EQ(raised[g], in_it ? 2U : 0U);
    EXPECT_EQ(group.epoch, in_it ? 2U : 1U);
    groups += in_it ? 1 : 0;
  }
  EXPECT_NEAR(groups, kPlacementGroups * 3 / 5.0, 2.0);
  const auto again = placement.raise_epochs(all[2].id);
  const auto read = Placement::from_json(deployment(1), placement.to_json());
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    EXPECT_EQ(again[g], raised[g] == 0 ? 0U : 3U);
    EXPECT_EQ(read->group(static_cast<std::uint16_t>(g)).epoch, raised[g] == 0 ? 1U : 3U);
  }
}

}  // namespace
}  // namespace ostraka::cluster
