// What becomes of the commit leases of a node whose process is gone.
#include "cluster/quorum_lock_service.h"
#include "tests/unit/cluster/lock_world.h"

namespace ostraka::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Until a server has noticed that nothing was heard, and has asked.
constexpr Duration kFoundOut = kLockDoubt + kLockSweep + milliseconds(10);

bool tells_of_leases(const PeerCall& call) {
  return call.method == "lock.renew" || call.method == "lock.release";
}

TEST(QuorumLockDeath, AHolderThatIsSlowKeepsIt) {
  LockWorld world(4);
  const auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  EXPECT_TRUE(world.take(2, "key", minutes(1)).failed_with(Errc::deadline));
  EXPECT_GT(world.calls["lock.since"], 0);
}

TEST(QuorumLockDeath, AHolderWhoseHostSaysThatItIsGoneLosesIt) {
  LockWorld world(4);
  const auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  world.pass(minutes(1));
  world.gone.insert("node1");
  const TimePoint died = world.clock.now();
  EXPECT_TRUE(world.take(2, "key", minutes(1)));
  EXPECT_LE(world.clock.now() - died, kFoundOut);
}

TEST(QuorumLockDeath, AHolderThatStartedAgainLosesIt) {
  LockWorld world(4);
  const auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  world.dead.insert("node1");
  world.pass(seconds(1));
  // The old process says nothing any more.
  world.script = [](const NodeName& from, const NodeName&, const PeerCall& call) {
    CallFate fate;
    fate.unreachable = from == "node1" && tells_of_leases(call);
    return fate;
  };
  LockServer again({world.clock, world.shard});
  world.network.join("node1", again, world.shard);
  world.dead.clear();
  const TimePoint back = world.clock.now();
  EXPECT_TRUE(world.take(2, "key", minutes(1)));
  EXPECT_LE(world.clock.now() - back, kFoundOut);
  world.network.join("node1", world.node(1).server, world.shard);
}

TEST(QuorumLockDeath, AHolderThatIsHeardKeepsItThoughItIsNotReached) {
  LockWorld world(4);
  const auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  world.script = [&world](const NodeName& from, const NodeName& to, const PeerCall&) {
    CallFate fate;
    fate.refused = to == "node1" && from == "node2";  // its own rule of a firewall
    return fate;
  };
  EXPECT_TRUE(world.take(3, "key", minutes(1)).failed_with(Errc::deadline)) << "one server is no majority";
}

TEST(QuorumLockDeath, AHolderOfAnOlderReleaseIsGivenItsTime) {
  LockWorld world(4);
  const auto lease = world.take(1, "key", seconds(1));
  ASSERT_TRUE(lease);
  world.script = [](const NodeName& from, const NodeName& to, const PeerCall& call) {
    CallFate fate;
    fate.unreachable = from == "node1" && tells_of_leases(call);
    if (to == "node1" && call.method == "lock.since")
      fate.spoil_answer = [](Result<PeerAnswer>& answer) { answer = fail(Errc::unsupported_version, ""); };
    return fate;
  };
  const TimePoint begun = world.clock.now();
  EXPECT_TRUE(world.take(2, "key", minutes(1)));
  EXPECT_GE(world.clock.now() - begun, kLockLease - seconds(1));
  EXPECT_LE(world.clock.now() - begun, kLockLease + kLockSweep);
}

// All nodes write a few keys all the time, and one dies in the middle of it.
struct Load {
  explicit Load(std::uint64_t seed) : world(4, seed) {}
  LockWorld world;
  bool stop = false;
  TimePoint died = kNoDeadline;
  Duration longest{0};  // that somebody waited beyond the death
  int after = 0;        // leases that were had after it

  bool lives(std::size_t number) const {
    const NodeName& name = world.nodes[number - 1]->name;
    return !world.dead.contains(name) && !world.gone.contains(name);
  }
  static Task<> run(Load* self, std::size_t number) {
    LockWorld& world = self->world;
    while (!self->stop && self->lives(number)) {
      const TimePoint begun = world.clock.now();
      Ctx ctx{world.shard, begun + minutes(10), "load"};
      std::string name = "key" + std::to_string(world.random.below(3));
      auto lease = co_await world.node(number).locks.acquire(ctx, std::move(name));
      if (!self->lives(number)) co_return;
      EXPECT_TRUE(lease.has_value());
      const TimePoint got = world.clock.now();
      if (got > self->died) {
        self->longest = std::max<Duration>(self->longest, got - std::max(begun, self->died));
        ++self->after;
      }
      const auto work = milliseconds(1 + world.random.below(100));
      co_await sleep_for(world.clock, work);
      lease = fail(Errc::closed, "");
      const auto pause = milliseconds(world.random.below(100));
      co_await sleep_for(world.clock, pause);
    }
  }
};

TEST(QuorumLockDeath, NobodyWaitsForLong) {
  for (const bool known : {true, false}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      Load load(seed);
      Gate gate;
      for (std::size_t i = 0; i < 12; ++i)
        gate.spawn(load.world.shard.executor(), Load::run(&load, 1 + i % 4));
      load.world.pass(milliseconds(1000 + load.world.random.below(1000)));
      load.died = load.world.clock.now();
      (known ? load.world.gone : load.world.dead).insert("node1");
      load.world.pass(known ? seconds(5) : seconds(14));
      load.stop = true;
      load.world.wait_for(gate);
      EXPECT_GT(load.after, 50) << seed;
      // Besides, others of this node and the other nodes go first, 0.1 s each.
      EXPECT_LE(load.longest, known ? seconds(3) : kLockLease + kLockPoll + seconds(1)) << seed;
    }
  }
}

}  // namespace
}  // namespace ostraka::cluster
