#include "cluster/lone_node.h"

#include <gtest/gtest.h>

#include "runtime/shard.h"

namespace ostraka::cluster {
namespace {

TEST(LoneNodeTest, IsTheOnlyMemberAndAlwaysThere) {
  control::Member self;
  self.name = "a";
  LoneMembership members(self);
  std::vector<std::uint64_t> told;
  members.watch([&](const std::string& name, const control::MemberPtr& now) {
    EXPECT_EQ(name, "a");
    told.push_back(now->revision);
  });
  members.set_revision(7);
  members.set_revision(6);  // it knows more already
  members.set_facts("{}");
  EXPECT_EQ(told, (std::vector<std::uint64_t>{7, 7}));
  ASSERT_EQ(members.members().size(), 1U);
  EXPECT_EQ(members.members()[0]->facts, "{}");
  EXPECT_EQ(members.lease_until(), kNoDeadline);
  SystemClock clock;
  Shard shard(0, clock, ShardSpec{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0});
  Ctx ctx{shard, kNoDeadline, "test"};
  EXPECT_TRUE(run_to_end(shard, members.wait_until_known(ctx, 1'000)).has_value());
}

TEST(LoneNodeTest, LeadsWhatItStandsForWithGrowingTokens) {
  LoneElection election("a");
  std::vector<std::uint64_t> told;
  election.watch(
      [&](const std::string&, std::optional<std::uint64_t> token) { told.push_back(token.value_or(0)); });
  EXPECT_FALSE(election.leading("scanner").has_value());
  EXPECT_EQ(election.leader("scanner"), "");
  election.stand("scanner");
  election.stand("scanner");
  ASSERT_TRUE(election.leading("scanner").has_value());
  const std::uint64_t first = election.leading("scanner")->token;
  EXPECT_EQ(election.leader("scanner"), "a");
  election.resign("scanner");
  election.resign("scanner");
  EXPECT_FALSE(election.leading("scanner").has_value());
  election.stand("scanner");
  EXPECT_GT(election.leading("scanner")->token, first);
  EXPECT_EQ(told, (std::vector<std::uint64_t>{first, 0, first + 1}));
}

}  // namespace
}  // namespace ostraka::cluster
