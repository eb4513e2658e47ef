#include "cluster/topology_change.h"

#include <gmock/gmock.h>

#include "runtime/random.h"
#include "tests/unit/cluster/fake_membership.h"
#include "tests/unit/cluster/move_world.h"

namespace ostraka::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Nodes of two drives each.
std::vector<DriveUrl> drives_on(unsigned first, unsigned last) {
  std::vector<DriveUrl> out;
  for (unsigned node = first; node <= last; ++node)
    for (unsigned drive = 1; drive <= 2; ++drive)
      out.push_back({"n" + std::to_string(node), 9000, "/d" + std::to_string(drive)});
  return out;
}

class TopologyChangeTest : public ::testing::Test {
 protected:
  void all_well() { looks_.assign(topology_.slots.size(), DriveLook{true, 1000, 100}); }
  Result<Topology> drain(const std::vector<DriveUrl>& drives, bool bears_less = false) {
    return drain_drives(topology_, drives, looks_, bears_less);
  }
  static std::string why(const Result<Topology>& refused, Errc code = Errc::conflict) {
    EXPECT_TRUE(refused.failed_with(code));
    return refused ? "" : refused.error().detail;
  }

  SystemRandom random_;
  Topology topology_ = make_topology(random_, 1, drives_on(1, 5), 6, 2);
  std::vector<DriveLook> looks_{10, DriveLook{true, 1000, 100}};
};

TEST_F(TopologyChangeTest, DrivesAreAddedBehindTheOthers) {
  const auto after = add_drives(topology_, drives_on(6, 6), random_);
  ASSERT_TRUE(after.has_value()) << after.error().detail;
  ASSERT_EQ(after->slots.size(), 12U);
  for (std::size_t slot = 0; slot < 10; ++slot) EXPECT_EQ(after->slots[slot].id, topology_.slots[slot].id);
  EXPECT_TRUE(after->slots[10].added && after->slots[11].added);
  EXPECT_NE(after->slots[10].id, after->slots[11].id);
  EXPECT_EQ(after->slots[11].url, (DriveUrl{"n6", 9000, "/d2"}));
  EXPECT_TRUE(add_drives(topology_, {{"n1", 9000, "/d3"}}, random_).has_value());
}

TEST_F(TopologyChangeTest, WhatCannotBeAddedIsRefusedWithTheReason) {
  EXPECT_THAT(why(add_drives(topology_, drives_on(6, 7), random_), Errc::invalid_argument),
              HasSubstr("one node at a time"));
  EXPECT_THAT(why(add_drives(topology_, {{"n1", 9000, "/d1"}}, random_)),
              HasSubstr("is a drive of the cluster already"));
  EXPECT_THAT(why(add_drives(topology_, {{"n1", 9001, "/d3"}}, random_), Errc::invalid_argument),
              HasSubstr("n1 is on port 9000"));
  EXPECT_TRUE(add_drives(topology_, {}, random_).failed_with(Errc::invalid_argument));
}

TEST_F(TopologyChangeTest, NodesAreAddedOneAtATime) {
  DriveRegister known(10, RegisteredDrive{});
  EXPECT_TRUE(check_all_started(topology_, {}, drives_on(6, 6))) << "founders never count as added";
  topology_ = *add_drives(topology_, drives_on(6, 6), random_);
  const auto second = [&] { return check_all_started(topology_, known, drives_on(7, 7)); };
  const auto refused = second();
  ASSERT_TRUE(refused.failed_with(Errc::conflict));
  EXPECT_THAT(refused.error().detail, HasSubstr("n6 was added and has never been started"));
  EXPECT_THAT(refused.error().detail, HasSubstr("start n6, then add n7"));
  EXPECT_TRUE(check_all_started(topology_, known, {{"n6", 9000, "/d3"}})) << "it is no further node";
  EXPECT_TRUE(check_all_started(topology_, known, {{"n1", 9000, "/d3"}}));
  known.resize(12);
  EXPECT_TRUE(second().failed_with(Errc::conflict)) << "known, and not there";
  known[11] = RegisteredDrive{};
  EXPECT_TRUE(second()) << "one of its drives was seen";
  known.resize(10);
  topology_.slots[10].state = topology_.slots[11].state = SlotState::draining;
  EXPECT_TRUE(second().failed_with(Errc::conflict)) << "it counts until it is removed";
  topology_.slots[10].state = topology_.slots[11].state = SlotState::removed;
  EXPECT_TRUE(second());
}

TEST_F(TopologyChangeTest, ANodeDrains) {
  const auto after = drain(drives_on(5, 5));
  ASSERT_TRUE(after.has_value()) << after.error().detail;
  EXPECT_EQ(after->slots[8].state, SlotState::draining);
  EXPECT_EQ(after->slots[9].state, SlotState::draining);
  topology_ = *after;
  const auto again = drain(drives_on(5, 5));
  ASSERT_TRUE(again.has_value()) << "it does already";
  EXPECT_EQ(encode_topology(*again), encode_topology(*after));
  EXPECT_THAT(why(add_drives(topology_, drives_on(5, 5), random_)), HasSubstr("drain --cancel"));
  const auto back = take_drives_back(topology_, drives_on(5, 5));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->slots[8].state, SlotState::in_service);
}

TEST_F(TopologyChangeTest, WhatCannotDrainIsRefusedWithTheReason) {
  auto three = drives_on(5, 5);
  three.push_back({"n1", 9000, "/d1"});
  EXPECT_THAT(why(drain(three)), HasSubstr("7 drives would stay, and objects of 6+2 need 8"));
  EXPECT_THAT(why(drain({{"n9", 9000, "/d1"}}), Errc::not_found),
              HasSubstr("has no drive http://n9:9000/d1"));
  looks_[8].online = false;
  EXPECT_THAT(why(drain(drives_on(5, 5))), HasSubstr("http://n5:9000/d1 does not answer"));
  looks_[8].unused = true;
  EXPECT_TRUE(drain(drives_on(5, 5)).has_value()) << "added by mistake, and never there";
  all_well();
  for (DriveLook& look : looks_) look.used_bytes = 900;
  EXPECT_THAT(why(drain(drives_on(5, 5))), HasSubstr("add drives first"));
  EXPECT_TRUE(drain(drives_on(5, 5), true).has_value());
  looks_[0].total_bytes = 0;
  EXPECT_TRUE(drain(drives_on(5, 5)).has_value()) << "nobody can say whether it is too little";
}

// Of 12 drives on 4 nodes 9 on 3 would stay: three of the eight shards on each.
TEST_F(TopologyChangeTest, ParityIsKept) {
  auto drives = drives_on(1, 4);
  for (unsigned node = 1; node <= 4; ++node) drives.push_back({"n" + std::to_string(node), 9000, "/d3"});
  topology_ = make_topology(random_, 1, drives, 6, 2);
  all_well();
  const auto node = drives_of_node(topology_, "n4");
  ASSERT_EQ(node->size(), 3U);
  EXPECT_THAT(why(drain(*node)), HasSubstr("3 of the 8 shards"));
  EXPECT_TRUE(drain(*node, true).has_value());
  EXPECT_TRUE(drain({node->front()}).has_value());
  EXPECT_TRUE(drives_of_node(topology_, "n5").failed_with(Errc::not_found));
}

TEST_F(TopologyChangeTest, OnlyWhatHoldsNothingIsRemoved) {
  std::vector<PlacementDrive> on;
  for (const Topology::Slot& slot : topology_.slots) on.push_back({slot.id, slot.url.node});
  const Placement full = Placement::make(topology_.deployment, on, 8, 2);
  on.resize(8);
  const Placement empty = Placement::make(topology_.deployment, on, 8, 2);
  const auto node = drives_on(5, 5);
  MoveDocument moves;
  EXPECT_THAT(why(remove_drives(topology_, node, empty, moves)), HasSubstr("drain it first"));
  topology_ = *drain(node);
  EXPECT_THAT(why(remove_drives(topology_, node, full, moves)), HasSubstr("still holds shards of"));
  moves.moves.emplace_back().spec.from = topology_.slots[9].id;
  EXPECT_THAT(why(remove_drives(topology_, node, empty, moves)), HasSubstr("being cleaned up"));
  moves.moves.clear();
  const auto removed = remove_drives(topology_, node, empty, moves);
  ASSERT_TRUE(removed.has_value()) << removed.error().detail;
  EXPECT_THAT(removed->nodes(), ElementsAre("n1", "n2", "n3", "n4"));
  EXPECT_THAT(why(take_drives_back(*removed, node), Errc::not_found), HasSubstr("was removed"));
  const auto again = add_drives(*removed, node, random_);
  ASSERT_TRUE(again.has_value()) << again.error().detail;
  EXPECT_EQ(again->slots.size(), 12U) << "the place is given out again, the slot is not";
  EXPECT_EQ(again->slot_at(node[0]), 10U);
}

// A majority of five nodes and one of three need not meet.
TEST_F(TopologyChangeTest, NodesAreRemovedOneAtATime) {
  std::vector<PlacementDrive> on;
  for (const Topology::Slot& slot : topology_.slots) on.push_back({slot.id, slot.url.node});
  topology_.data_shards = 4;
  topology_ = *drain(drives_on(4, 5), true);
  on.resize(6);
  const Placement empty = Placement::make(topology_.deployment, on, 6, 2);
  EXPECT_THAT(why(remove_drives(topology_, drives_on(4, 5), empty, {})), HasSubstr("one node at a time"));
  const auto removed = remove_drives(topology_, drives_on(4, 4), empty, {});
  ASSERT_TRUE(removed.has_value()) << removed.error().detail;
  EXPECT_TRUE(remove_drives(*removed, drives_on(5, 5), empty, {}).has_value());
}

class TopologyPutTest : public TopologyChangeTest {
 protected:
  TopologyPutTest() { control_.set(std::string(kTopologyDocument), encode_topology(topology_)); }
  Result<std::uint64_t> add_node() {
    Ctx ctx{shard_, kNoDeadline, "test"};
    auto change = [this](const Topology& before) {
      ++changes_;
      return add_drives(before, drives_on(6, 6), random_);
    };
    return run_to_end(shard_, change_topology(control_, membership_, ctx, change));
  }
  Topology now() const { return *decode_topology(control_.get(kTopologyDocument)->content); }

  SystemClock clock_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1}};
  MemoryControlStore control_;
  FakeMembership membership_;
  int changes_ = 0;
};

TEST_F(TopologyPutTest, WaitsUntilEveryoneKnowsTheLastChange) {
  membership_.put("n2", 0);
  const auto early = add_node();
  ASSERT_TRUE(early.failed_with(Errc::unavailable));
  EXPECT_THAT(early.error().detail, HasSubstr("not every node knows"));
  EXPECT_EQ(now().slots.size(), 10U);
  membership_.put("n2", control_.get(kTopologyDocument)->revision);
  const auto added = add_node();
  ASSERT_TRUE(added.has_value()) << added.error().detail;
  EXPECT_EQ(*added, control_.get(kTopologyDocument)->revision);
  EXPECT_EQ(now().slots.size(), 12U);
}

// A node that has not heard of a drain yet is asked to take it back.
TEST_F(TopologyPutTest, NothingToDoIsSaidOfTheNewestTopologyOnly) {
  control_.before_put = [this] {
    control_.set(std::string(kTopologyDocument), encode_topology(*drain(drives_on(5, 5))));
  };
  Ctx ctx{shard_, kNoDeadline, "test"};
  auto change = [this](const Topology& before) { return take_drives_back(before, drives_on(5, 5)); };
  const auto done = run_to_end(shard_, change_topology(control_, membership_, ctx, change));
  ASSERT_TRUE(done.has_value()) << done.error().detail;
  EXPECT_EQ(now().slots[9].state, SlotState::in_service);
  EXPECT_EQ(*done, control_.get(kTopologyDocument)->revision);
}

TEST_F(TopologyPutTest, WhatSomebodyElseChangedMeanwhileIsNotLost) {
  control_.before_put = [this] {
    control_.set(std::string(kTopologyDocument), encode_topology(*drain(drives_on(5, 5))));
  };
  ASSERT_TRUE(add_node().has_value());
  EXPECT_EQ(changes_, 4);
  EXPECT_EQ(now().slots.size(), 12U);
  EXPECT_EQ(now().slots[9].state, SlotState::draining);
}

}  // namespace
}  // namespace ostraka::cluster
