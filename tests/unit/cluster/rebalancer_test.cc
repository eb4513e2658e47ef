#include "cluster/rebalancer.h"

#include <gmock/gmock.h>

#include "cluster/drive_register.h"
#include "cluster/limits.h"
#include "tests/unit/cluster/rebalancer_world.h"

namespace ostraka::cluster {
namespace {

using ::testing::HasSubstr;

class RebalancerTest : public RebalancerWorld {
 protected:
  explicit RebalancerTest(std::size_t founded = 4) : RebalancerWorld(founded) {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(write("key" + std::to_string(i)));
  }
  Ctx ctx() { return Ctx{shard_, clock_.now() + std::chrono::seconds(1000), "test"}; }
  // Of the topology that came of it.
  using Revision = Result<std::uint64_t>;
  Revision drain(Rebalancer& by, std::vector<DriveUrl> drives, bool bears_less = false) {
    Ctx mine = ctx();
    return run_to_end(shard_, by.drain(mine, std::move(drives), bears_less));
  }
  Revision take_back(Rebalancer& by, std::vector<DriveUrl> drives) {
    Ctx mine = ctx();
    return run_to_end(shard_, by.take_back(mine, std::move(drives)));
  }
  Revision remove(Rebalancer& by, std::vector<DriveUrl> drives) {
    Ctx mine = ctx();
    return run_to_end(shard_, by.remove(mine, std::move(drives)));
  }
  Result<> pause(Rebalancer& by, bool paused) {
    Ctx mine = ctx();
    return run_to_end(shard_, by.pause(mine, paused));
  }
  static Task<> done_resting(std::uint64_t* bytes, std::uint64_t* looks, std::uint64_t n) {
    *bytes += n;
    *looks += n == 0 ? 1 : 0;
    co_return;
  }
  bool some_moved() const { return moves().slots_done > 0 && !moves().moves.empty(); }
};

class FullRebalancerTest : public RebalancerTest {
 protected:
  FullRebalancerTest() : RebalancerTest(6) {}
};

TEST_F(RebalancerTest, WhereNothingIsToBeDoneNothingIsDone) {
  Rebalancer& one = start("n1");
  Rebalancer& other = start("n2");
  const std::string before = table().to_json();
  ASSERT_TRUE(until_balanced(one));
  EXPECT_EQ(running_["n1"].election->stands_for, kRebalanceMatter);
  EXPECT_EQ(table().to_json(), before);
  EXPECT_EQ(control_.get(kMovesDocument), nullptr);
  EXPECT_EQ(other.status().state, RebalanceState::unknown) << "another leads";
}

TEST_F(RebalancerTest, ANewNodeGetsItsShare) {
  Rebalancer& one = start("n1");
  ASSERT_TRUE(until_balanced(one));
  add({4, 5});
  ASSERT_TRUE(until([&] { return one.status().state == RebalanceState::moving; }));
  ASSERT_TRUE(until_balanced(one)) << one.status().progress.problem;
  expect_even_over({0, 1, 2, 3, 4, 5});
  expect_all_there();
  const RebalanceStatus status = one.status();
  EXPECT_EQ(status.progress.slots_left, 0U);
  EXPECT_NEAR(static_cast<double>(status.progress.slots_done), 1024, 60) << "a third, and not more";
  EXPECT_EQ(status.progress.problem, "");
  EXPECT_THAT(metrics_.prometheus_text(), HasSubstr("ostraka_rebalance_slots_left 0"));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(write("key" + std::to_string(i)));
}

// Whoever waits for what was changed must not take it for what was before.
TEST_F(RebalancerTest, TheStateSaysWhichTopologyItIsAbout) {
  Rebalancer& one = start("n1");
  ASSERT_TRUE(until_balanced(one));
  RebalanceStatus status = one.status();
  EXPECT_EQ(status.topology, status.newest_topology);
  add({4, 5});
  const std::uint64_t added = control_.get(kTopologyDocument)->revision;
  status = one.status();
  EXPECT_EQ(status.state, RebalanceState::balanced) << "it has not been looked at yet";
  EXPECT_LT(status.topology, added);
  EXPECT_EQ(status.newest_topology, added);
  ASSERT_TRUE(until([&] { return one.status().topology == added; }));
  EXPECT_NE(one.status().state, RebalanceState::balanced);
  const Revision drained = drain(one, {url(4), url(5)}, true);
  ASSERT_TRUE(drained);
  EXPECT_EQ(*drained, control_.get(kTopologyDocument)->revision);
  ASSERT_TRUE(until([&] { return one.status().topology >= *drained && groups_on(4) + groups_on(5) == 0; }));
}

TEST_F(RebalancerTest, ANewDriveIsAwaited) {
  missing_ = {4, 5};
  Rebalancer& one = start("n1");
  add({4, 5});
  ASSERT_TRUE(until([&] { return one.status().state == RebalanceState::waiting; }));
  EXPECT_THAT(one.status().progress.problem, HasSubstr("http://n3:9000/d1 does not answer"));
  EXPECT_TRUE(moves().moves.empty());
  const RegisteredDrive seen;
  control_.set(std::string(kDriveRegister), encode_drive_register({seen, seen, seen, seen, seen}));
  missing_ = {5};
  ASSERT_TRUE(until([&] {
    return one.status().progress.problem.find("start n3 with it in its list of drives") != std::string::npos;
  })) << one.status().progress.problem;
  missing_.clear();
  ASSERT_TRUE(until_balanced(one));
  expect_even_over({0, 1, 2, 3, 4, 5});
}

TEST_F(FullRebalancerTest, ANodeIsDrainedAndRemoved) {
  Rebalancer& one = start("n1");
  Rebalancer& other = start("n2");
  ASSERT_TRUE(until_balanced(one));
  const std::vector<DriveUrl> drives = *drives_of_node(now(), "n3");
  EXPECT_TRUE(remove(other, drives).failed_with(Errc::conflict)) << "it is in service";
  const Revision unsafe = drain(other, drives);
  ASSERT_TRUE(unsafe.failed_with(Errc::conflict));
  EXPECT_THAT(unsafe.error().detail, HasSubstr("2 of the 3 shards"));
  ASSERT_TRUE(drain(other, drives, true)) << "any node may be asked";
  const Revision too_early = remove(other, drives);
  ASSERT_TRUE(too_early.failed_with(Errc::conflict));
  EXPECT_THAT(too_early.error().detail, HasSubstr("wait until it is drained"));
  ASSERT_TRUE(until([&] { return groups_on(4) + groups_on(5) == 0 && moves().moves.empty(); }));
  ASSERT_TRUE(until_balanced(one));
  expect_even_over({0, 1, 2, 3});
  expect_all_there();
  ASSERT_TRUE(remove(other, drives));
  EXPECT_EQ(now().nodes().size(), 2U);
  EXPECT_EQ(now().slots.size(), 6U) << "slots are never given out again";
  ASSERT_TRUE(until_balanced(one));
}

TEST_F(RebalancerTest, WhoeverLeadsNextGoesOn) {
  start("n1");
  add({4, 5});
  ASSERT_TRUE(until([&] { return some_moved(); }));
  stop("n1");
  const MoveDocument left = moves();
  ASSERT_FALSE(left.moves.empty());
  lead("n2");
  Rebalancer& two = start("n2");
  ASSERT_TRUE(until_balanced(two)) << two.status().progress.problem;
  expect_even_over({0, 1, 2, 3, 4, 5});
  expect_all_there();
  EXPECT_NEAR(static_cast<double>(moves().slots_done), 1024, 60) << "nothing was moved twice";
}

// Whoever lost the lead stops by itself.
TEST_F(RebalancerTest, TheLeadMayChangeInTheMiddle) {
  Rebalancer& one = start("n1");
  Rebalancer& two = start("n2");
  add({4, 5});
  ASSERT_TRUE(until([&] { return some_moved(); }));
  lead("n2");
  ASSERT_TRUE(until([&] { return one.status().state == RebalanceState::unknown; }));
  ASSERT_TRUE(until_balanced(two)) << two.status().progress.problem;
  expect_even_over({0, 1, 2, 3, 4, 5});
  expect_all_there();
}

// The dead leader's lease never ends here: who deposes it goes on, first with the groups that answer nowhere.
TEST_F(RebalancerTest, ALeaderThatDiesInAHandOverIsDeposed) {
  start("n1");
  add({4, 5});
  ASSERT_TRUE(kill_in_hand_over("n1"));
  const unsigned sealed = sealed_moves();
  ASSERT_GT(sealed, 0U);
  unsigned puts = 0;
  control_.on_put = [&puts](const std::string& name, const std::string&) {
    puts += name == kTable ? 1U : 0U;
  };
  start("n2");
  ASSERT_TRUE(until([&] { return puts == sealed; }));
  EXPECT_EQ(sealed_moves(), 0U);
  EXPECT_EQ(leader_, "n2");
  control_.on_put = nullptr;
  missing_.clear();  // it returns
  start("n1");
  ASSERT_TRUE(until_balanced(*running_["n2"].rebalancer));
  EXPECT_EQ(running_["n2"].election->depositions, 1);
  EXPECT_EQ(running_["n1"].election->depositions, 0) << "who leads now is there";
  expect_even_over({0, 1, 2, 3, 4, 5});
  expect_all_there();
}

// It may be alive, and out of the reach of one node alone.
TEST_F(RebalancerTest, ALeaderThatIsOutOfReachIsNotDeposedAgainAndAgain) {
  Rebalancer& one = start("n1");
  start("n2");
  missing_ = {0, 1};
  const TimePoint later = clock_.now() + std::chrono::seconds(5);
  ASSERT_TRUE(until([&] { return clock_.now() > later; }));
  ASSERT_EQ(running_["n2"].election->depositions, 0) << "nothing moves";
  missing_.clear();
  ASSERT_TRUE(pause(one, true));
  MoveDocument decided;
  decided.paused = true;
  decided.moves.emplace_back().spec = MoveSpec{Uuid{{1}}, id(2), id(3), {{1, 0}}};
  control_.set(std::string(kMovesDocument), encode_moves(decided));
  const TimePoint well = clock_.now() + std::chrono::seconds(5);
  ASSERT_TRUE(until([&] { return clock_.now() > well; }));
  ASSERT_EQ(running_["n2"].election->depositions, 0) << "it is there";
  missing_ = {0, 1};
  ASSERT_TRUE(until([&] { return running_["n2"].election->depositions == 1; }));
  lead("n1");
  const TimePoint again = clock_.now() + kLeaderTrust / 2;
  ASSERT_TRUE(until([&] { return clock_.now() > again; }));
  EXPECT_EQ(running_["n2"].election->depositions, 1);
  ASSERT_TRUE(until([&] { return running_["n2"].election->depositions == 2; }));
}

TEST_F(RebalancerTest, WhatFailsIsTriedAgainLater) {
  Rebalancer& one = start("n1");
  add({4, 5});
  ASSERT_TRUE(until([&] { return some_moved(); }));
  control_.fails = true;
  ASSERT_TRUE(until([&] { return one.status().state == RebalanceState::waiting; }));
  EXPECT_THAT(one.status().progress.problem, HasSubstr("the control store is away"));
  EXPECT_THAT(metrics_.prometheus_text(), HasSubstr("ostraka_rebalance_problem 1"));
  control_.fails = false;
  ASSERT_TRUE(until_balanced(one));
  expect_even_over({0, 1, 2, 3, 4, 5});
  expect_all_there();
}

TEST_F(RebalancerTest, ADrainCanBeTakenBack) {
  Rebalancer& one = start("n1");
  const std::vector<DriveUrl> drives{url(3)};
  ASSERT_TRUE(drain(one, drives));
  ASSERT_TRUE(until([&] { return some_moved(); }));
  ASSERT_TRUE(take_back(one, drives));
  EXPECT_EQ(now().slots[3].state, SlotState::in_service);
  ASSERT_TRUE(until([&] { return moves().moves.empty(); }));
  ASSERT_TRUE(until_balanced(one)) << one.status().progress.problem;
  expect_even_over({0, 1, 2, 3});
  expect_all_there();
}

// The three drives that stay have to take everything: with one of them away, some slots can go nowhere.
TEST_F(RebalancerTest, ADrainThatCannotEndSaysWhy) {
  Rebalancer& one = start("n1");
  ASSERT_TRUE(until_balanced(one));
  missing_ = {2};
  ASSERT_TRUE(drain(one, {url(3)}));
  ASSERT_TRUE(until([&] { return one.status().state == RebalanceState::waiting && moves().moves.empty(); }));
  EXPECT_THAT(one.status().progress.problem,
              HasSubstr("can be moved nowhere: http://n2:9000/d1 does not answer"));
  EXPECT_GT(groups_on(3), 0U);
  missing_.clear();
  ASSERT_TRUE(until([&] { return groups_on(3) == 0; })) << one.status().progress.problem;
  ASSERT_TRUE(until_balanced(one));
  expect_even_over({0, 1, 2});
}

TEST_F(RebalancerTest, NothingMovesWhileItIsPaused) {
  Rebalancer& one = start("n1");
  ASSERT_TRUE(pause(one, true));
  add({4, 5});
  ASSERT_TRUE(until([&] { return one.status().state == RebalanceState::paused; }));
  EXPECT_EQ(groups_on(4), 0U);
  ASSERT_TRUE(pause(one, false));
  ASSERT_TRUE(until([&] { return some_moved(); }));
  ASSERT_TRUE(pause(one, true));
  ASSERT_TRUE(until([&] { return one.status().state == RebalanceState::paused; }));
  const std::string before = table().to_json();
  ASSERT_FALSE(moves().moves.empty());
  const TimePoint later = clock_.now() + std::chrono::seconds(5);
  ASSERT_TRUE(until([&] { return clock_.now() > later; }));
  EXPECT_EQ(table().to_json(), before);
  ASSERT_TRUE(pause(one, false));
  ASSERT_TRUE(until_balanced(one));
  expect_even_over({0, 1, 2, 3, 4, 5});
  expect_all_there();
}

// Moves to a drive that is to go itself are given up.
TEST_F(RebalancerTest, WhatWasAddedMayBeDrainedAtOnce) {
  Rebalancer& one = start("n1");
  add({4, 5});
  ASSERT_TRUE(until([&] { return some_moved(); }));
  ASSERT_TRUE(drain(one, {url(4), url(5)}, true));
  ASSERT_TRUE(until([&] { return groups_on(4) + groups_on(5) == 0 && moves().moves.empty(); }))
      << one.status().progress.problem;
  ASSERT_TRUE(until_balanced(one));
  expect_even_over({0, 1, 2, 3});
  expect_all_there();
  EXPECT_TRUE(remove(one, {url(4), url(5)}));
}

TEST_F(RebalancerTest, WhatWasAddedByMistakeAndNeverCameMayGo) {
  missing_ = {4, 5};
  Rebalancer& one = start("n1");
  add({4, 5});
  EXPECT_TRUE(remove(one, {url(4), url(5)}).failed_with(Errc::conflict)) << "it is in service";
  ASSERT_TRUE(drain(one, {url(4), url(5)}, true));
  ASSERT_TRUE(remove(one, {url(4), url(5)}));
  EXPECT_EQ(now().nodes().size(), 2U);
  missing_ = {3};
  const Revision in_use = drain(one, {url(3)}, true);
  ASSERT_TRUE(in_use.failed_with(Errc::conflict));
  EXPECT_THAT(in_use.error().detail, HasSubstr("does not answer"));
}

TEST_F(RebalancerTest, TheNextNodeIsAddedWhenTheLastOneWasThere) {
  missing_ = {4, 5};
  Rebalancer& one = start("n1");
  add({4, 5});
  const std::vector<DriveUrl> next{{"n9", 9000, "/d1"}};
  const auto order = [&] {
    Ctx mine = ctx();
    return run_to_end(shard_, one.add(mine, next));
  };
  const Revision refused = order();
  ASSERT_TRUE(refused.failed_with(Errc::conflict));
  EXPECT_THAT(refused.error().detail, HasSubstr("n3 was added and has never been started"));
  const RegisteredDrive seen;
  control_.set(std::string(kDriveRegister), encode_drive_register({seen, seen, seen, seen, seen}));
  const Revision added = order();
  ASSERT_TRUE(added) << added.error().detail;
  EXPECT_EQ(now().slots.size(), 7U);
}

TEST_F(RebalancerTest, ItRestsForClients) {
  std::uint64_t bytes = 0, looks = 0;
  pace = [&bytes, &looks](std::uint64_t n) -> Task<> { return done_resting(&bytes, &looks, n); };
  Rebalancer& one = start("n1");
  add({4, 5});
  ASSERT_TRUE(until_balanced(one) && until([&] { return groups_on(4) > 0; }) && until_balanced(one));
  EXPECT_GT(bytes, 0U);
  EXPECT_GT(looks, 0U) << "also while nothing is moved";
}

}  // namespace
}  // namespace ostraka::cluster
