// Nodes with lock servers, and their commit leases, over a network in memory. Time goes on as far as it
// takes.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/limits.h"
#include "cluster/quorum_lock_service.h"
#include "tests/unit/cluster/memory_transport.h"
#include "tests/unit/cluster/stepping.h"
#include "tests/unit/erasure/manual_clock.h"
#include "tests/unit/erasure/seeded_random.h"

namespace ostraka::cluster {

using LeasePtr = std::unique_ptr<control::Lease>;

struct LockNode {
  LockNode(MemoryNetwork& network, Clock& clock, Random& random, Shard& shard, const NodeName& self)
      : name(self),
        server({clock, shard}),
        transport(network.transport(self)),
        locks({*transport, server, clock, random, shard}, self) {}
  NodeName name;
  LockServer server;
  std::unique_ptr<Transport> transport;
  QuorumLockService locks;
};

class LockWorld {
 public:
  explicit LockWorld(std::size_t count, std::uint64_t seed = 1) : random(seed) {
    std::vector<NodeName> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("node" + std::to_string(i + 1));
    for (const NodeName& name : names) {
      nodes.push_back(std::make_unique<LockNode>(network, clock, random, shard, name));
      LockNode& node = *nodes.back();
      network.join(name, node.server, shard);
      node.server.start();
      node.locks.start();
      node.locks.set_nodes(names);
    }
    network.follow([this](const NodeName& from, const NodeName& to, const PeerCall& call) {
      ++calls[call.method];
      CallFate fate = script ? script(from, to, call) : CallFate{};
      fate.delay += delay;
      fate.answer_delay += delay;
      fate.unreachable |= cut.contains({from, to}) || dead.contains(from) || dead.contains(to);
      fate.refused |= gone.contains(to);
      fate.unreachable |= gone.contains(from);
      fate.call_lost |= hung.contains(to);
      return fate;
    });
    run_what_is_ready();
  }
  LockWorld(const LockWorld&) = delete;
  LockWorld& operator=(const LockWorld&) = delete;
  ~LockWorld() { wait(done(close(this))); }

  LockNode& node(std::size_t number) { return *nodes[number - 1]; }
  void split(const std::set<std::size_t>& one_side) {
    for (std::size_t a = 1; a <= nodes.size(); ++a)
      for (std::size_t b = 1; b <= nodes.size(); ++b)
        if (one_side.contains(a) != one_side.contains(b)) cut.insert({node(a).name, node(b).name});
  }

  void run_what_is_ready() { cluster::run_what_is_ready(shard); }
  template <class T>
  T wait(Task<T> task) {
    return wait_stepping(clock, shard, std::move(task));
  }
  void wait_for(Gate& gate) {
    for (run_what_is_ready(); gate.inside() > 0; run_what_is_ready()) ASSERT_TRUE(clock.step());
  }
  void pass(Duration time) { pass_time(clock, shard, time); }
  Result<LeasePtr> take(std::size_t number, const std::string& name, Duration within) {
    Ctx ctx{shard, clock.now() + within, "test"};
    return wait(node(number).locks.acquire(ctx, name));
  }
  // Goes on by itself; out gets the lease, or the error.
  void take_later(Gate& gate, std::size_t number, std::string name, Duration within,
                  std::optional<Result<LeasePtr>>* out) {
    gate.spawn(shard.executor(),
               keep(take_task(&node(number).locks, &shard, std::move(name), clock.now() + within), out));
    run_what_is_ready();
  }
  static Task<Result<LeasePtr>> take_task(control::LockService* locks, Shard* shard, std::string name,
                                          TimePoint deadline) {
    Ctx ctx{*shard, deadline, "test"};
    co_return co_await locks->acquire(ctx, std::move(name));
  }

  erasure::ManualClock clock;
  erasure::SeededRandom random;
  Shard shard{0, clock, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}};
  MemoryNetwork network;
  std::vector<std::unique_ptr<LockNode>> nodes;
  std::map<std::string, int> calls;             // by method
  std::set<std::pair<NodeName, NodeName>> cut;  // from, to
  std::set<NodeName> dead, hung;
  std::set<NodeName> gone;                          // their hosts say so
  Duration delay = std::chrono::microseconds(100);  // of a message
  MemoryNetwork::Script script;

 private:
  static Task<> close(LockWorld* self) {
    for (auto& node : self->nodes) co_await node->locks.close();
    co_await self->network.close();
    for (auto& node : self->nodes) co_await node->server.close();
  }
};

}  // namespace ostraka::cluster
