// A node of a cluster that learns, while it runs, that all of its drives were removed.
#include <gtest/gtest.h>

#include "cluster/http_transport.h"
#include "cmd/build_node.h"
#include "tests/unit/cmd/node_requests.h"

namespace ostraka::cmd {
namespace {

class RemovedNodeTest : public NodeRequests {
 protected:
  RemovedNodeTest() {
    auto drives = open(*erasure::make_geometry(2, 1));
    EXPECT_TRUE(drives.has_value());
    drives->nodes.assign(6, "n1");
    topology_.deployment = drives->deployment;
    topology_.data_shards = 2;
    topology_.parity_shards = 1;
    for (std::size_t slot = 0; slot < 6; ++slot)
      topology_.slots.push_back({{"n1", 9000, folders_[slot]}, drives->ids[slot]});
    for (const char* folder : {"/d1", "/d2", "/d3"})
      topology_.slots.push_back({{"n2", 9000, folder}, DriveId{make_uuid(random_)}});
    const auto remote = [this](cluster::RemoteDriveSpec spec) {
      return std::make_unique<cluster::RemoteDrive>(
          cluster::RemoteDriveDeps{transport_, clock_, random_, shard_}, std::move(spec));
    };
    Deps deps{clock_, random_, fs_, metrics_};
    deps.peers.emplace(Peers{"n1", "n1:9000", transport_, [](const std::string&, cluster::PeerService*) {},
                             remote, [](const cluster::Topology&) {}});
    auto node = make_node(deps, std::move(*drives), config_);
    EXPECT_TRUE(node.has_value()) << node.error().detail;
    node_ = std::move(*node);
    Ctx ctx{shard_, clock_.now() + std::chrono::seconds(30), "test"};
    const Result<> loaded = run_to_end(shard_, node_->load(ctx));
    EXPECT_TRUE(loaded.has_value()) << loaded.error().detail;
  }
  ~RemovedNodeTest() override { run_to_end(shard_, node_->close()); }

  void tell_topology() {
    Ctx ctx{shard_, clock_.now() + std::chrono::seconds(30), "test"};
    ASSERT_TRUE(
        run_to_end(shard_, node_->control_store().put(ctx, std::string(cluster::kTopologyDocument),
                                                      cluster::encode_topology(topology_), std::nullopt)));
  }
  KeptAnswer ready() { return send(node_->console(), head(net::Method::get, "/health/ready")); }
  std::string leader() {
    const KeptAnswer answer =
        send(node_->console(), signed_head(net::Method::get, "/admin/v1/rebalance", ""));
    EXPECT_EQ(answer.status, 200U) << answer.text;
    return nlohmann::json::parse(answer.text).value("leader", "?");
  }

  cluster::Topology topology_;
  cluster::HttpTransport transport_{{&shard_}, random_, metrics_, {}};  // knows of no node
  std::unique_ptr<Node> node_;
};

// Others that took it for the leader could not ask it, and balancers should send it nobody.
TEST_F(RemovedNodeTest, LeadsNoMoreAndIsNotReady) {
  EXPECT_EQ(ready().status, 200U) << ready().text;
  tell_topology();
  EXPECT_EQ(ready().text.substr(0, 19), "1 of 2 nodes answer") << "n2 never does";
  EXPECT_EQ(leader(), "n1");
  for (std::size_t slot = 0; slot < 5; ++slot) topology_.slots[slot].state = cluster::SlotState::removed;
  tell_topology();
  EXPECT_EQ(leader(), "n1") << "it has a drive yet";
  topology_.slots[5].state = cluster::SlotState::removed;
  tell_topology();
  EXPECT_EQ(ready().status, 503U);
  EXPECT_EQ(ready().text, "removed from the cluster\n");
  EXPECT_EQ(leader(), "");
}

}  // namespace
}  // namespace ostraka::cmd
