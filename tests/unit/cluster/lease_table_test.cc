// What peers may keep open on a node, and for how long.
#include "cluster/lease_table.h"

#include <gtest/gtest.h>

#include <memory>

#include "cluster/limits.h"
#include "cluster/writer_table.h"
#include "runtime/shard.h"
#include "tests/unit/cluster/system_drive.h"
#include "tests/unit/erasure/manual_clock.h"

namespace ostraka::cluster {
namespace {

using Pin = std::shared_ptr<const void>;
using std::chrono::seconds;

class LeaseTableTest : public testing::Test {
 protected:
  // Tells by its use count whether the table still has it.
  std::shared_ptr<int> thing_ = std::make_shared<int>(0);
  erasure::ManualClock clock_;
  LeaseTable<Pin> table_{clock_, {.all = 3, .peer = 2, .lease = seconds(100)}, ~0ULL};
};

TEST_F(LeaseTableTest, APeerFindsOnlyWhatIsItsOwn) {
  const auto id = table_.add("a", thing_);
  ASSERT_TRUE(id);
  EXPECT_TRUE(table_.find("a", *id));
  EXPECT_FALSE(table_.find("b", *id));
  EXPECT_FALSE(table_.find("a", *id + 1));
  table_.remove("b", *id);
  EXPECT_EQ(table_.size(), 1U);
  table_.remove("a", *id);
  table_.remove("a", *id);
  EXPECT_EQ(table_.size(), 0U);
  EXPECT_EQ(thing_.use_count(), 1);
}

TEST_F(LeaseTableTest, IdsAreNeverZero) {
  const auto first = table_.add("a", thing_);
  const auto second = table_.add("a", thing_);
  EXPECT_EQ(first, ~0ULL);
  EXPECT_EQ(second, 1ULL);
}

TEST_F(LeaseTableTest, NeitherOnePeerNorAllKeepMoreThanTheyMay) {
  const auto id = table_.add("a", thing_);
  EXPECT_TRUE(table_.add("a", thing_));
  EXPECT_FALSE(table_.add("a", thing_));
  EXPECT_TRUE(table_.add("b", thing_));
  EXPECT_FALSE(table_.add("c", thing_));
  table_.remove("a", *id);
  EXPECT_TRUE(table_.add("c", thing_));
  table_.clear();
  EXPECT_EQ(thing_.use_count(), 1);
}

TEST_F(LeaseTableTest, WhatIsNotRenewedEnds) {
  const auto renewed = table_.add("a", thing_);
  const auto used = table_.add("b", thing_);
  const auto left = table_.add("a", thing_);
  clock_.advance(seconds(99));
  table_.sweep();
  EXPECT_EQ(table_.size(), 3U);
  table_.renew("a", *renewed);
  table_.renew("b", *left);  // not its own
  EXPECT_TRUE(table_.find("b", *used));
  clock_.advance(seconds(2));
  table_.sweep();
  EXPECT_TRUE(table_.find("a", *renewed));
  EXPECT_TRUE(table_.find("b", *used));
  EXPECT_FALSE(table_.find("a", *left));
  clock_.advance(seconds(101));
  table_.sweep();
  EXPECT_EQ(table_.size(), 0U);
  EXPECT_EQ(thing_.use_count(), 1);
}

class WriterTableTest : public testing::Test {
 protected:
  OpenWriterPtr open(const NodeName& peer, std::uint64_t id) {
    auto opened = table_.open(peer, id, drive_, DataId(), shard_);
    EXPECT_TRUE(opened);
    EXPECT_TRUE(table_.give_back(peer, id, *opened, 0));
    return *opened;
  }
  bool take(const NodeName& peer, std::uint64_t id, std::uint64_t blocks) {
    return table_.take(peer, id, drive_, blocks, shard_).has_value();
  }

  erasure::ManualClock clock_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1}};
  SystemDrive drive_{1}, other_drive_{2};
  WriterTable table_{clock_};
};

TEST_F(WriterTableTest, CallsComeOneAtATimeAndInOrder) {
  const auto writer = open("a", 7);
  EXPECT_FALSE(table_.open("a", 7, drive_, DataId(), shard_)) << "there is one";
  EXPECT_FALSE(table_.open("a", 0, drive_, DataId(), shard_)) << "no id";
  EXPECT_FALSE(take("b", 7, 0));
  EXPECT_FALSE(table_.take("a", 7, other_drive_, 0, shard_));
  ASSERT_TRUE(take("a", 7, 0));
  EXPECT_TRUE(table_.give_back("a", 7, writer, 2));
  ASSERT_TRUE(take("a", 7, 2));
  EXPECT_TRUE(table_.close("a", 7, writer));
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(WriterTableTest, ACallOutOfOrderEndsTheWriter) {
  open("a", 7);
  EXPECT_FALSE(take("a", 7, 1));
  EXPECT_FALSE(take("a", 7, 0));
  const auto busy = open("a", 8);
  ASSERT_TRUE(take("a", 8, 0));
  EXPECT_FALSE(take("a", 8, 0)) << "another call has it";
  EXPECT_FALSE(table_.give_back("a", 8, busy, 1)) << "which learns that it is no more";
}

TEST_F(WriterTableTest, AWriterInUseIsGivenUpByItsCall) {
  const auto writer = open("a", 7);
  ASSERT_TRUE(take("a", 7, 0));
  Shard* busy = nullptr;
  EXPECT_EQ(table_.give_up("b", 7, drive_, busy), nullptr);
  EXPECT_EQ(table_.give_up("a", 7, drive_, busy), writer);
  EXPECT_EQ(busy, &shard_);
  EXPECT_FALSE(table_.close("a", 7, writer));
}

TEST_F(WriterTableTest, WritersOfSilentPeersGo) {
  open("a", 1);
  const auto writer = open("a", 2);
  clock_.advance(kPeerLease - seconds(1));
  table_.renew("a", 1);
  ASSERT_TRUE(take("a", 2, 0));
  clock_.advance(seconds(2));
  table_.sweep();
  EXPECT_EQ(table_.size(), 2U) << "one was renewed, a call has the other";
  EXPECT_TRUE(table_.give_back("a", 2, writer, 0));
  clock_.advance(kPeerLease + seconds(1));
  table_.sweep();
  EXPECT_EQ(table_.size(), 0U);
  EXPECT_FALSE(take("a", 2, 0));
}

TEST_F(WriterTableTest, APeerOpensNoMoreThanItMay) {
  for (std::uint64_t id = 1; id <= kMaxPeerWriters; ++id) open("a", id);
  EXPECT_TRUE(table_.open("a", kMaxPeerWriters + 1, drive_, DataId(), shard_).failed_with(Errc::overloaded));
  EXPECT_TRUE(table_.open("b", 1, drive_, DataId(), shard_));
  table_.clear();
  EXPECT_EQ(table_.size(), 0U);
}

}  // namespace
}  // namespace ostraka::cluster
