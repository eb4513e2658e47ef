#include "admin/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ostraka::admin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<disk::DriveInfo> drives(unsigned n, std::initializer_list<unsigned> missing = {}) {
  std::vector<disk::DriveInfo> out(n);
  for (unsigned i = 0; i < n; ++i) {
    out[i].path = "/d" + std::to_string(i + 1);
    out[i].online = true;
  }
  for (const unsigned i : missing) out[i - 1].online = false;
  return out;
}

Layout one_set(unsigned k, unsigned m) {
  Layout layout{*erasure::make_geometry(k, m), {{}}};
  for (unsigned i = 0; i < k + m; ++i) layout.sets[0].push_back(static_cast<std::uint16_t>(i));
  return layout;
}

TEST(HealthTest, AllDrivesOnline) {
  const Assessment a = assess(one_set(4, 2), drives(6));
  EXPECT_EQ(a.health, Health::ok);
  EXPECT_EQ(a.online, 6U);
  EXPECT_EQ(a.write_spare, 2U);
  EXPECT_EQ(a.read_spare, 2U);
  EXPECT_EQ(a.sentence, "All 6 drives are online. Any 2 drives may be lost without losing an object.");
}

TEST(HealthTest, NamesTheMissingDrives) {
  const Assessment one = assess(one_set(4, 2), drives(6, {3}));
  EXPECT_EQ(one.health, Health::degraded);
  EXPECT_THAT(one.sentence, HasSubstr("1 of 6 drives is missing (/d3)"));
  EXPECT_THAT(one.sentence, HasSubstr("1 more drive may be lost"));
  const Assessment two = assess(one_set(4, 2), drives(6, {3, 5}));
  EXPECT_EQ(two.health, Health::degraded);
  EXPECT_THAT(two.sentence, HasSubstr("(/d3, /d5)"));
  EXPECT_THAT(two.sentence, HasSubstr("no further drive"));
}

TEST(HealthTest, WritesNeedMoreThanHalfOfTheNodes) {
  ClusterState cluster{.nodes = 7, .nodes_reached = 4};
  EXPECT_EQ(assess(one_set(4, 2), drives(6), cluster).health, Health::ok);
  cluster.nodes_reached = 3;
  const Assessment a = assess(one_set(4, 2), drives(6), cluster);
  EXPECT_EQ(a.health, Health::read_only);
  EXPECT_EQ(a.write_spare, 0U);
  EXPECT_EQ(a.sentence,
            "3 of 7 nodes answer: everything can be read, but writing needs more than half of them.");
  EXPECT_EQ(assess(one_set(4, 2), drives(6), {.nodes = 2, .nodes_reached = 1}).health, Health::read_only);
  EXPECT_EQ(assess(one_set(4, 2), drives(6, {1, 2, 3}), cluster).health, Health::unavailable) << "is worse";
}

TEST(HealthTest, ANodeThatMayNotWriteSaysSo) {
  const Assessment a = assess(one_set(4, 2), drives(6), {.nodes = 4, .nodes_reached = 4, .may_write = false});
  EXPECT_EQ(a.health, Health::read_only);
  EXPECT_THAT(a.sentence, HasSubstr("This node does not write"));
}

TEST(HealthTest, AFullDriveDegradesAndIsNamed) {
  std::vector<disk::DriveInfo> all = drives(6);
  for (disk::DriveInfo& drive : all) drive.total_bytes = drive.free_bytes = 1U << 30;
  EXPECT_EQ(assess(one_set(4, 2), all).health, Health::ok);
  all[1].free_bytes = 0;
  const Assessment a = assess(one_set(4, 2), all);
  EXPECT_EQ(a.health, Health::degraded);
  EXPECT_THAT(a.sentence, HasSubstr("1 drive is full (/d2)"));
  all[1].online = false;  // missing, and not full as well
  EXPECT_THAT(assess(one_set(4, 2), all).sentence, Not(HasSubstr("full")));
}

TEST(HealthTest, FullDrivesTakeNoWrites) {
  std::vector<disk::DriveInfo> all = drives(6);  // 4+2: w = 4
  for (disk::DriveInfo& drive : all) drive.total_bytes = drive.free_bytes = 1 << 30;
  const auto with_full = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) all[i].free_bytes = 0;
    return assess(one_set(4, 2), all);
  };
  EXPECT_EQ(with_full(0).write_spare, 2U);
  EXPECT_EQ(with_full(1).write_spare, 1U);
  const Assessment writes = with_full(2);
  EXPECT_EQ(writes.write_spare, 0U);
  EXPECT_THAT(writes.sentence, HasSubstr("what is written goes without them"));
  const Assessment none = with_full(3);
  EXPECT_EQ(none.health, Health::degraded) << "it still serves reads and deletes";
  EXPECT_EQ(none.write_spare, 0U);
  EXPECT_EQ(none.read_spare, 2U);
  EXPECT_THAT(none.sentence, HasSubstr("too few have room to write, objects can be read and deleted"));
}

TEST(HealthTest, WhatWaitsToBeHealedDegrades) {
  std::vector<disk::DriveInfo> all = drives(6);
  all[0].heal_queue = 60;
  all[5].heal_queue = 8;
  const Assessment a = assess(one_set(4, 2), all);
  EXPECT_EQ(a.health, Health::degraded);
  EXPECT_THAT(a.sentence, HasSubstr("At least 60 keys wait to be healed"));
}

TEST(HealthTest, TooFewToReadIsUnavailable) {
  const Assessment a = assess(one_set(4, 2), drives(6, {1, 2, 3}));
  EXPECT_EQ(a.health, Health::unavailable);
  EXPECT_EQ(a.write_spare, 0U);
}

TEST(HealthTest, TooFewToWriteMayStillRead) {
  // 2+2: w = 3, r = 2
  EXPECT_EQ(assess(one_set(2, 2), drives(4, {1})).health, Health::degraded);
  EXPECT_EQ(assess(one_set(2, 2), drives(4, {1, 2})).health, Health::read_only);
  EXPECT_EQ(assess(one_set(2, 2), drives(4, {1, 2, 3})).health, Health::unavailable);
}

TEST(HealthTest, AfterFourNamesTheRestIsCounted) {
  const Assessment a = assess(one_set(4, 4), drives(8, {1, 2, 3, 4}));
  EXPECT_THAT(a.sentence, HasSubstr("/d1, /d2, /d3 and 1 more"));
  EXPECT_THAT(a.sentence, Not(HasSubstr("/d4")));
}

TEST(HealthTest, TheWorstSetDecides) {
  Layout layout{*erasure::make_geometry(2, 1), {{0, 1, 2}, {3, 4, 5}}};
  EXPECT_EQ(assess(layout, drives(6, {1, 4})).health, Health::degraded);
  EXPECT_EQ(assess(layout, drives(6, {1, 2})).health, Health::unavailable);
}

TEST(HealthTest, ASingleDriveSaysThatThereIsNoParity) {
  const Assessment a = assess(one_set(1, 0), drives(1));
  EXPECT_EQ(a.health, Health::ok);
  EXPECT_THAT(a.sentence, HasSubstr("no parity"));
}

}  // namespace
}  // namespace ostraka::admin
