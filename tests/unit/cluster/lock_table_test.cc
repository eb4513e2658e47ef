// What one lock server believes.
#include "cluster/lock_table.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/erasure/manual_clock.h"

namespace ostraka::cluster {
namespace {

using enum LockVerdict;
using std::chrono::seconds;

class LockTableTest : public testing::Test {
 protected:
  LockVerdict claim(const char* node, std::uint64_t id, bool queue = true, const std::string& name = "n") {
    return table_.claim(LockOwner{node, id}, name, queue);
  }
  void release(const char* node, std::uint64_t id) { table_.release(LockOwner{node, id}); }
  // woken_ gets the id when the claim need not wait any more.
  bool park(const char* node, std::uint64_t id) {
    return table_.park(LockOwner{node, id}, [this, id] { woken_.push_back(id); });
  }

  erasure::ManualClock clock_;
  LockTable table_{clock_, {.claims = 8, .peer = 5, .line = 3, .parked = 2, .ended = 2}};
  std::vector<std::uint64_t> woken_;
};

TEST_F(LockTableTest, OneHasItAndOthersWaitInOrder) {
  EXPECT_EQ(claim("a", 1), granted);
  EXPECT_EQ(claim("b", 1), waits);
  EXPECT_EQ(claim("c", 1), waits);
  EXPECT_EQ(claim("d", 1, false), refused);
  EXPECT_EQ(claim("a", 1), granted) << "again";
  EXPECT_EQ(table_.size().held, 1U);
  EXPECT_EQ(table_.size().waiting, 2U);
  release("a", 1);
  EXPECT_EQ(claim("c", 1), waits);
  EXPECT_EQ(claim("d", 1, false), refused);
  EXPECT_EQ(claim("b", 1), granted);
  release("b", 1);
  EXPECT_EQ(claim("c", 1), granted);
  release("c", 1);
  EXPECT_EQ(table_.size().held, 0U);
  EXPECT_EQ(claim("d", 1, false), granted);
}

TEST_F(LockTableTest, WhoeverIsNotHeardOfLosesIt) {
  EXPECT_EQ(claim("a", 1), granted);
  clock_.advance(kLockLease - seconds(1));
  EXPECT_EQ(claim("a", 1), granted);
  EXPECT_EQ(claim("b", 1), waits);
  clock_.advance(kLockPlace - seconds(1));
  EXPECT_EQ(claim("c", 1), waits);
  clock_.advance(seconds(1));
  table_.sweep();
  EXPECT_EQ(table_.size().waiting, 1U) << "b has not asked again";
  clock_.advance(kLockPlace - seconds(2));
  EXPECT_EQ(claim("c", 1), waits);
  clock_.advance(kLockLease);
  EXPECT_EQ(claim("d", 1, false), granted) << "nobody is left";
  EXPECT_EQ(claim("a", 1), waits) << "it has come back, and takes its place behind";
}

TEST_F(LockTableTest, APlaceInTheLineIsKeptForWhoeverAsks) {
  EXPECT_EQ(claim("a", 1), granted);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(claim("b", 1), waits);
    clock_.advance(seconds(2));
    EXPECT_EQ(claim("a", 1), granted);
    table_.sweep();
  }
  clock_.advance(seconds(2));
  EXPECT_EQ(table_.size().waiting, 1U);
  EXPECT_EQ(claim("a", 1, false), granted);
  clock_.advance(kLockLease);
  EXPECT_EQ(claim("b", 1), granted) << "late itself, it is there, and the holder is not";
}

TEST_F(LockTableTest, WhoeverIsGivenItWhileNobodyAsksHasToAskSoon) {
  EXPECT_EQ(claim("a", 1), granted);
  EXPECT_EQ(claim("b", 1), waits);
  release("a", 1);
  clock_.advance(kLockPlace);
  EXPECT_EQ(claim("c", 1), granted);
}

TEST_F(LockTableTest, TheParkedAreWokenOnceTheyHaveIt) {
  EXPECT_EQ(claim("a", 1), granted);
  EXPECT_FALSE(park("a", 1)) << "it does not wait";
  EXPECT_FALSE(park("b", 2)) << "unknown";
  EXPECT_EQ(claim("b", 2), waits);
  EXPECT_EQ(claim("c", 3), waits);
  EXPECT_TRUE(park("b", 2));
  EXPECT_TRUE(park("c", 3));
  release("a", 1);
  EXPECT_EQ(woken_, std::vector<std::uint64_t>{2});
  clock_.advance(kLockPlace);
  EXPECT_EQ(claim("b", 2), granted) << "whose call waited has the whole lease";
  EXPECT_EQ(claim("c", 3), waits);
  release("c", 3);
  EXPECT_EQ(woken_, (std::vector<std::uint64_t>{2, 3})) << "it has ended";
  release("b", 2);
  EXPECT_EQ(table_.size().held, 0U);
  EXPECT_EQ(woken_.size(), 2U);
}

TEST_F(LockTableTest, AtMostOneCallOfAClaimIsParked) {
  EXPECT_EQ(claim("a", 1), granted);
  EXPECT_EQ(claim("b", 2), waits);
  EXPECT_TRUE(park("b", 2));
  EXPECT_TRUE(park("b", 2));
  EXPECT_EQ(woken_.size(), 1U) << "the first call";
  const LockTable::Wake wake = table_.unpark(LockOwner{"b", 2});
  ASSERT_TRUE(wake);
  EXPECT_FALSE(table_.unpark(LockOwner{"b", 2}));
  release("a", 1);
  EXPECT_EQ(woken_.size(), 1U);
  EXPECT_EQ(claim("b", 2), granted);
}

TEST_F(LockTableTest, AnExpiredHolderIsReplacedByTheSweep) {
  EXPECT_EQ(claim("a", 1), granted);
  for (int i = 0; i < 5; ++i) {
    clock_.advance(seconds(2));
    EXPECT_EQ(claim("b", 2), i < 4 ? waits : granted);
    if (i == 3) {
      EXPECT_TRUE(park("b", 2));
    }
    table_.sweep();
  }
  EXPECT_EQ(woken_, std::vector<std::uint64_t>{2});
}

TEST_F(LockTableTest, ANewerClaimOfANodeEndsItsOlderOne) {
  EXPECT_EQ(claim("a", 1), granted);
  EXPECT_EQ(claim("a", 2, false), granted) << "the release of 1 is still on its way";
  release("a", 1);
  EXPECT_EQ(claim("a", 1), refused);
  EXPECT_EQ(claim("b", 1), waits);
  EXPECT_EQ(claim("b", 2), waits);
  EXPECT_EQ(table_.size().waiting, 1U);
  EXPECT_EQ(claim("a", 3), waits) << "b is first now";
  EXPECT_EQ(claim("b", 2), granted);
  EXPECT_EQ(claim("b", 1), refused) << "held up on the way";
  EXPECT_EQ(claim("b", 2), granted);
}

TEST_F(LockTableTest, AReleaseThatOvertakesItsClaimEndsIt) {
  release("a", 1);
  EXPECT_EQ(claim("a", 1), refused);
  EXPECT_EQ(claim("a", 2), granted);
  clock_.advance(kLockLease);
  table_.sweep();
  EXPECT_EQ(table_.size().ended, 0U);
  for (std::uint64_t id = 10; id < 20; ++id) release("a", id);
  EXPECT_EQ(table_.size().ended, 2U) << "a bounded number";
}

TEST_F(LockTableTest, ACallThatComesAfterTheEndOfItsClaimDoesNotBringItBack) {
  EXPECT_EQ(claim("a", 1), granted);
  release("a", 1);
  EXPECT_EQ(table_.size().ended, 0U) << "its only call was answered";
  EXPECT_EQ(claim("a", 2), granted);
  EXPECT_EQ(claim("a", 2, false), granted) << "a renewal";
  EXPECT_EQ(claim("b", 1), waits);
  release("b", 1);
  EXPECT_EQ(table_.look(LockOwner{"b", 1}), refused);
  EXPECT_EQ(claim("b", 1), refused);
  release("a", 2);
  EXPECT_EQ(claim("a", 2), refused);
  EXPECT_EQ(table_.size().held, 0U);
}

TEST_F(LockTableTest, AClaimIsToOneName) {
  EXPECT_EQ(claim("a", 1), granted);
  EXPECT_EQ(claim("a", 1, true, "other"), refused);
  EXPECT_EQ(claim("b", 1, true, "other"), granted) << "ids are each node's own";
}

TEST_F(LockTableTest, LimitsHold) {
  EXPECT_EQ(claim("a", 1), granted);
  for (const char* node : {"b", "c", "d"}) EXPECT_EQ(claim(node, 1), waits);
  EXPECT_EQ(claim("e", 1), full) << "the line";
  EXPECT_TRUE(park("b", 1));
  EXPECT_TRUE(park("c", 1));
  EXPECT_FALSE(park("d", 1));
  for (std::uint64_t id = 2; id <= 5; ++id) EXPECT_EQ(claim("a", id, true, std::to_string(id)), granted);
  EXPECT_EQ(claim("a", 6, true, "6"), full) << "of a peer; and all";
  release("a", 2);
  EXPECT_EQ(claim("a", 6, true, "6"), granted);
  EXPECT_EQ(claim("e", 1, true, "7"), full) << "all";
  release("d", 1);
  EXPECT_EQ(claim("e", 1, true, "7"), granted);
}

TEST_F(LockTableTest, ShutWakesAllAndRefuses) {
  EXPECT_EQ(claim("a", 1), granted);
  EXPECT_EQ(claim("b", 2), waits);
  EXPECT_TRUE(park("b", 2));
  table_.shut();
  EXPECT_EQ(woken_, std::vector<std::uint64_t>{2});
  EXPECT_EQ(claim("b", 2), refused);
  EXPECT_EQ(claim("c", 1), refused);
}

TEST_F(LockTableTest, HoldersThatOthersWaitForAreDoubtedAfterAWhile) {
  EXPECT_EQ(claim("a", 1), granted);
  clock_.advance(2 * kLockDoubt);
  EXPECT_TRUE(table_.doubted().empty()) << "nobody waits";
  EXPECT_EQ(claim("b", 1), waits);
  EXPECT_EQ(table_.doubted(), std::set<NodeName>{"a"});
  EXPECT_EQ(claim("a", 1), granted);
  EXPECT_TRUE(table_.doubted().empty()) << "it was heard of";
  clock_.advance(kLockDoubt);
  EXPECT_EQ(table_.doubted(), std::set<NodeName>{"a"});
}

TEST_F(LockTableTest, WhatAnOlderProcessClaimedEnds) {
  EXPECT_EQ(claim("a", 5, true, "x"), granted);
  EXPECT_EQ(claim("b", 1, true, "x"), waits);
  EXPECT_EQ(claim("b", 2, true, "y"), granted);
  EXPECT_EQ(claim("a", 6, true, "y"), waits);
  EXPECT_EQ(claim("c", 1, true, "y"), waits);
  EXPECT_EQ(claim("a", 8, true, "z"), granted);
  EXPECT_TRUE(park("b", 1));
  table_.end_of("a", 7, kNoDeadline);
  EXPECT_EQ(woken_, std::vector<std::uint64_t>{1});
  EXPECT_EQ(claim("b", 1, true, "x"), granted);
  EXPECT_EQ(table_.size().waiting, 1U) << "c";
  EXPECT_EQ(claim("a", 8, true, "z"), granted) << "the new process has that";
  EXPECT_EQ(claim("c", 2, false, "z"), refused);
  EXPECT_EQ(claim("a", 6, true, "y"), refused) << "held up on the way";
}

TEST_F(LockTableTest, WhatWasHeardOfLaterDoesNotEnd) {
  EXPECT_EQ(claim("a", 1, true, "x"), granted);
  EXPECT_EQ(claim("a", 2, true, "y"), granted);
  clock_.advance(seconds(1));
  EXPECT_EQ(claim("a", 2, true, "y"), granted);
  table_.end_of("a", 100, clock_.now());
  EXPECT_EQ(claim("b", 1, false, "x"), granted);
  EXPECT_EQ(claim("b", 2, false, "y"), refused);
  table_.end_of("nobody", 100, kNoDeadline);
  EXPECT_EQ(table_.size().held, 2U);
}

}  // namespace
}  // namespace ostraka::cluster
