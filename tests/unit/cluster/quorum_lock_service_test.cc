// What is special about leases on several nodes; the rest is in lock_service_suite.h.
#include "cluster/quorum_lock_service.h"

#include "tests/unit/cluster/lock_world.h"

namespace ostraka::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

using Taken = std::optional<Result<LeasePtr>>;

// --- cost

TEST(QuorumLocks, AloneNothingIsSent) {
  LockWorld world(1);
  const auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  world.pass(seconds(30));
  EXPECT_TRUE(world.calls.empty());
  EXPECT_EQ(world.node(1).server.size().held, 0U);
}

TEST(QuorumLocks, UncontendedIsOneRoundTrip) {
  LockWorld world(4);
  const TimePoint begun = world.clock.now();
  auto lease = world.take(2, "key", seconds(1));
  ASSERT_TRUE(lease);
  EXPECT_EQ(world.clock.now() - begun, 2 * world.delay);
  EXPECT_EQ(world.calls, (std::map<std::string, int>{{"lock.claim", 3}}));
  for (std::size_t i = 1; i <= 4; ++i) EXPECT_EQ(world.node(i).server.size().held, 1U);
  lease->reset();
  world.pass(milliseconds(10));
  EXPECT_EQ(world.calls, (std::map<std::string, int>{{"lock.claim", 3}, {"lock.release", 3}}));
  for (std::size_t i = 1; i <= 4; ++i) EXPECT_EQ(world.node(i).server.size().held, 0U);
  EXPECT_EQ(world.node(2).locks.held(), 0U);
}

TEST(QuorumLocks, TheNextOneOfTheNodeDoesNotWaitForTheRelease) {
  LockWorld world(3);
  auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  Gate gate;
  Taken next;
  world.take_later(gate, 1, "key", seconds(1), &next);
  EXPECT_EQ(world.calls["lock.claim"], 2) << "it waits within the node";
  const TimePoint released = world.clock.now();
  lease->reset();
  world.wait_for(gate);
  EXPECT_TRUE(*next);
  EXPECT_EQ(world.clock.now() - released, 2 * world.delay);
  EXPECT_EQ(world.calls["lock.claim"], 4);
  EXPECT_EQ(world.calls["lock.release"], 2);
}

TEST(QuorumLocks, ReleasesGoTogether) {
  LockWorld world(3);
  std::vector<Result<LeasePtr>> leases;
  for (int i = 0; i < 50; ++i) leases.push_back(world.take(1, std::to_string(i), seconds(1)));
  leases.clear();
  world.pass(milliseconds(10));
  EXPECT_LE(world.calls["lock.release"], 4) << "one, and the others while that is on its way";
  EXPECT_EQ(world.node(2).server.size().held, 0U);
}

TEST(QuorumLocks, OfManyNodesAKeyHasSome) {
  LockWorld world(20);
  const auto lease = world.take(3, "key", seconds(1));
  ASSERT_TRUE(lease);
  std::size_t holding = 0;
  for (auto& node : world.nodes) holding += node->server.size().held;
  EXPECT_EQ(holding, kMaxLockServers);
  EXPECT_TRUE(world.take(17, "key", milliseconds(50)).failed_with(Errc::deadline));
}

// --- several nodes want it

TEST(QuorumLocks, ItIsHandedOverAtOnce) {
  LockWorld world(4);
  auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  Gate gate;
  Taken second, third;
  world.take_later(gate, 2, "key", minutes(5), &second);
  world.pass(seconds(1));
  world.take_later(gate, 3, "key", minutes(5), &third);
  world.pass(minutes(1));
  EXPECT_FALSE(second || third);
  TimePoint released = world.clock.now();
  lease->reset();
  world.pass(2 * world.delay);
  ASSERT_TRUE(second) << "one way for the release, one for the answer";
  EXPECT_TRUE(*second);
  EXPECT_FALSE(third);
  world.pass(seconds(1));
  released = world.clock.now();
  second->value().reset();
  while (!third) world.pass(world.delay);
  EXPECT_TRUE(*third) << "in order";
  EXPECT_LE(world.clock.now() - released, 2 * world.delay);
  world.wait_for(gate);
}

TEST(QuorumLocks, ABusyNodeDoesNotShutOutAnother) {
  LockWorld world(3);
  Gate gate;
  bool stop = false;
  struct Busy {
    static Task<> run(LockWorld* world, const bool* stop) {
      while (!*stop) {
        Ctx ctx{world->shard, world->clock.now() + minutes(1), "busy"};
        auto lease = co_await world->node(1).locks.acquire(ctx, "key");
        EXPECT_TRUE(lease.has_value());
        co_await sleep_for(world->clock, milliseconds(5));
      }
    }
  };
  for (int i = 0; i < 8; ++i) gate.spawn(world.shard.executor(), Busy::run(&world, &stop));
  for (int i = 0; i < 20; ++i) {
    const TimePoint begun = world.clock.now();
    EXPECT_TRUE(world.take(2, "key", seconds(5)));
    EXPECT_LE(world.clock.now() - begun, milliseconds(20)) << i;
  }
  stop = true;
  world.wait_for(gate);
}

struct Rivals {
  Rivals(std::size_t nodes, std::uint64_t seed) : world(nodes, seed) {}
  LockWorld world;
  std::map<std::string, int> inside;
  int done = 0, unavailable = 0;
  Duration longest{0};

  static Task<> run(Rivals* self, std::size_t number, int rounds) {
    LockWorld& world = self->world;
    for (int i = 0; i < rounds;) {
      const std::string key = "key" + std::to_string(world.random.below(2));
      const TimePoint begun = world.clock.now();
      Ctx ctx{world.shard, begun + minutes(10), "rival"};
      std::string name = key;
      auto lease = co_await world.node(number).locks.acquire(ctx, std::move(name));
      self->longest = std::max<Duration>(self->longest, world.clock.now() - begun);
      if (!lease) {
        EXPECT_TRUE(lease.failed_with(Errc::unavailable)) << lease.error().detail;
        ++self->unavailable;
        continue;
      }
      EXPECT_EQ(++self->inside[key], 1) << key;
      const auto work = milliseconds(world.random.below(20));
      co_await sleep_for(world.clock, work);
      --self->inside[key];
      ++self->done;
      ++i;
    }
  }
};

TEST(QuorumLocks, RivalsExcludeEachOtherAndAllGetTheirTurn) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::size_t nodes = 2 + seed % 4;
    Rivals rivals(nodes, seed);
    rivals.world.script = [&rivals](const NodeName&, const NodeName&, const PeerCall&) {
      CallFate fate;
      fate.delay = milliseconds(rivals.world.random.below(4));
      fate.answer_delay = milliseconds(rivals.world.random.below(4));
      return fate;
    };
    Gate gate;
    for (std::size_t i = 0; i < 2 * nodes; ++i)
      gate.spawn(rivals.world.shard.executor(), Rivals::run(&rivals, 1 + i % nodes, 6));
    rivals.world.wait_for(gate);
    EXPECT_EQ(rivals.done, static_cast<int>(12 * nodes));
    EXPECT_EQ(rivals.unavailable, 0);
    // 5 to 10 ms of work each, and a few of messages
    EXPECT_LE(rivals.longest, milliseconds(60) * 2 * nodes) << seed;
  }
}

TEST(QuorumLocks, RivalsExcludeEachOtherWhateverIsLost) {
  int unavailable = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::size_t nodes = 3 + seed % 3;
    Rivals rivals(nodes, seed);
    rivals.world.script = [&rivals](const NodeName&, const NodeName&, const PeerCall&) {
      erasure::SeededRandom& random = rivals.world.random;
      CallFate fate;
      fate.delay = milliseconds(random.below(4));
      fate.answer_delay = milliseconds(random.below(4));
      if (random.below(100) == 0) fate.delay += milliseconds(random.below(3000));
      fate.unreachable = random.below(50) == 0;
      fate.call_lost = random.below(50) == 0;
      fate.answer_lost = random.below(50) == 0;
      fate.cut = random.below(2) == 0;
      return fate;
    };
    Gate gate;
    for (std::size_t i = 0; i < 2 * nodes; ++i)
      gate.spawn(rivals.world.shard.executor(), Rivals::run(&rivals, 1 + i % nodes, 6));
    rivals.world.wait_for(gate);
    EXPECT_EQ(rivals.done, static_cast<int>(12 * nodes));
    unavailable += rivals.unavailable;
    rivals.world.script = nullptr;
  }
  EXPECT_LT(unavailable, 50);
}

// --- nodes that are not there

TEST(QuorumLocks, ADeadHolderLosesIt) {
  LockWorld world(3);
  auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  world.pass(minutes(1));
  world.dead.insert("node1");
  const TimePoint died = world.clock.now();
  auto next = world.take(2, "key", minutes(1));
  EXPECT_TRUE(next);
  EXPECT_GE(world.clock.now() - died, kLockLease - kLockRenewal - milliseconds(10)) << "renewed before";
  EXPECT_LE(world.clock.now() - died, kLockLease + kLockSweep);
  // It was but away, and believes that it holds it: nothing that it sends harms the other.
  world.dead.clear();
  world.pass(minutes(1));
  lease->reset();
  world.pass(seconds(1));
  EXPECT_TRUE(world.take(3, "key", milliseconds(100)).failed_with(Errc::deadline));
  next->reset();
  EXPECT_TRUE(world.take(3, "key", milliseconds(100)));
}

TEST(QuorumLocks, AnyOneNodeMayBeAway) {
  for (const bool silent : {false, true}) {
    for (std::size_t away = 1; away <= 4; ++away) {
      LockWorld world(4);
      (silent ? world.hung : world.dead).insert(world.node(away).name);
      Gate gate;
      std::size_t number = away % 4 + 1;
      const TimePoint begun = world.clock.now();
      auto lease = world.take(number, "key", seconds(10));
      ASSERT_TRUE(lease);
      EXPECT_EQ(world.clock.now() - begun, 2 * world.delay) << "nobody waits for the one that is away";
      number = number % 4 + 1;
      Taken next;
      world.take_later(gate, number, "key", seconds(30), &next);
      world.pass(seconds(5));
      EXPECT_FALSE(next);
      lease->reset();
      world.pass(milliseconds(1));
      ASSERT_TRUE(next) << away << silent;
      EXPECT_TRUE(*next) << away << silent;
      world.wait_for(gate);
    }
  }
}

TEST(QuorumLocks, WithoutAMajorityItIsToldAtOnce) {
  LockWorld world(4);
  world.split({1, 2});
  for (std::size_t number = 1; number <= 4; ++number) {
    const TimePoint begun = world.clock.now();
    EXPECT_TRUE(world.take(number, "key", minutes(10)).failed_with(Errc::unavailable));
    EXPECT_LE(world.clock.now() - begun, kLockCall);
  }
  world.cut.clear();
  EXPECT_TRUE(world.take(1, "key", seconds(1)));
  world.hung = {"node3", "node4"};
  const TimePoint begun = world.clock.now();
  EXPECT_TRUE(world.take(1, "key", minutes(10)).failed_with(Errc::unavailable));
  EXPECT_LE(world.clock.now() - begun, kLockSilence) << "they may be short of CPU";
  world.hung.clear();
  EXPECT_TRUE(world.take(2, "key", seconds(1)));
}

TEST(QuorumLocks, NodesThatAreShortOfCpuAreWaitedFor) {
  LockWorld world(4);
  world.script = [](const NodeName&, const NodeName& to, const PeerCall&) {
    CallFate fate;
    if (to == "node3" || to == "node4") fate.delay = kLockSilence - milliseconds(500);
    return fate;
  };
  auto lease = world.take(1, "key", minutes(1));
  ASSERT_TRUE(lease) << lease.error().detail;
  world.script = {};
  world.pass(2 * kLockLease);
  EXPECT_TRUE(world.take(2, "key", milliseconds(50)).failed_with(Errc::deadline)) << "it is renewed";
  lease->reset();
  EXPECT_TRUE(world.take(2, "key", seconds(1)));
}

TEST(QuorumLocks, WhoeverWaitsIsToldThatTheMajorityWentAway) {
  LockWorld world(5);
  auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  Gate gate;
  Taken second, third;
  world.take_later(gate, 2, "key", minutes(10), &second);
  world.pass(seconds(1));
  world.take_later(gate, 3, "key", minutes(10), &third);
  world.pass(seconds(10));
  world.split({2, 3});
  world.pass(seconds(5));
  ASSERT_TRUE(second && third);
  EXPECT_TRUE(second->failed_with(Errc::unavailable));
  EXPECT_TRUE(third->failed_with(Errc::unavailable));
  world.pass(seconds(20));
  EXPECT_TRUE(world.take(4, "key", milliseconds(50)).failed_with(Errc::deadline)) << "it is still held";
  lease->reset();
  EXPECT_TRUE(world.take(5, "key", milliseconds(50)));
}

TEST(QuorumLocks, TheSideWithTheMajorityGoesOn) {
  LockWorld world(5);
  auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  world.split({1, 2});
  const TimePoint begun = world.clock.now();
  EXPECT_TRUE(world.take(3, "key", minutes(1)));
  EXPECT_LE(world.clock.now() - begun, kLockLease + kLockSweep);
}

// Each believes to have the turn, since they do not reach the same servers.
TEST(QuorumLocks, TwoThatCannotAgreeOnTheOrderGiveWay) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rivals rivals(4, seed);
    rivals.world.cut = {{"node1", "node3"}, {"node2", "node4"}};
    rivals.world.delay = milliseconds(1);
    Gate gate;
    for (const std::size_t number : {1U, 2U, 1U, 2U})
      gate.spawn(rivals.world.shard.executor(), Rivals::run(&rivals, number, 4));
    rivals.world.wait_for(gate);
    EXPECT_EQ(rivals.done, 16);
    EXPECT_EQ(rivals.unavailable, 0);
  }
}

TEST(QuorumLocks, ALostReleaseIsSentAgain) {
  LockWorld world(3);
  auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  world.hung = {"node2", "node3"};
  lease->reset();
  world.pass(kLockCall + milliseconds(10));
  world.hung.clear();
  const TimePoint begun = world.clock.now();
  EXPECT_TRUE(world.take(2, "key", minutes(1)));
  EXPECT_LE(world.clock.now() - begun, kLockCall + 2 * kLockRetry);
}

TEST(QuorumLocks, AnAnswerThatWasLostKeepsNothing) {
  LockWorld world(3);
  world.script = [](const NodeName&, const NodeName&, const PeerCall& call) {
    CallFate fate;
    fate.answer_lost = call.method == "lock.claim";
    fate.cut = true;
    return fate;
  };
  EXPECT_TRUE(world.take(1, "key", seconds(5)).failed_with(Errc::unavailable));
  world.script = nullptr;
  world.pass(milliseconds(10));
  for (auto& node : world.nodes) EXPECT_EQ(node->server.size().held, 0U);
  EXPECT_TRUE(world.take(2, "key", milliseconds(10)));
}

TEST(QuorumLocks, AServerThatStartsAgainLearnsOfItByTheRenewal) {
  LockWorld world(3);
  world.dead.insert("node3");
  auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  EXPECT_EQ(world.node(3).server.size().held, 0U);
  world.dead.clear();
  world.pass(2 * kLockRenewal);
  EXPECT_EQ(world.node(3).server.size().held, 1U);
  lease->reset();
  world.pass(milliseconds(1));
  EXPECT_EQ(world.node(3).server.size().held, 0U) << "and is told of its end";
}

// --- other things

TEST(QuorumLocks, NodesComeAndGo) {
  LockWorld world(4);
  for (auto& node : world.nodes) node->locks.set_nodes({node->name});
  auto alone = world.take(1, "key", seconds(1));
  ASSERT_TRUE(alone);
  EXPECT_TRUE(world.calls.empty());
  for (auto& node : world.nodes) node->locks.set_nodes({"node1", "node2", "node3", "node2"});
  EXPECT_TRUE(world.take(2, "key", seconds(1))) << "what was had before is not known to the others";
  EXPECT_TRUE(world.take(1, "key", milliseconds(10)).failed_with(Errc::deadline)) << "but here it is";
  alone->reset();
  world.dead.insert("node4");
  EXPECT_TRUE(world.take(1, "key", milliseconds(10)));
}

TEST(QuorumLocks, NamesThatAreTooLongAreRefused) {
  LockWorld world(2);
  EXPECT_TRUE(world.take(1, std::string(kMaxLockNameBytes - 1, 'x'), seconds(1)));
  EXPECT_TRUE(world.take(1, std::string(kMaxLockNameBytes, 'x'), seconds(1)).failed_with(Errc::too_large));
}

TEST(QuorumLocks, AServerThatIsFullCountsAsAway) {
  LockWorld world(3);
  for (const std::size_t number : {1U, 2U}) {
    Gate gate;
    for (std::size_t i = 0; i < kMaxPeerLocks; ++i) {
      const LockOwner owner{"node3", 1000 * number + i};
      static_cast<void>(world.node(number).server.try_claim(owner, std::to_string(i)));
    }
  }
  EXPECT_TRUE(world.take(3, "key", seconds(30)).failed_with(Errc::unavailable));
  EXPECT_TRUE(world.take(1, "key", seconds(30))) << "others have their own share";
}

}  // namespace
}  // namespace ostraka::cluster
