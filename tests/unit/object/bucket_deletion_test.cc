// The deletion of a bucket where there are several nodes: two stores of buckets over one control store.
#include <gtest/gtest.h>

#include "object/bucket_store.h"
#include "tests/unit/cluster/fake_membership.h"
#include "tests/unit/erasure/manual_clock.h"
#include "world.h"

namespace ostraka::object {
namespace {

class FakeFence final : public control::WriteFence {
 public:
  bool may_write() const noexcept override { return permitted; }
  Task<Result<>> wait_until_known(Ctx&, std::uint64_t revision) override {
    asked.push_back(revision);
    if (meanwhile) meanwhile();
    co_return outcome;
  }
  bool permitted = true;
  Result<> outcome;
  std::vector<std::uint64_t> asked;
  std::function<void()> meanwhile;
};

// One node's view.
struct Node {
  Node(control::ControlStore& control, Clock& clock, Random& random, const std::string& self)
      : buckets(control, clock, random, "region", BucketCluster{&membership, &fence, self}) {
    membership.put("node1", 1);
    membership.put("node2", 1);
  }
  cluster::FakeMembership membership;
  FakeFence fence;
  BucketStore buckets;
};

class BucketDeletion : public ControlWorld, public testing::Test {
 protected:
  BucketDeletion() {
    EXPECT_TRUE(run(one_.buckets.create(ctx(), BucketName("photos"), "me", "")).has_value());
  }
  static BucketPtr bucket(const Node& node) { return *node.buckets.find(BucketName("photos")); }
  static Result<BucketGate::Pass> enter(const Node& node) { return bucket(node)->gate->enter(); }
  Result<BucketStore::Removal> begin(Node& node) {
    return run(node.buckets.begin_removal(ctx(), bucket(node)));
  }
  static Task<bool> done(Task<> task) {
    co_await std::move(task);
    co_return true;
  }

  Node one_{control(), clock(), random(), "node1"}, two_{control(), clock(), random(), "node2"};
};

TEST_F(BucketDeletion, ANewBucketIsMadeKnownFirstAndMadeInAnyCase) {
  EXPECT_EQ(one_.membership.asked, std::vector<std::uint64_t>{bucket(one_)->revision})
      << "node2 has never said that it knows it";
}

TEST_F(BucketDeletion, TheMarkClosesTheGateOnAllNodes) {
  EXPECT_TRUE(enter(two_).has_value());
  ASSERT_TRUE(run(bucket(one_)->gate->close()).has_value());
  auto removal = begin(one_);
  ASSERT_TRUE(removal.has_value());
  EXPECT_EQ(one_.fence.asked, std::vector<std::uint64_t>{removal->bucket->revision});
  EXPECT_EQ(bucket(two_)->deleting->node, "node1");
  EXPECT_TRUE(enter(two_).failed_with(Errc::unavailable));
  EXPECT_TRUE(begin(two_).failed_with(Errc::conflict)) << "one at a time";
  EXPECT_TRUE(
      run(two_.buckets.create(ctx(), BucketName("photos"), "me", "")).failed_with(Errc::bucket_exists));
  ASSERT_TRUE(run(one_.buckets.remove(ctx(), removal->bucket)).has_value());
  EXPECT_TRUE(two_.buckets.find(BucketName("photos")).failed_with(Errc::no_such_bucket));
}

TEST_F(BucketDeletion, TheMarkIsNotConfirmedAsLongAsSomebodyIsInside) {
  auto first = std::make_unique<Result<BucketGate::Pass>>(enter(two_));
  auto second = std::make_unique<Result<BucketGate::Pass>>(enter(two_));
  const auto gate = bucket(two_)->gate;
  auto removal = begin(one_);
  ASSERT_TRUE(removal.has_value());
  const std::uint64_t revision = removal->bucket->revision;
  EXPECT_TRUE(one_.membership.holds.empty());
  EXPECT_EQ(two_.membership.holds, std::multiset<std::uint64_t>{revision});
  first.reset();
  EXPECT_EQ(two_.membership.holds.size(), 1U);
  second.reset();
  EXPECT_TRUE(two_.membership.holds.empty());
}

TEST_F(BucketDeletion, WhatIsNotRemovedIsOpenAgain) {
  auto removal = begin(one_);
  ASSERT_TRUE(removal.has_value());
  run(done(one_.buckets.give_up_removal(ctx(), removal->bucket)));
  EXPECT_FALSE(bucket(two_)->deleting);
  EXPECT_TRUE(enter(one_).has_value());
  EXPECT_TRUE(enter(two_).has_value());
  EXPECT_TRUE(begin(two_).has_value()) << "and may be deleted by another";
}

TEST_F(BucketDeletion, WhoeverCannotBeWaitedForKeepsTheBucket) {
  one_.fence.outcome = fail(Errc::unavailable, "a node is away");
  EXPECT_TRUE(begin(one_).failed_with(Errc::unavailable));
  EXPECT_FALSE(bucket(one_)->deleting);
  EXPECT_TRUE(enter(two_).has_value());
}

TEST_F(BucketDeletion, TheMarkOfALostNodeIsTakenOff) {
  auto removal = begin(one_);
  ASSERT_TRUE(removal.has_value());
  run(done(two_.buckets.take_off_marks(ctx())));
  EXPECT_TRUE(bucket(two_)->deleting) << "node1 is there, and at it";
  run(done(one_.buckets.take_off_marks(ctx())));
  EXPECT_TRUE(bucket(two_)->deleting);
  two_.membership.remove("node1");
  run(done(two_.buckets.take_off_marks(ctx())));
  EXPECT_FALSE(bucket(two_)->deleting);
  EXPECT_TRUE(enter(two_).has_value());
  // It was but away, and goes on: nothing that was written meanwhile is lost.
  EXPECT_TRUE(run(one_.buckets.remove(ctx(), removal->bucket)).failed_with(Errc::conflict));
  EXPECT_TRUE(two_.buckets.find(BucketName("photos")).has_value());
}

TEST_F(BucketDeletion, ANodeThatStartsAgainTakesItsOwnMarkOff) {
  auto removal = begin(one_);
  ASSERT_TRUE(removal.has_value());
  Node again(control(), clock(), random(), "node1");
  EXPECT_TRUE(enter(again).failed_with(Errc::unavailable));
  run(done(again.buckets.take_off_marks(ctx())));
  EXPECT_TRUE(enter(again).has_value());
  EXPECT_TRUE(enter(two_).has_value());
}

TEST_F(BucketDeletion, AnotherDeletionTakesTheMarkOver) {
  auto removal = begin(one_);
  ASSERT_TRUE(removal.has_value());
  two_.membership.remove("node1");
  auto over = begin(two_);
  ASSERT_TRUE(over.has_value());
  EXPECT_EQ(bucket(one_)->deleting->node, "node2");
  EXPECT_TRUE(run(one_.buckets.remove(ctx(), removal->bucket)).failed_with(Errc::conflict));
  EXPECT_TRUE(run(two_.buckets.remove(ctx(), over->bucket)).has_value());
}

TEST_F(BucketDeletion, MarksAreTakenOffWithoutBeingAsked) {
  erasure::ManualClock manual;
  Node three(control(), manual, random(), "node3");
  {
    const auto left_behind = begin(one_);
  }
  three.buckets.start(shard());
  turn();
  EXPECT_TRUE(manual.step());
  turn();
  EXPECT_TRUE(bucket(two_)->deleting) << "node1 is there";
  three.membership.remove("node1");
  EXPECT_TRUE(manual.step());
  turn();
  EXPECT_FALSE(bucket(two_)->deleting);
  run(done(three.buckets.close()));
}

TEST_F(BucketDeletion, ANodeWithoutAPermitWritesNowhere) {
  two_.fence.permitted = false;
  EXPECT_TRUE(enter(two_).failed_with(Errc::unavailable));
  EXPECT_TRUE(enter(one_).has_value());
  two_.fence.permitted = true;
  EXPECT_TRUE(enter(two_).has_value());
}

TEST_F(BucketDeletion, ADeletionInDoubtIsDecidedByTheDocument) {
  auto removal = begin(one_);
  ASSERT_TRUE(removal.has_value());
  const auto gate = bucket(one_)->gate;
  ASSERT_TRUE(run(gate->close()).has_value());
  gate->set_doubt();
  EXPECT_TRUE(enter(one_).failed_with(Errc::unavailable));
  run(done(one_.buckets.give_up_removal(ctx(), removal->bucket)));
  EXPECT_TRUE(enter(one_).has_value());
}

TEST_F(BucketDeletion, OneNodeAloneWritesNoMark) {
  const auto before = buckets().find(BucketName("photos"));
  ASSERT_TRUE(before.has_value());
  const auto removal = run(buckets().begin_removal(ctx(), *before));
  ASSERT_TRUE(removal.has_value());
  EXPECT_EQ(removal->bucket, *before);
  EXPECT_EQ((*buckets().find(BucketName("photos")))->revision, (*before)->revision);
}

TEST(DeletionMarks, RoundTripAndBadOnes) {
  BucketInfo info;
  info.name = BucketName("photos");
  info.id = BucketId{7};
  info.settings = "{}";
  const DeletionMark mark{"node1", "0123456789abcdef"};
  const std::string text = encode_bucket(info, mark);
  EXPECT_EQ(
      text,
      R"({"created":0,"deleting":{"attempt":"0123456789abcdef","node":"node1"},"id":"0000000000000007",)"
      R"("owner":"","region":"","settings":"{}","version":1})");
  EXPECT_TRUE(decode_bucket("photos", text).has_value());
  EXPECT_EQ(*decode_deletion(text), mark);
  EXPECT_EQ(*decode_deletion(encode_bucket(info)), std::nullopt);
  for (const char* bad : {R"({"deleting":1})", R"({"deleting":{}})", R"({"deleting":{"node":"a"}})",
                          R"({"deleting":{"node":"a","attempt":1}})"})
    EXPECT_TRUE(decode_deletion(bad).failed_with(Errc::corrupt)) << bad;
}

}  // namespace
}  // namespace ostraka::object
