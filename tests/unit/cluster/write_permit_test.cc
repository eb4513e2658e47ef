// Who may write without a lease, and when nobody does any more who does not know a change.
#include "cluster/write_permit.h"

#include <gtest/gtest.h>

#include <set>

#include "cluster/limits.h"
#include "tests/unit/cluster/fake_membership.h"
#include "tests/unit/cluster/memory_transport.h"
#include "tests/unit/cluster/stepping.h"
#include "tests/unit/erasure/manual_clock.h"

namespace ostraka::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

struct PermitNode {
  PermitNode(MemoryNetwork& network, Clock& clock, Shard& shard, const NodeName& self,
             const std::vector<NodeName>& all)
      : name(self),
        transport(network.transport(self)),
        permit({*transport, membership, clock, shard, "process of " + self}, self, all) {}
  NodeName name;
  FakeMembership membership;
  std::unique_ptr<Transport> transport;
  WritePermit permit;
};

class WritePermitTest : public testing::Test {
 protected:
  WritePermitTest() {
    const std::vector<NodeName> all{"node1", "node2", "node3", "node4"};
    for (const NodeName& name : all) {
      nodes_.push_back(std::make_unique<PermitNode>(network_, clock_, shard_, name, all));
      network_.join(name, nodes_.back()->permit, shard_);
    }
    network_.follow([this](const NodeName& from, const NodeName& to, const PeerCall&) {
      CallFate fate;
      fate.delay = fate.answer_delay = milliseconds(1);
      fate.unreachable = cut_.contains(from) != cut_.contains(to);
      return fate;
    });
    for (auto& node : nodes_) {
      node->membership.known = 10;
      node->membership.lease = kNoDeadline;
      for (const NodeName& name : all) node->membership.put(name, 10);
      node->permit.start();
    }
    pass(seconds(1));
  }
  ~WritePermitTest() override {
    for (auto& node : nodes_) wait(done(node->permit.close()));
    wait(done(network_.close()));
  }
  PermitNode& node(std::size_t number) { return *nodes_[number - 1]; }

  // etcd loses the node, or the node etcd: its lease ends, and a moment later the others see it.
  void lose(std::size_t number) {
    node(number).membership.lease = clock_.now();
    pass(seconds(1));
    for (auto& other : nodes_)
      if (other->name != node(number).name) other->membership.remove(node(number).name);
  }
  // All but these hear of it and confirm.
  void change(std::uint64_t revision, const std::set<std::size_t>& but) {
    for (std::size_t hears = 1; hears <= 4; ++hears) {
      if (but.contains(hears)) continue;
      node(hears).membership.known = revision;
      for (auto& told : nodes_) told->membership.put(node(hears).name, revision);
    }
    for (const std::size_t gone : but)
      for (auto& told : nodes_) told->membership.remove(node(gone).name);
  }
  Result<> fence(std::size_t number, std::uint64_t revision, Duration within) {
    Ctx ctx{shard_, clock_.now() + within, "test"};
    return wait(node(number).permit.wait_until_known(ctx, revision));
  }

  void run_what_is_ready() { cluster::run_what_is_ready(shard_); }
  template <class T>
  T wait(Task<T> task) {
    return wait_stepping(clock_, shard_, std::move(task));
  }
  void pass(Duration time) { pass_time(clock_, shard_, time); }

  erasure::ManualClock clock_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}};
  MemoryNetwork network_;
  std::vector<std::unique_ptr<PermitNode>> nodes_;
  std::set<NodeName> cut_;  // from the others
};

TEST_F(WritePermitTest, ALeaseIsAPermitAndOutlivedByIt) {
  EXPECT_TRUE(node(1).permit.may_write());
  cut_ = {"node1"};
  node(1).membership.lease = clock_.now() + seconds(5);
  pass(seconds(5) + kWriteGrace - milliseconds(1));
  EXPECT_TRUE(node(1).permit.may_write());
  pass(milliseconds(1));
  EXPECT_FALSE(node(1).permit.may_write());
  node(1).membership.lease = clock_.now() + seconds(1);
  EXPECT_TRUE(node(1).permit.may_write());
}

// With the lease goes the time when it ended, and with that the grace: lease_until() of one that was given
// up.
TEST_F(WritePermitTest, BetweenLeaseAndPermitNoWriteIsRefused) {
  const TimePoint end = clock_.now() + seconds(9);
  node(1).membership.lease = end;
  while (clock_.now() < end + kPermitLife) {
    if (clock_.now() >= end) node(1).membership.lease = TimePoint::min();
    ASSERT_TRUE(node(1).permit.may_write()) << (clock_.now() - end).count();
    pass(milliseconds(10));
  }
}

TEST_F(WritePermitTest, WhoeverNeverHadALeaseMayNotWrite) {
  cut_ = {"node1"};
  node(1).membership.lease = TimePoint::min();
  pass(minutes(1));
  EXPECT_FALSE(node(1).permit.may_write());
}

TEST_F(WritePermitTest, WhoeverStartsWaitsForAPermit) {
  cut_ = {"node1"};
  node(1).membership.lease = TimePoint::min();
  const TimePoint begun = clock_.now();
  wait(done(node(1).permit.wait_for_one(begun + seconds(3))));
  EXPECT_EQ(clock_.now() - begun, seconds(3));
  cut_.clear();
  wait(done(node(1).permit.wait_for_one(begun + minutes(3))));
  EXPECT_TRUE(node(1).permit.may_write());
  EXPECT_LE(clock_.now() - begun, seconds(3) + kPermitPeriod + milliseconds(100));
}

TEST_F(WritePermitTest, AMajorityThatKnowsNoMoreIsAPermit) {
  lose(1);
  lose(2);
  lose(3);
  lose(4);
  pass(minutes(10));
  for (std::size_t i = 1; i <= 4; ++i) EXPECT_TRUE(node(i).permit.may_write()) << "etcd is away from all";
  cut_ = {"node1", "node2"};
  pass(kPermitLife);
  for (std::size_t i = 1; i <= 4; ++i) EXPECT_FALSE(node(i).permit.may_write()) << "two and two";
  cut_ = {"node1"};
  pass(kPermitPeriod);
  for (std::size_t i = 2; i <= 4; ++i) EXPECT_TRUE(node(i).permit.may_write());
  EXPECT_FALSE(node(1).permit.may_write());
}

TEST_F(WritePermitTest, AMajorityThatKnowsMoreIsNone) {
  lose(1);
  pass(minutes(1));
  EXPECT_TRUE(node(1).permit.may_write());
  change(11, {1});
  pass(kPermitLife);
  EXPECT_FALSE(node(1).permit.may_write());
  node(1).membership.known = 11;
  pass(kPermitPeriod);
  EXPECT_TRUE(node(1).permit.may_write());
}

TEST_F(WritePermitTest, MembersAreWaitedForAndNobodyElse) {
  change(11, {});
  const TimePoint begun = clock_.now();
  EXPECT_TRUE(fence(1, 11, seconds(30)));
  EXPECT_EQ(clock_.now(), begun);
  EXPECT_TRUE(fence(1, 12, seconds(30)).failed_with(Errc::deadline));
}

TEST_F(WritePermitTest, ANodeThatWentAwayIsWaitedFor) {
  pass(minutes(5));
  cut_ = {"node4"};
  lose(4);
  change(11, {4});
  EXPECT_TRUE(fence(1, 11, seconds(30)).failed_with(Errc::unavailable));
  const TimePoint begun = clock_.now();
  ASSERT_TRUE(fence(1, 11, minutes(3)));
  EXPECT_GT(clock_.now() - begun, kWriteGrace);
  EXPECT_LE(clock_.now() - begun, kWriteGrace + kWriteLife);
  EXPECT_FALSE(node(4).permit.may_write());
  const TimePoint later = clock_.now();
  change(12, {4});
  EXPECT_TRUE(fence(1, 12, seconds(30)));
  EXPECT_LE(clock_.now() - later, milliseconds(10)) << "it has been away for long";
}

// Only etcd is away from it: it goes on writing, and a change takes as long as that may last.
TEST_F(WritePermitTest, ANodeThatAskedForAPermitIsWaitedForFromThenOn) {
  lose(4);
  pass(minutes(10));
  ASSERT_TRUE(node(4).permit.may_write());
  change(11, {4});
  EXPECT_TRUE(fence(1, 11, seconds(30)).failed_with(Errc::unavailable));
  const TimePoint begun = clock_.now();
  Gate gate;
  std::optional<Result<>> fenced;
  Ctx ctx{shard_, clock_.now() + minutes(3), "test"};
  gate.spawn(shard_.executor(), keep(node(1).permit.wait_until_known(ctx, 11), &fenced));
  TimePoint last_write{};
  while (!fenced) {
    if (node(4).permit.may_write()) last_write = clock_.now();
    pass(milliseconds(100));
  }
  EXPECT_TRUE(fenced->has_value());
  EXPECT_GE(clock_.now() - last_write, kWriteLife) << "what it began last has ended";
  EXPECT_LE(clock_.now() - begun, kPermitLife + kWriteLife + seconds(1));
}

// It asks on, but has been told of a change that it does not know: it gets no more permits.
TEST_F(WritePermitTest, ANodeThatAsksInVainIsNotWaitedForLonger) {
  lose(4);
  pass(minutes(10));
  ASSERT_TRUE(node(4).permit.may_write());
  change(11, {4});
  EXPECT_TRUE(fence(1, 11, seconds(30)).failed_with(Errc::unavailable));
  change(12, {4});  // the mark is taken off again
  pass(kPermitLife + kWriteLife + seconds(1));
  EXPECT_FALSE(node(4).permit.may_write());
  change(13, {4});  // another try
  const TimePoint begun = clock_.now();
  EXPECT_TRUE(fence(1, 13, seconds(30)));
  EXPECT_LE(clock_.now() - begun, milliseconds(10));
  // One that does know them is given permits again, and is waited for.
  node(4).membership.known = 13;
  pass(seconds(5));
  ASSERT_TRUE(node(4).permit.may_write());
  change(14, {4});
  EXPECT_TRUE(fence(1, 14, seconds(30)).failed_with(Errc::unavailable));
}

TEST_F(WritePermitTest, AChangeThatNoMajorityKnowsIsNotWaitedFor) {
  pass(minutes(5));
  lose(2);
  lose(3);
  lose(4);
  change(11, {2, 3, 4});
  pass(minutes(5));
  EXPECT_TRUE(fence(1, 11, minutes(5)).failed_with(Errc::unavailable));
  EXPECT_TRUE(node(2).permit.may_write()) << "for these are the majority, and go on";
}

TEST_F(WritePermitTest, AfterAStartNothingIsKnownOfThoseThatAreAway) {
  lose(4);
  change(11, {4});
  EXPECT_TRUE(fence(1, 11, seconds(30)).failed_with(Errc::unavailable));
}

TEST_F(WritePermitTest, WhoIsDisplacedWritesNothingAndConfirmsNothing) {
  node(1).membership.lease = TimePoint::min();  // as it is then, and with it the grace
  pass(kPermitPeriod);
  ASSERT_TRUE(node(1).permit.may_write()) << "a majority knows no more";
  node(1).membership.is_displaced = true;
  EXPECT_FALSE(node(1).permit.may_write()) << "whatever it was permitted before";
  pass(kPermitLife);
  EXPECT_FALSE(node(1).permit.may_write());
  EXPECT_TRUE(fence(1, 10, seconds(30)).failed_with(Errc::unavailable));
  lose(2);
  cut_ = {"node3"};
  pass(kWriteGrace + kPermitLife);
  EXPECT_FALSE(node(2).permit.may_write()) << "nor does it count for others";
  cut_.clear();
  pass(kPermitLife);
  EXPECT_TRUE(node(2).permit.may_write());
  node(1).membership.is_displaced = false;
  EXPECT_FALSE(node(1).permit.may_write()) << "it did not ask either";
  pass(kPermitPeriod);
  EXPECT_TRUE(node(1).permit.may_write());
}

// Its peers know who has its name; it is cut off from etcd, and does not.
TEST_F(WritePermitTest, WhoseNameAnotherProcessHasGetsNoPermit) {
  lose(1);
  pass(minutes(10));
  ASSERT_TRUE(node(1).permit.may_write());
  for (std::size_t told = 2; told <= 4; ++told) node(told).membership.put("node1", 10, "another process");
  pass(kPermitLife);
  EXPECT_FALSE(node(1).permit.may_write());
  for (std::size_t told = 2; told <= 4; ++told) node(told).membership.put("node1", 10, "process of node1");
  pass(kPermitPeriod);
  EXPECT_TRUE(node(1).permit.may_write());
  for (std::size_t told = 2; told <= 4; ++told) node(told).membership.put("node1", 10);  // an older release
  pass(minutes(1));
  EXPECT_TRUE(node(1).permit.may_write());
}

TEST_F(WritePermitTest, OtherCallsAreRefused) {
  PeerCall call;
  call.method = "control.other";
  Ctx ctx{shard_, kNoDeadline, "test"};
  const NodeName from = "node2";
  EXPECT_TRUE(wait(node(1).permit.serve(ctx, from, call)).failed_with(Errc::unsupported_version));
  call.method = "control.revision";
  call.head = "\xff";
  EXPECT_TRUE(wait(node(1).permit.serve(ctx, from, call)).failed_with(Errc::malformed));
  call.head.clear();
  EXPECT_TRUE(wait(node(1).permit.serve(ctx, from, call)));
}

}  // namespace
}  // namespace ostraka::cluster
