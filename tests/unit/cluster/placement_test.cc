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

std::vector<DriveId> drives(unsigned count) {
  std::vector<DriveId> out(count);
  for (unsigned i = 0; i < count; ++i) {
    out[i].bytes.fill(static_cast<std::uint8_t>(200 - i));
    out[i].bytes[0] = static_cast<std::uint8_t>(i + 1);
  }
  return out;
}

TEST(Placement, ExactlyOneSetIsEveryGroupInAnotherRotation) {
  const auto all = drives(6);
  const Placement placement = Placement::make(deployment(1), all, 6);
  std::map<DriveId, unsigned> first;
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    const auto& group = placement.group(static_cast<std::uint16_t>(g));
    EXPECT_EQ(group.epoch, 1U);
    EXPECT_EQ(std::set<DriveId>(group.drives.begin(), group.drives.end()),
              std::set<DriveId>(all.begin(), all.end()));
    ++first[group.drives[0]];
  }
  EXPECT_EQ(first.size(), 6U);
  for (const auto& [id, count] : first) EXPECT_NEAR(count, kPlacementGroups / 6.0, 1.0);
}

TEST(Placement, MoreDrivesCarryEqualShares) {
  const Placement placement = Placement::make(deployment(1), drives(10), 6);
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
  const Placement a = Placement::make(deployment(1), drives(4), 4);
  const Placement b = Placement::make(deployment(2), drives(4), 4);
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
  const Placement placement = Placement::make(deployment(0), drives(3), 3);
  EXPECT_EQ(placement.group_of(BucketId{1}, "a"), 763);
  EXPECT_EQ(placement.group_of(BucketId{0x0102030405060708}, "photos/1.jpg"), 141);
  const std::string longest(kMaxKeyBytes, 'k');
  EXPECT_LT(placement.group_of(BucketId{1}, longest), kPlacementGroups);
  EXPECT_LT(placement.group_of(BucketId{1}, ""), kPlacementGroups);
}

TEST(Placement, JsonRoundTrip) {
  const Placement made = Placement::make(deployment(1), drives(9), 5);
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
  const auto good = nlohmann::json::parse(Placement::make(deployment(1), drives(4), 3).to_json());
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
  Placement placement = Placement::make(deployment(1), all, 3);
  const auto raised = placement.raise_epochs(all[2]);
  ASSERT_EQ(raised.size(), kPlacementGroups);
  unsigned groups = 0;
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    const auto& group = placement.group(static_cast<std::uint16_t>(g));
    const bool in_it = std::count(group.drives.begin(), group.drives.end(), all[2]) > 0;
    EXPECT_EQ(raised[g], in_it ? 2U : 0U);
    EXPECT_EQ(group.epoch, in_it ? 2U : 1U);
    groups += in_it ? 1 : 0;
  }
  EXPECT_NEAR(groups, kPlacementGroups * 3 / 5.0, 2.0);
  EXPECT_EQ(placement.raise_epochs(all[2])[2], 3U);
  EXPECT_EQ(Placement::from_json(deployment(1), placement.to_json())->group(2).epoch, 3U);
}

}  // namespace
}  // namespace ostraka::cluster
