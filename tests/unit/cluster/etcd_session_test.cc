// Leases, members and leaders over real etcd.
#include "cluster/etcd_session.h"

#include <gtest/gtest.h>

#include "etcd_cluster.h"
#include "etcd_node.h"
#include "relay.h"

namespace ostraka::cluster {
namespace {

class EtcdSessionTest : public testing::Test {
 protected:
  bool eventually(std::function<bool()> reached) {
    return run_to_end(shard_, reaches(&clock_, std::move(reached)));
  }
  bool has_lease(const EtcdNode& node) { return node.members.lease_until() > clock_.now(); }
  Result<> wait_until_known(EtcdNode& node, std::uint64_t revision, Duration timeout) {
    Ctx ctx{shard_, clock_.now() + timeout, "wait"};
    return run_to_end(shard_, node.members.wait_until_known(ctx, revision));
  }
  std::uint64_t put(EtcdNode& node, std::string content) {
    Ctx ctx{shard_, clock_.now() + std::chrono::seconds(10), "put"};
    const auto done = run_to_end(shard_, node.store.put(ctx, "x", std::move(content), std::nullopt));
    EXPECT_TRUE(done.has_value());
    return done ? (*done)->revision : 0;
  }

  SystemClock clock_;
  Shard shard_{0, clock_, kSmall};
};

TEST_F(EtcdSessionTest, MembersSeeEachOtherComeSpeakAndGo) {
  EtcdCluster etcd(1);
  EtcdNode a(clock_, shard_, etcd.config(), "a");
  a.begin();
  EXPECT_TRUE(eventually([&] { return has_lease(a); }));
  EXPECT_EQ(a.seen(), "a");
  {
    EtcdNode b(clock_, shard_, etcd.config(), "b");
    EXPECT_FALSE(has_lease(b));
    b.begin();
    EXPECT_TRUE(eventually([&] { return a.seen() == "a b" && b.seen() == "a b"; }));
    const control::MemberPtr told = a.members.members()[1];
    EXPECT_EQ(told->address, "b:9000");
    EXPECT_EQ(told->facts, R"({"version":"1"})");
    EXPECT_LT(std::abs(told->since_ms - clock_.unix_ms()), 60'000);
    b.members.set_facts(R"({"version":"2"})");
    EXPECT_TRUE(eventually([&] { return a.members.members()[1]->facts == R"({"version":"2"})"; }));
  }
  EXPECT_TRUE(eventually([&] { return a.seen() == "a"; }));  // at once, as the lease was given back
}

TEST_F(EtcdSessionTest, WaitsUntilAllMembersKnowAChange) {
  EtcdCluster etcd(1);
  EtcdNode a(clock_, shard_, etcd.config(), "a"), b(clock_, shard_, etcd.config(), "b");
  a.begin();
  b.begin();
  ASSERT_TRUE(eventually([&] { return a.seen() == "a b"; }));
  EXPECT_TRUE(wait_until_known(a, put(a, "1"), std::chrono::seconds(5)).has_value());
  EXPECT_EQ(b.store.get("x")->content, "1");
  EXPECT_TRUE(wait_until_known(b, put(b, "2"), std::chrono::seconds(5)).has_value());
  Shard elsewhere(1, clock_, kSmall);
  {
    EtcdNode c(clock_, elsewhere, etcd.config(), "c");
    c.begin();
    ASSERT_TRUE(run_to_end(elsewhere, reaches(&clock_, [&] { return has_lease(c); })));
    ASSERT_TRUE(eventually([&] { return a.seen() == "a b c"; }));
    // One that does nothing is waited for until its lease ends, and knows by then that it has none.
    const std::uint64_t revision = put(a, "3");
    EXPECT_TRUE(wait_until_known(a, revision, std::chrono::milliseconds(100)).failed_with(Errc::deadline));
    const TimePoint until = c.members.lease_until();
    EXPECT_TRUE(wait_until_known(a, revision, std::chrono::seconds(10)).has_value());
    EXPECT_GT(clock_.now(), until);
    EXPECT_EQ(a.seen(), "a b");
    // It finds out and comes back.
    ASSERT_TRUE(run_to_end(elsewhere, reaches(&clock_, [&] { return has_lease(c); })));
    EXPECT_EQ(c.store.get("x")->content, "3");
    EXPECT_TRUE(eventually([&] { return a.seen() == "a b c"; }));
    EXPECT_TRUE(wait_until_known(a, revision, std::chrono::seconds(5)).has_value());
  }
}

TEST_F(EtcdSessionTest, WhatHasYetToTakeEffectIsNotSaidToBeKnown) {
  EtcdCluster etcd(1);
  EtcdNode a(clock_, shard_, etcd.config(), "a"), b(clock_, shard_, etcd.config(), "b");
  std::vector<control::Membership::Hold> held;
  b.store.watch("x", [&](const std::string&, const control::DocumentPtr& now) {
    held.push_back(b.members.hold(now->revision));
  });
  a.begin();
  b.begin();
  ASSERT_TRUE(eventually([&] { return a.seen() == "a b"; }));
  const std::uint64_t first = put(a, "1"), second = put(a, "2");
  ASSERT_TRUE(eventually([&] { return held.size() == 2; }));
  EXPECT_TRUE(wait_until_known(a, first, std::chrono::milliseconds(100)).failed_with(Errc::deadline));
  EXPECT_LT(b.members.known_revision(), first);
  held.erase(held.begin());
  EXPECT_TRUE(wait_until_known(a, first, std::chrono::seconds(5)).has_value());
  EXPECT_TRUE(wait_until_known(a, second, std::chrono::milliseconds(100)).failed_with(Errc::deadline));
  held.clear();
  EXPECT_TRUE(wait_until_known(a, second, std::chrono::seconds(5)).has_value());
  EXPECT_GE(b.members.known_revision(), second);
}

TEST_F(EtcdSessionTest, AMemberThatFollowsNothingAnyMoreIsNotWaitedFor) {
  EtcdCluster etcd(1);
  EtcdNode a(clock_, shard_, etcd.config(), "a");
  a.begin();
  run_to_end(shard_, a.follower.close());
  EXPECT_TRUE(wait_until_known(a, std::uint64_t{1} << 40, std::chrono::seconds(5)).failed_with(Errc::closed));
}

TEST_F(EtcdSessionTest, AnOldPublicationThatComesLateIsCorrected) {
  EtcdCluster etcd(1);
  EtcdNode a(clock_, shard_, etcd.config(), "a"), b(clock_, shard_, etcd.config(), "b");
  a.begin();
  b.begin();
  const std::uint64_t revision = put(b, "1");
  const auto told = [&](std::uint64_t of) {
    const auto all = b.members.members();
    return !all.empty() && all[0]->name == "a" && all[0]->revision == of;
  };
  ASSERT_TRUE(eventually([&] { return told(revision); }));
  control::Member late = *b.members.members()[0];
  late.revision = 1;
  bool was_late = false;
  b.members.watch([&](const std::string& name, const control::MemberPtr& now) {
    was_late = was_late || (name == "a" && now && now->revision == 1);
  });
  EtcdTxnSpec spec;
  EtcdPut put_late;
  put_late.key = "/ostraka/test/live/member/a";
  put_late.value = encode_member(late);
  put_late.lease = a.session.lease();
  spec.puts.push_back(std::move(put_late));
  ASSERT_TRUE(run_to_end(shard_, b.client.txn(spec, clock_.now() + std::chrono::seconds(5))).has_value());
  ASSERT_TRUE(eventually([&] { return was_late; }));
  EXPECT_TRUE(eventually([&] { return told(revision); }));
  EXPECT_TRUE(wait_until_known(b, revision, std::chrono::seconds(5)).has_value());
}

TEST_F(EtcdSessionTest, ALeaseEndsByTheOwnClock) {
  EtcdCluster etcd(1);
  std::vector<std::uint64_t> leases;
  EtcdNode a(clock_, shard_, etcd.config(), "a");
  a.session.watch([&](std::uint64_t lease) { leases.push_back(lease); });
  a.begin();
  ASSERT_TRUE(eventually([&] { return has_lease(a); }));
  etcd.pause(0);
  const TimePoint paused = clock_.now();
  ASSERT_TRUE(eventually([&] { return a.session.lease() == 0; }));
  EXPECT_LT(clock_.now() - paused, std::chrono::seconds(2));  // before etcd may end it
  EXPECT_FALSE(has_lease(a));
  etcd.go_on(0);
  ASSERT_TRUE(eventually([&] { return has_lease(a); }));
  ASSERT_EQ(leases.size(), 3U);
  EXPECT_EQ(leases[1], 0U);
  EXPECT_NE(leases[2], leases[0]);
  EXPECT_TRUE(eventually([&] { return a.seen() == "a"; }));
}

TEST_F(EtcdSessionTest, OneLeadsAndAnotherAfterIt) {
  EtcdCluster etcd(1);
  Relay relay(shard_, etcd.port(0));
  EtcdConfig through = etcd.config();
  through.endpoints[0].port = relay.port();
  {
    EtcdNode a(clock_, shard_, through, "a"), b(clock_, shard_, etcd.config(), "b");
    a.begin();
    b.begin();
    a.election.stand("scanner");
    ASSERT_TRUE(eventually([&] { return a.election.leading("scanner").has_value(); }));
    const std::uint64_t first = a.election.leading("scanner")->token;
    b.election.stand("scanner");
    b.election.stand("rebalance");
    ASSERT_TRUE(eventually([&] { return b.election.leading("rebalance").has_value(); }));
    EXPECT_EQ(b.election.leader("scanner"), "a");
    EXPECT_FALSE(b.election.leading("scanner").has_value());
    EXPECT_FALSE(a.election.leading("rebalance").has_value());
    // Who resigns leaves it to the other at once; who stands again comes after it.
    a.election.resign("scanner");
    ASSERT_TRUE(eventually([&] { return b.election.leading("scanner").has_value(); }));
    const std::uint64_t second = b.election.leading("scanner")->token;
    EXPECT_GT(second, first);
    a.election.stand("scanner");
    b.election.resign("scanner");
    ASSERT_TRUE(eventually([&] { return a.election.leading("scanner").has_value(); }));
    EXPECT_GT(a.election.leading("scanner")->token, second);
    b.election.stand("scanner");
    // Cut off, it ceases to lead before another begins.
    relay.deaf = true;
    bool both = false;
    ASSERT_TRUE(eventually([&] {
      const bool one = a.election.leading("scanner").has_value(),
                 other = b.election.leading("scanner").has_value();
      both = both || (one && other);
      return other;
    }));
    EXPECT_FALSE(both);
    EXPECT_EQ(a.led, (std::vector<std::string>{"scanner", "not scanner", "scanner", "not scanner"}));
    relay.deaf = false;
    relay.silence_present();
    EXPECT_TRUE(eventually([&] { return a.election.leader("scanner") == "b" && has_lease(a); }));
    EXPECT_FALSE(a.election.leading("scanner").has_value());
  }
  run_to_end(shard_, relay.close());
}

TEST_F(EtcdSessionTest, WhoIsDeposedLeadsNoMore) {
  EtcdCluster etcd(1);
  EtcdNode a(clock_, shard_, etcd.config(), "a"), b(clock_, shard_, etcd.config(), "b");
  a.begin();
  b.begin();
  a.election.stand("rebalance");
  ASSERT_TRUE(eventually([&] { return b.election.leader("rebalance") == "a"; }));
  const std::uint64_t first = b.election.token("rebalance");
  ASSERT_TRUE(eventually([&] { return a.election.leading("rebalance").has_value(); }));
  EXPECT_EQ(a.election.leading("rebalance")->token, first);
  b.election.depose("rebalance", first);
  // It stands still, and nobody else does.
  ASSERT_TRUE(eventually([&] { return b.election.token("rebalance") > first; }));
  ASSERT_TRUE(eventually([&] { return a.election.leading("rebalance").has_value(); }));
  EXPECT_EQ(a.led, (std::vector<std::string>{"rebalance", "not rebalance", "rebalance"}));
  // Of who does not lead any more nothing is ended.
  const std::uint64_t second = b.election.token("rebalance");
  b.election.depose("rebalance", first);
  b.election.stand("scanner");
  ASSERT_TRUE(eventually([&] { return b.election.leading("scanner").has_value(); }));
  EXPECT_EQ(b.election.token("rebalance"), second);
  EXPECT_EQ(b.election.token("lifecycle"), 0U);
}

TEST(MemberCodecTest, ReadsWhatItWritesAndRefusesTheRest) {
  control::Member member = self_of("a");
  member.revision = 7;
  member.since_ms = 1'760'000'000'000;
  member.process.clear();  // an older release
  EXPECT_EQ(encode_member(*decode_member("a", encode_member(member))), encode_member(member));
  member.process = "p";
  member.boot = "b";
  member.locks = {"1:2", "1:3"};
  const std::string text = encode_member(member);
  const auto read = decode_member("a", text);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(encode_member(*read), text);
  EXPECT_EQ(read->revision, 7U);
  EXPECT_EQ(read->process, "p");
  EXPECT_EQ(read->locks, member.locks);
  member.facts = "not JSON";
  EXPECT_EQ(decode_member("a", encode_member(member))->facts, "{}");
  EXPECT_TRUE(decode_member("", text).failed_with(Errc::malformed));
  EXPECT_TRUE(decode_member("a", R"({"version":2})").failed_with(Errc::unsupported_version));
  for (const char* bad : {"", "[]", R"({"version":1})", R"({"version":"1"})",
                          R"({"version":1,"address":1,"since_ms":1,"revision":1,"facts":{}})",
                          R"({"version":1,"address":"a","since_ms":1,"revision":-1,"facts":{}})",
                          R"({"version":1,"address":"a","since_ms":1,"revision":1,"facts":[]})",
                          R"({"version":1,"address":"a","since_ms":1,"revision":1,"facts":{},"boot":1})",
                          R"({"version":1,"address":"a","since_ms":1,"revision":1,"facts":{},"locks":"1:2"})",
                          R"({"version":1,"address":"a","since_ms":1,"revision":1,"facts":{},"locks":[12]})"})
    EXPECT_TRUE(decode_member("a", bad).failed_with(Errc::malformed)) << bad;
}

}  // namespace
}  // namespace ostraka::cluster
