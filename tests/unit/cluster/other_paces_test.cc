#include "cluster/other_paces.h"

#include <gtest/gtest.h>

#include <map>

#include "cluster/drive_service.h"
#include "cluster/limits.h"
#include "cluster/move_message.h"
#include "runtime/random.h"
#include "tests/unit/cluster/memory_transport.h"
#include "tests/unit/cluster/stepping.h"

namespace ostraka::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(PaceMessage, WhatIsNotOneIsRefused) {
  const auto question = take_pace_question(put_pace_question({123, true}));
  ASSERT_TRUE(question.has_value());
  EXPECT_EQ(question->work, 123U);
  EXPECT_TRUE(question->resting);
  EXPECT_EQ(*take_pace_answer(put_pace_answer(0.25)), 0.25);
  EXPECT_EQ(*take_pace_answer(put_pace_answer(7)), 1) << "there is no more than all of the time";
  EXPECT_TRUE(take_pace_question("\xff").failed_with(Errc::malformed));
  EXPECT_TRUE(take_pace_answer("\xff").failed_with(Errc::malformed));
  EXPECT_TRUE(take_pace_answer("\x08\xe9\x07").failed_with(Errc::malformed)) << "1001 thousandths";
}

// A node that moves, and two others.
class OtherPacesTest : public ::testing::Test {
 protected:
  struct Node {
    double share = 1;
    std::uint64_t work = 0;
    int asked = 0, resting = 0;
    std::unique_ptr<DriveService> service;
  };
  OtherPacesTest() {
    for (const NodeName& name : names_) {
      Node& node = nodes_[name];
      DriveServiceDeps deps{clock_, random_, shard_};
      deps.move_pace = [&node](std::uint64_t work, bool resting) {
        node.work += work;
        ++node.asked;
        node.resting += resting ? 1 : 0;
        return node.share;
      };
      node.service = std::make_unique<DriveService>(deps, std::vector<disk::Drive*>());
      network_.join(name, *node.service, shard_);
    }
    paces_.start(shard_);
  }
  ~OtherPacesTest() override {
    wait_stepping(clock_, shard_, done(paces_.close()));
    wait_stepping(clock_, shard_, done(network_.close()));
    for (auto& [name, node] : nodes_) wait_stepping(clock_, shard_, done(node.service->close()));
  }
  double after_asking(double work, bool resting = false) {
    paces_.ask(work, resting);
    run_what_is_ready(shard_);
    return paces_.share();
  }

  erasure::ManualClock clock_;
  SystemRandom random_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}};
  std::vector<NodeName> names_{"n2", "n3"};
  std::map<NodeName, Node> nodes_;
  MemoryNetwork network_;
  std::unique_ptr<Transport> transport_ = network_.transport("n1");
  OtherPaces paces_{*transport_, clock_, [this] { return names_; }};
};

TEST_F(OtherPacesTest, TheLeastCounts) {
  EXPECT_EQ(paces_.share(), 1) << "nobody was asked";
  nodes_["n2"].share = 0.5;
  nodes_["n3"].share = 0.25;
  EXPECT_EQ(after_asking(0), 0.25);
  nodes_["n3"].share = 0.75;
  EXPECT_EQ(after_asking(0), 0.25) << "it has just been asked";
  pass_time(clock_, shard_, kMovePaceEvery);
  EXPECT_EQ(after_asking(0), 0.5);
  names_.erase(names_.begin());
  pass_time(clock_, shard_, kMovePaceEvery);
  EXPECT_EQ(after_asking(0), 0.75) << "n2 is a member no more";
}

TEST_F(OtherPacesTest, TheyHearWhatWasDoneAndThatAllRest) {
  after_asking(1000);
  EXPECT_EQ(nodes_["n2"].work, 0U) << "before it was asked for the first time";
  pass_time(clock_, shard_, kMovePaceEvery);
  after_asking(1700);
  EXPECT_EQ(nodes_["n2"].work, 700U);
  after_asking(1700, true);
  EXPECT_EQ(nodes_["n2"].resting, 1) << "that is told at once";
  EXPECT_EQ(nodes_["n2"].work, 700U);
  EXPECT_EQ(nodes_["n3"].asked, 3);
}

TEST_F(OtherPacesTest, WhoIsNotHeardOfAnyMoreDoesNotCount) {
  nodes_["n2"].share = 0.5;
  nodes_["n3"].share = 0.25;
  EXPECT_EQ(after_asking(0), 0.25);
  network_.follow([](const NodeName&, const NodeName& to, const PeerCall&) {
    CallFate fate;
    fate.call_lost = to == "n3";
    return fate;
  });
  for (Duration passed{0}; passed < kMovePaceLife; passed += kMovePaceEvery) {
    EXPECT_EQ(after_asking(0), 0.25) << "what it said last";
    pass_time(clock_, shard_, kMovePaceEvery);
  }
  EXPECT_EQ(after_asking(0), 0.5);
  EXPECT_EQ(nodes_["n3"].asked, 1);
  network_.follow({});
  pass_time(clock_, shard_, kMovePaceCall);
  EXPECT_EQ(after_asking(0), 0.25);
}

TEST_F(OtherPacesTest, ManyAreAskedInTurn) {
  names_.clear();
  for (std::size_t i = 0; i < kMovePaceNodes + 1; ++i) names_.push_back("far" + std::to_string(i));
  names_.push_back("n2");
  after_asking(0);
  EXPECT_EQ(nodes_["n2"].asked, 0);
  pass_time(clock_, shard_, kMovePaceEvery);
  after_asking(0);
  EXPECT_EQ(nodes_["n2"].asked, 1);
}

}  // namespace
}  // namespace ostraka::cluster
