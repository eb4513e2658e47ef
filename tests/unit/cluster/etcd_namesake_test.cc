// Two processes with one node's name, over real etcd: one of them is the member.
#include <gtest/gtest.h>

#include "etcd_cluster.h"
#include "etcd_node.h"

namespace ostraka::cluster {
namespace {

constexpr std::string_view kKey = "/ostraka/test/live/member/a";

control::Member process(const std::string& id, const std::string& boot = {},
                        std::vector<std::string> locks = {}) {
  control::Member out = self_of("a");
  out.process = id;
  out.address = id + ".example:9000";
  out.boot = boot;
  out.locks = std::move(locks);
  return out;
}

class EtcdNamesakeTest : public testing::Test {
 protected:
  bool eventually(std::function<bool()> reached) { return on(shard_, std::move(reached)); }
  bool on(Shard& shard, std::function<bool()> reached) {
    return run_to_end(shard, reaches(&clock_, std::move(reached)));
  }
  bool has_lease(const EtcdNode& node) { return node.members.lease_until() > clock_.now(); }
  Result<> joined(EtcdNode& node) {
    const TimePoint deadline = clock_.now() + std::chrono::seconds(10);
    return run_to_end(node.shard, node.members.wait_until_joined(deadline));
  }
  bool leads(const EtcdNode& node) { return node.election.leading("scanner").has_value(); }
  // As some other client of etcd. ttl: of a lease that nobody keeps alive.
  void put(EtcdNode& by, const control::Member& member, std::chrono::seconds ttl) {
    const TimePoint deadline = clock_.now() + std::chrono::seconds(5);
    const auto lease = run_to_end(by.shard, by.client.grant(ttl, deadline));
    ASSERT_TRUE(lease.has_value());
    EtcdTxnSpec spec;
    EtcdPut put;
    put.key = kKey;
    put.value = encode_member(member);
    put.lease = lease->id;
    spec.puts.push_back(std::move(put));
    ASSERT_TRUE(run_to_end(by.shard, by.client.txn(std::move(spec), deadline)).has_value());
  }
  void erase(EtcdNode& by) {
    EtcdTxnSpec spec;
    spec.erases.emplace_back(kKey);
    const TimePoint deadline = clock_.now() + std::chrono::seconds(5);
    ASSERT_TRUE(run_to_end(by.shard, by.client.txn(std::move(spec), deadline)).has_value());
  }

  SystemClock clock_;
  Shard shard_{0, clock_, kSmall};
  Shard elsewhere_{1, clock_, kSmall};  // of a process that does nothing while the test does not run it
  EtcdCluster etcd_{1};
};

TEST_F(EtcdNamesakeTest, ASecondProcessIsNoMemberWhileTheFirstOneIs) {
  EtcdNode first(clock_, shard_, etcd_.config(), process("first")),
      second(clock_, shard_, etcd_.config(), process("second"));
  first.begin();
  ASSERT_TRUE(joined(first));
  second.election.stand("scanner");
  second.begin();
  const Result<> refused = joined(second);
  ASSERT_TRUE(refused.failed_with(Errc::unavailable)) << (refused ? "" : refused.error().detail);
  for (const char* said : {"process first", "first.example:9000", "member a", "within 2 s"})
    EXPECT_NE(refused.error().detail.find(said), std::string::npos) << refused.error().detail;
  EXPECT_TRUE(second.members.displaced());
  EXPECT_FALSE(has_lease(second));
  EXPECT_FALSE(first.members.displaced());
  Ctx ctx{shard_, clock_.now() + std::chrono::seconds(5), "known"};
  EXPECT_TRUE(run_to_end(shard_, second.members.wait_until_known(ctx, 1)).failed_with(Errc::unavailable));
  // Nor when the first one has said more, and its lease has been renewed.
  const std::uint64_t lease = first.session.lease();
  const TimePoint begun = clock_.now();
  first.members.set_facts(R"({"version":"2"})");
  ASSERT_TRUE(eventually([&] { return clock_.now() - begun > kShort.ttl; }));
  EXPECT_TRUE(has_lease(first));
  EXPECT_EQ(first.session.lease(), lease);
  EXPECT_FALSE(has_lease(second));
  EXPECT_EQ(second.members.members().at(0)->process, "first");
  EXPECT_TRUE(second.led.empty());
  const TimePoint ended = clock_.now();
  first.close();
  EXPECT_TRUE(eventually([&] { return has_lease(second); }));
  EXPECT_LT(clock_.now() - ended, kShort.ttl) << "the lease was given back";
  EXPECT_FALSE(second.members.displaced());
  EXPECT_TRUE(joined(second));
  EXPECT_TRUE(eventually([&] { return leads(second); }));
}

TEST_F(EtcdNamesakeTest, WhoDoesNotAnswerKeepsTheNameUntilItsLeaseEnds) {
  EtcdNode first(clock_, elsewhere_, etcd_.config(), process("first", "boot 1", {"1:2"})),
      second(clock_, shard_, etcd_.config(), process("second", "boot 2", {"1:2"}));
  first.begin();
  ASSERT_TRUE(joined(first));
  first.election.stand("scanner");
  ASSERT_TRUE(on(elsewhere_, [&] { return leads(first); }));
  second.begin();
  EXPECT_TRUE(joined(second).failed_with(Errc::unavailable));
  ASSERT_TRUE(eventually([&] { return has_lease(second); }));
  EXPECT_FALSE(has_lease(first));
  // When it wakes, it is the one that waits.
  ASSERT_TRUE(on(elsewhere_, [&] { return first.members.displaced(); }));
  EXPECT_FALSE(has_lease(first));
  EXPECT_FALSE(leads(first));
}

TEST_F(EtcdNamesakeTest, WhoHasAllItsDrivesKnowsThatTheFirstOneHasEnded) {
  EtcdNode first(clock_, elsewhere_, etcd_.config(), process("first", "boot", {"1:2", "1:3"})),
      second(clock_, shard_, etcd_.config(), process("second", "boot", {"1:3"}));
  first.begin();
  ASSERT_TRUE(joined(first));
  second.begin();
  EXPECT_TRUE(joined(second).failed_with(Errc::unavailable)) << "one of them is in use still";
  second.locks = {"1:2", "1:3", "1:4"};
  second.members.say_locks();
  EXPECT_TRUE(eventually([&] { return has_lease(second); }));
  EXPECT_TRUE(has_lease(first)) << "so it was not waited for";
}

// It cannot be; should it happen all the same, the first one gives way, with all that it leads.
TEST_F(EtcdNamesakeTest, AMemberWhoseNameIsTakenIsNoneAnyMore) {
  EtcdNode first(clock_, shard_, etcd_.config(), process("first", "boot", {"1:2"})),
      second(clock_, shard_, etcd_.config(), process("second", "boot", {"1:2"}));
  first.begin();
  ASSERT_TRUE(joined(first));
  first.election.stand("scanner");
  ASSERT_TRUE(eventually([&] { return leads(first); }));
  first.locks.clear();
  second.begin();
  second.election.stand("scanner");
  ASSERT_TRUE(joined(second));
  ASSERT_TRUE(eventually([&] { return first.members.displaced(); }));
  EXPECT_FALSE(has_lease(first));
  EXPECT_FALSE(leads(first));
  EXPECT_TRUE(eventually([&] { return leads(second); })) << "the lease that it led by is given back";
  EXPECT_EQ(first.led, (std::vector<std::string>{"scanner", "not scanner"}));
  second.close();
  EXPECT_TRUE(eventually([&] { return has_lease(first) && leads(first); }));
}

TEST_F(EtcdNamesakeTest, AnOlderReleasesKeyIsWaitedForAsLongAsItsLease) {
  EtcdNode other(clock_, shard_, etcd_.config(), "b"),
      second(clock_, shard_, etcd_.config(), process("second", "boot", {"1:2"}));
  other.begin();
  control::Member old = process("");
  put(other, old, std::chrono::seconds(2));
  const TimePoint begun = clock_.now();
  second.begin();
  EXPECT_TRUE(joined(second).failed_with(Errc::unavailable));
  ASSERT_TRUE(eventually([&] { return has_lease(second); }));
  EXPECT_LT(clock_.now() - begun, std::chrono::seconds(5));
}

TEST_F(EtcdNamesakeTest, AKeyThatWentIsPutAgain) {
  EtcdNode first(clock_, shard_, etcd_.config(), process("first")),
      other(clock_, shard_, etcd_.config(), "b");
  first.begin();
  other.begin();
  ASSERT_TRUE(joined(first));
  erase(other);
  ASSERT_TRUE(eventually([&] { return !has_lease(first); }));
  ASSERT_TRUE(eventually([&] { return has_lease(first); }));
  // Under a lease that it had before, and could not give back.
  put(other, process("first"), std::chrono::seconds(600));
  ASSERT_TRUE(eventually([&] { return !has_lease(first); }));
  ASSERT_TRUE(eventually([&] { return has_lease(first); }));
  EXPECT_FALSE(first.members.displaced());
}

TEST(HasEndedTest, OnlyUnderTheSameBootAndWithAllDrives) {
  const control::Member self = process("second", "boot", {"1:2", "1:3"});
  EXPECT_TRUE(has_ended(process("first", "boot", {"1:2", "1:3"}), self));
  EXPECT_TRUE(has_ended(process("first", "boot", {"1:3"}), self));
  EXPECT_FALSE(has_ended(process("first", "boot", {"1:3", "1:4"}), self));
  EXPECT_FALSE(has_ended(process("first", "boot", {}), self));
  EXPECT_FALSE(has_ended(process("first", "other boot", {"1:2"}), self));
  EXPECT_FALSE(has_ended(process("first", "", {"1:2"}), process("second", "", {"1:2"})));
}

}  // namespace
}  // namespace ostraka::cluster
