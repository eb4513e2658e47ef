#include "cmd/build_node.h"

#include <gmock/gmock.h>

#include <thread>

#include "base/limits.h"
#include "tests/unit/cmd/node_fixture.h"

namespace ostraka::cmd {
namespace {

using ::testing::HasSubstr;

class BuildNodeTest : public NodeFixture {
 protected:
  BuildNodeTest() {
    config_.root_user = "root-user";
    config_.root_password = "root-password";
  }

  Result<std::unique_ptr<Node>> build(NodeDrives drives) {
    return run_to_end(shard_, build_in(this, std::move(drives)));
  }
  static Task<Result<std::unique_ptr<Node>>> build_in(BuildNodeTest* self, NodeDrives drives) {
    Ctx ctx{self->shard_, self->clock_.now() + std::chrono::seconds(30), "test"};
    const Deps deps{self->clock_, self->random_, self->fs_, self->metrics_};
    co_return co_await build_node(ctx, deps, std::move(drives), self->config_);
  }
  void close(std::unique_ptr<Node> node) { run_to_end(shard_, node->close()); }

  ServerConfig config_;
};

TEST_F(BuildNodeTest, KeepsItsPlacementOverRestarts) {
  std::string placement;
  {
    auto drives = open();
    ASSERT_TRUE(drives.has_value());
    auto node = build(std::move(*drives));
    ASSERT_TRUE(node.has_value()) << node.error().detail;
    const control::DocumentPtr document = (*node)->control_store().get("cluster/placement");
    ASSERT_NE(document, nullptr);
    placement = document->content;
    close(std::move(*node));
  }
  wipe(1);
  wipe(3);
  auto drives = open();
  ASSERT_TRUE(drives.has_value());
  EXPECT_EQ(online(*drives), 4U);
  auto node = build(std::move(*drives));
  ASSERT_TRUE(node.has_value()) << node.error().detail;
  EXPECT_EQ((*node)->control_store().get("cluster/placement")->content, placement);
  close(std::move(*node));
}

TEST_F(BuildNodeTest, TooFewDrivesAreAnErrorAndNotAnEmptyStore) {
  {
    auto drives = open();
    ASSERT_TRUE(drives.has_value());
    auto node = build(std::move(*drives));
    ASSERT_TRUE(node.has_value());
    close(std::move(*node));
  }
  for (const std::size_t i : {0U, 2U, 4U}) wipe(i);
  auto drives = open();
  ASSERT_TRUE(drives.has_value());
  EXPECT_TRUE(build(std::move(*drives)).failed_with(Errc::unavailable));
}

TEST_F(BuildNodeTest, WaitsForDrivesThatComeLate) {
  {
    auto drives = open();
    ASSERT_TRUE(drives.has_value());
    auto node = build(std::move(*drives));
    ASSERT_TRUE(node.has_value());
    close(std::move(*node));
  }
  const auto away = [&](std::size_t i) { return folders_[i] + ".away"; };
  for (const std::size_t i : {0U, 2U, 4U}) std::filesystem::rename(folders_[i], away(i));
  auto drives = open();
  ASSERT_TRUE(drives.has_value());
  EXPECT_EQ(drives->awaited, (std::vector<bool>{true, false, true, false, true, false}));
  const disk::Drive* late = drives->drives[0].get();
  auto node = make_node({clock_, random_, fs_, metrics_}, std::move(*drives), config_);
  ASSERT_TRUE(node.has_value());
  EXPECT_EQ((*node)->drives_to_load(), 4U);
  const auto load = [&] {
    Ctx ctx{shard_, clock_.now() + std::chrono::seconds(30), "test"};
    return run_to_end(shard_, (*node)->load(ctx));
  };
  EXPECT_TRUE(load().failed_with(Errc::unavailable));
  EXPECT_TRUE(load().failed_with(Errc::unavailable));
  std::filesystem::rename(away(0), folders_[0]);
  const TimePoint deadline = clock_.now() + std::chrono::seconds(20);
  while (!late->online() && clock_.now() < deadline) std::this_thread::yield();
  const Result<> loaded = load();
  EXPECT_TRUE(loaded.has_value()) << loaded.error().detail;
  close(std::move(*node));
}

TEST_F(BuildNodeTest, MoreDrivesThanTheSetSpreadTheGroups) {
  auto drives = open(*erasure::make_geometry(2, 1));
  ASSERT_TRUE(drives.has_value());
  auto node = build(std::move(*drives));
  ASSERT_TRUE(node.has_value());
  // Two of three drives of some set: worse than two of six.
  std::vector<disk::DriveInfo> infos(6);
  for (std::size_t i = 2; i < 6; ++i) infos[i].online = true;
  EXPECT_EQ((*node)->console().assess_drives(infos).health, admin::Health::unavailable);
  infos[1].online = true;
  EXPECT_EQ((*node)->console().assess_drives(infos).health, admin::Health::degraded);
  close(std::move(*node));
}

TEST_F(BuildNodeTest, FollowsTheTableWhileItRuns) {
  auto drives = open(*erasure::make_geometry(2, 1));
  ASSERT_TRUE(drives.has_value());
  const std::vector<DriveId> ids = drives->ids;
  const DeploymentId deployment = drives->deployment;
  auto node = build(std::move(*drives));
  ASSERT_TRUE(node.has_value());
  std::vector<disk::DriveInfo> infos(6);
  for (std::size_t i = 1; i < 6; ++i) infos[i].online = true;
  EXPECT_EQ((*node)->console().assess_drives(infos).write_spare, 0U);
  control::ControlStore& control = (*node)->control_store();
  const control::DocumentPtr before = control.get(kPlacementDocument);
  auto table = *cluster::Placement::from_json(deployment, before->content);
  for (unsigned i = 0; i < kPlacementGroups; ++i) {
    const auto group = static_cast<std::uint16_t>(i);
    for (unsigned slot = 0; slot < 3; ++slot) {
      std::size_t to = 1;
      while (to < 6 && !table.move_slot(group, slot, ids[0], ids[to])) ++to;
    }
  }
  Ctx ctx{shard_, clock_.now() + std::chrono::seconds(30), "test"};
  ASSERT_TRUE(run_to_end(
      shard_, control.put(ctx, std::string(kPlacementDocument), table.to_json(), before->revision)));
  EXPECT_EQ((*node)->console().assess_drives(infos).write_spare, 1U) << "no set has the first drive any more";
  close(std::move(*node));
}

TEST_F(BuildNodeTest, ASettingThatDoesNotFitTheGeometryIsRefused) {
  config_.reduced_parity = 3;
  auto drives = open();
  ASSERT_TRUE(drives.has_value());
  EXPECT_TRUE(build(std::move(*drives)).failed_with(Errc::invalid_argument));
}

TEST(SlabTest, HoldsAPaddedStripeWithParity) {
  for (unsigned k = 1; k <= kMaxDataShards; ++k) {
    for (unsigned m = 0; m <= k; ++m) {
      const erasure::Geometry g = *erasure::make_geometry(k, m);
      const std::size_t bytes = slab_bytes(g, g);
      EXPECT_GE(bytes, disk::shard_block_bytes(kStripeBytes, k) * std::size_t{k + m});
      EXPECT_GE(bytes, kStripeBytes);
      EXPECT_EQ(bytes % 4096, 0U);
    }
  }
}

}  // namespace
}  // namespace ostraka::cmd
