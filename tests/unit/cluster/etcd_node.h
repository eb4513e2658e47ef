// All that one node has in etcd, for tests over a real one.
#pragma once

#include <gtest/gtest.h>

#include "cluster/etcd_control_store.h"
#include "cluster/etcd_election.h"
#include "cluster/etcd_membership.h"
#include "cluster/etcd_session.h"
#include "runtime/random.h"

namespace ostraka::cluster {

constexpr ShardSpec kSmall{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0};
constexpr EtcdSessionSpec kShort{.ttl = std::chrono::seconds(2), .margin = std::chrono::milliseconds(500)};

inline control::Member self_of(const std::string& name) {
  control::Member out;
  out.name = name;
  out.address = name + ":9000";
  out.facts = R"({"version":"1"})";
  out.process = "process of " + name;
  return out;
}

struct EtcdNode {
  EtcdNode(Clock& c, Shard& s, EtcdConfig config, const std::string& name)
      : EtcdNode(c, s, std::move(config), self_of(name)) {}
  EtcdNode(Clock& c, Shard& s, EtcdConfig config, const control::Member& self)
      : clock(c),
        shard(s),
        client(s, std::move(config)),
        locks(self.locks),
        members(client, follower, session, self, [this] { return locks; }),
        election(client, follower, members) {
    store.on_revision([this](std::uint64_t revision) { members.set_revision(revision); });
    election.watch([this](const std::string& matter, std::optional<std::uint64_t> token) {
      led.push_back(token ? matter : "not " + matter);
    });
  }
  ~EtcdNode() { close(); }
  void begin() {
    Ctx ctx{shard, clock.now() + std::chrono::seconds(10), "load"};
    const Result<> loaded = run_to_end(shard, store.load(ctx, std::nullopt));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().detail;
    session.start();
    members.join();
    election.start();
  }
  void close() {
    if (std::exchange(closed, true)) return;
    run_to_end(shard, follower.close());
    client.abort();
    run_to_end(shard, store.close());
    run_to_end(shard, members.close());
    run_to_end(shard, election.close());
    run_to_end(shard, session.close());
  }
  std::string seen() {
    std::string out;
    for (const auto& member : members.members()) out += (out.empty() ? "" : " ") + member->name;
    return out;
  }

  Clock& clock;
  Shard& shard;
  EtcdClient client;
  EtcdFollower follower{client, "/ostraka/test/"};
  SystemRandom random;
  EtcdControlStore store{client, follower, random};
  EtcdSession session{client, kShort};
  std::vector<std::string> locks;  // that it has now
  EtcdMembership members;
  EtcdElection election;
  std::vector<std::string> led;
  bool closed = false;
};

}  // namespace ostraka::cluster
