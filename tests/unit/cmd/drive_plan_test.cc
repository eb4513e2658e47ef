#include "cmd/drive_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ostraka::cmd {
namespace {

using ::testing::HasSubstr;

disk::DriveFormat drive(unsigned slot, std::uint8_t deployment = 1, unsigned drives = 4) {
  disk::DriveFormat format;
  format.deployment.bytes[0] = deployment;
  format.slot = slot;
  format.data_shards = 2;
  format.parity_shards = 2;
  for (unsigned i = 0; i < drives; ++i) {
    DriveId id;
    id.bytes = {deployment, static_cast<std::uint8_t>(i + 1)};
    format.drives.push_back(id);
  }
  return format;
}

FoundFolder folder(int number, Result<std::optional<disk::DriveFormat>> format, bool exists = true) {
  return {"/d" + std::to_string(number), exists, std::move(format)};
}
FoundFolder holding(int number, unsigned slot, std::uint8_t deployment = 1) {
  return folder(number, std::optional(drive(slot, deployment)));
}
FoundFolder empty(int number, bool exists = true) {
  return folder(number, std::optional<disk::DriveFormat>(), exists);
}

TEST(DrivePlanTest, AllEmptyIsFresh) {
  const auto plan = plan_drives({empty(1), empty(2, false)}, std::nullopt);
  ASSERT_TRUE(plan.has_value());
  EXPECT_TRUE(plan->fresh);
  EXPECT_EQ(plan->seats[1].folder, "/d2");
}

TEST(DrivePlanTest, EachInItsPlace) {
  const auto plan = plan_drives({holding(1, 0), holding(2, 1), holding(3, 2), holding(4, 3)}, std::nullopt);
  ASSERT_TRUE(plan.has_value());
  EXPECT_FALSE(plan->fresh);
  EXPECT_TRUE(plan->notices.empty());
  for (unsigned slot = 0; slot < 4; ++slot) {
    EXPECT_TRUE(plan->seats[slot].usable);
    EXPECT_EQ(plan->seats[slot].folder, "/d" + std::to_string(slot + 1));
  }
  EXPECT_EQ(plan->format.drives, drive(0).drives);
}

TEST(DrivePlanTest, SwappedFoldersServeAsWhatTheyAre) {
  const auto plan = plan_drives({holding(1, 1), holding(2, 0), holding(3, 2), holding(4, 3)}, std::nullopt);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->seats[0].folder, "/d2");
  EXPECT_EQ(plan->seats[1].folder, "/d1");
  ASSERT_EQ(plan->notices.size(), 2U);
  EXPECT_THAT(plan->notices[0], HasSubstr("/d2: it holds the drive of slot 1"));
}

TEST(DrivePlanTest, WhatIsLeftOutKeepsItsPlaceAndSaysWhy) {
  const auto plan = plan_drives(
      {holding(1, 0), empty(2), empty(3, false), folder(4, fail(Errc::io, "/d4: Permission denied"))},
      std::nullopt);
  ASSERT_TRUE(plan.has_value());
  EXPECT_TRUE(plan->seats[0].usable);
  EXPECT_THAT(plan->seats[1].problem, HasSubstr("/d2: it is empty"));
  EXPECT_THAT(plan->seats[2].problem, HasSubstr("/d3: the folder is missing"));
  EXPECT_EQ(plan->seats[3].problem, "/d4: Permission denied");
  for (unsigned slot = 1; slot < 4; ++slot) EXPECT_TRUE(plan->seats[slot].awaited) << slot;
}

TEST(DrivePlanTest, WhatHoldsSomethingElseIsNotAwaited) {
  const auto two = plan_drives({holding(1, 0), holding(2, 1), folder(3, fail(Errc::corrupt, "/d3: damaged")),
                                folder(4, fail(Errc::unsupported_version, "/d4: newer"))},
                               std::nullopt);
  ASSERT_TRUE(two.has_value());
  EXPECT_FALSE(two->seats[2].awaited);
  EXPECT_FALSE(two->seats[3].awaited);
}

TEST(DrivePlanTest, AForeignFolderIsLeftOut) {
  const auto plan =
      plan_drives({holding(1, 0), holding(2, 1, 9), holding(3, 2), holding(4, 3)}, std::nullopt);
  ASSERT_TRUE(plan.has_value());
  EXPECT_FALSE(plan->seats[1].usable);
  EXPECT_THAT(plan->seats[1].problem, HasSubstr("/d2: it belongs to another deployment"));
}

TEST(DrivePlanTest, OfTwoCopiesNeitherIsUsed) {
  const auto plan = plan_drives({holding(1, 0), holding(2, 0), holding(3, 2), holding(4, 3)}, std::nullopt);
  ASSERT_TRUE(plan.has_value());
  EXPECT_FALSE(plan->seats[0].usable);
  EXPECT_FALSE(plan->seats[1].usable);
  EXPECT_THAT(plan->seats[0].problem, HasSubstr("copy"));
  EXPECT_TRUE(plan->seats[2].usable);
}

TEST(DrivePlanTest, AMissingFolderTakesThePlaceThatIsLeft) {
  // /d1 holds the drive of slot 2, whose own folder /d2 is gone: slot 1 is looked for at /d2.
  const auto plan = plan_drives({holding(1, 1), empty(2, false), holding(3, 2), holding(4, 3)}, std::nullopt);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->seats[0].folder, "/d2");
  EXPECT_FALSE(plan->seats[0].usable);
  EXPECT_EQ(plan->seats[1].folder, "/d1");
}

TEST(DrivePlanTest, NothingIsFormattedUnlessAllAreEmpty) {
  const auto plan = plan_drives({empty(1), folder(2, fail(Errc::wrong_drive, "/d2: files of somebody else"))},
                                std::nullopt);
  ASSERT_TRUE(plan.failed_with(Errc::wrong_drive));
  EXPECT_THAT(plan.error().detail, HasSubstr("files of somebody else"));
}

TEST(DrivePlanTest, RefusesATieAnotherCountAndAnotherGeometry) {
  EXPECT_TRUE(plan_drives({holding(1, 0), holding(2, 1), holding(3, 2, 9), holding(4, 3, 9)}, std::nullopt)
                  .failed_with(Errc::wrong_drive));
  const auto fewer = plan_drives({holding(1, 0), holding(2, 1), holding(3, 2)}, std::nullopt);
  ASSERT_TRUE(fewer.failed_with(Errc::invalid_argument));
  EXPECT_THAT(fewer.error().detail, HasSubstr("has 4 drives, and 3 folders are given"));
  const auto other = plan_drives({holding(1, 0), holding(2, 1), holding(3, 2), holding(4, 3)},
                                 *erasure::make_geometry(3, 1));
  ASSERT_TRUE(other.failed_with(Errc::invalid_argument));
  EXPECT_THAT(other.error().detail, HasSubstr("formatted as 2+2"));
  EXPECT_TRUE(
      plan_drives({holding(1, 0), holding(2, 1), holding(3, 2), holding(4, 3)}, *erasure::make_geometry(2, 2))
          .has_value());
}

TEST(DrivePlanTest, DefaultGeometries) {
  const auto text = [](std::size_t n) {
    const erasure::Geometry g = default_geometry(n);
    return std::to_string(g.data_shards) + "+" + std::to_string(g.parity_shards);
  };
  EXPECT_EQ(text(1), "1+0");
  EXPECT_EQ(text(2), "1+1");
  EXPECT_EQ(text(6), "4+2");
  EXPECT_EQ(text(8), "4+4");
  EXPECT_EQ(text(40), "12+4");
}

// Two nodes with two drives each.
cluster::Topology two_nodes() {
  const disk::DriveFormat format = drive(0);
  cluster::Topology topology;
  topology.deployment = format.deployment;
  topology.data_shards = topology.parity_shards = 2;
  for (unsigned slot = 0; slot < 4; ++slot) {
    const cluster::NodeName node = slot < 2 ? "n1" : "n2";
    topology.slots.push_back({{node, 9000, "/d" + std::to_string(slot % 2 + 1)}, format.drives[slot]});
  }
  return topology;
}

TEST(NodePlanTest, TheNodesOwnFoldersAreSeatedAndTheOthersAreElsewhere) {
  const auto plan =
      plan_node_drives(two_nodes(), "n2", {holding(1, 2), holding(2, 3)}, {true, true, true, true});
  ASSERT_TRUE(plan.has_value()) << plan.error().detail;
  const auto& seats = plan->drives.seats;
  ASSERT_EQ(seats.size(), 4U);
  EXPECT_TRUE(seats[0].elsewhere && seats[1].elsewhere);
  EXPECT_EQ(seats[1].folder, "http://n1:9000/d2");
  EXPECT_TRUE(seats[2].usable && seats[3].usable);
  EXPECT_EQ(seats[3].folder, "/d2");
  EXPECT_TRUE(plan->new_slots.empty());
  EXPECT_EQ(plan->drives.format.drives, drive(0).drives);
  EXPECT_FALSE(plan->drives.fresh);
}

TEST(NodePlanTest, IdentityDecidesAmongTheFoldersOfTheNode) {
  const auto plan =
      plan_node_drives(two_nodes(), "n2", {holding(1, 3), holding(2, 2)}, {true, true, true, true});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->drives.seats[2].folder, "/d2");
  EXPECT_EQ(plan->drives.seats[3].folder, "/d1");
  EXPECT_THAT(plan->drives.notices.front(), HasSubstr("is named in place 4"));
}

TEST(NodePlanTest, OnlyADriveThatWasNeverInServiceIsFormatted) {
  const auto plan = plan_node_drives(two_nodes(), "n2", {empty(1), empty(2)}, {true, true, false, true});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->new_slots, std::vector<std::size_t>{2});
  EXPECT_TRUE(plan->drives.seats[3].awaited) << "it lost its data, or is not mounted";
  EXPECT_THAT(plan->drives.seats[3].problem, HasSubstr("/d2: it is empty, where a drive"));
}

TEST(NodePlanTest, AFolderThatCannotBeReadIsNotFormatted) {
  const auto plan = plan_node_drives(two_nodes(), "n2", {folder(1, fail(Errc::io, "/d1: broken")), empty(2)},
                                     {false, false, false, false});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->new_slots, std::vector<std::size_t>{3});
  EXPECT_FALSE(plan->drives.seats[2].usable);
}

TEST(NodePlanTest, RefusesTheDriveOfAnotherNode) {
  const auto plan =
      plan_node_drives(two_nodes(), "n2", {holding(1, 0), holding(2, 3)}, {true, true, true, true});
  ASSERT_TRUE(plan.failed_with(Errc::wrong_drive));
  EXPECT_THAT(plan.error().detail, HasSubstr("/d1: it holds the drive http://n1:9000/d1"));
}

// The place was given out again, but nobody emptied the folder.
TEST(NodePlanTest, ADriveThatWasRemovedIsNotTakenForTheNextOne) {
  cluster::Topology topology = two_nodes();
  topology.slots[2].state = cluster::SlotState::removed;
  topology.slots.push_back(topology.slots[2]);
  topology.slots[4].state = cluster::SlotState::in_service;
  topology.slots[4].id.bytes = {1, 5};
  const std::vector<bool> seen{true, true, true, true, false};
  const auto plan = plan_node_drives(topology, "n2", {holding(2, 3), holding(1, 2)}, seen);
  ASSERT_TRUE(plan.failed_with(Errc::wrong_drive));
  EXPECT_THAT(plan.error().detail, HasSubstr("/d1: it holds the drive http://n2:9000/d1, which was removed"));
  const auto emptied = plan_node_drives(topology, "n2", {holding(2, 3), empty(1)}, seen);
  ASSERT_TRUE(emptied.has_value()) << emptied.error().detail;
  EXPECT_EQ(emptied->new_slots, std::vector<std::size_t>{4});
}

}  // namespace
}  // namespace ostraka::cmd
