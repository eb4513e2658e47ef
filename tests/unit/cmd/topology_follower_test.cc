// Drives that are added to a cluster and removed from it while a node runs, and a node that starts among
// them.
#include "cmd/topology_follower.h"

#include <gtest/gtest.h>

#include <map>

#include "cmd/join_cluster.h"
#include "disk/group_places.h"
#include "tests/unit/cmd/node_fixture.h"

namespace ostraka::cmd {
namespace {

using cluster::SlotState;

class NobodyThere final : public cluster::Transport {
 public:
  Task<Result<cluster::PeerAnswer>> call(Ctx&, const cluster::NodeName& node, cluster::PeerCall,
                                         std::vector<disk::BlockTarget>) override {
    ++asked[node];
    co_return fail(Errc::unavailable, "nobody is there");
  }
  std::map<cluster::NodeName, int> asked;
};

// One document that changes.
class OneDocument final : public control::ControlStore {
 public:
  control::DocumentPtr get(std::string_view) const override { return now_; }
  std::vector<control::DocumentPtr> list(std::string_view) const override { return {}; }
  Task<Result<control::DocumentPtr>> put(Ctx&, std::string, std::string,
                                         std::optional<std::uint64_t>) override {
    co_return fail(Errc::unavailable);
  }
  Task<Result<>> erase(Ctx&, std::string, std::optional<std::uint64_t>) override {
    co_return fail(Errc::unavailable);
  }
  void watch(std::string, Watcher watcher) override { watcher_ = std::move(watcher); }
  void set(const cluster::Topology& topology) {
    auto next = std::make_shared<control::Document>();
    next->name = cluster::kTopologyDocument;
    next->content = cluster::encode_topology(topology);
    next->revision = now_ ? now_->revision + 1 : 1;
    now_ = std::move(next);
    if (watcher_) watcher_(now_->name, now_);
  }

 private:
  control::DocumentPtr now_;
  Watcher watcher_;
};

class TopologyFollowerTest : public NodeFixture {
 protected:
  static cluster::DriveUrl url(const std::string& node, const std::string& folder) {
    return {node, 9000, folder};
  }
  void add(const std::string& node, const std::string& folder) {
    cluster::Topology::Slot slot;
    slot.url = url(node, folder);
    slot.id = DriveId{make_uuid(random_)};
    slot.added = true;
    topology_.slots.push_back(slot);
  }

  cluster::Topology topology_ = cluster::make_topology(
      random_, 1, {url("n1", "/d1"), url("n1", "/d2"), url("n2", "/d1"), url("n2", "/d2")}, 2, 1);
  NobodyThere transport_;
};

TEST_F(TopologyFollowerTest, GivesTheNodeTheDrivesThatAreAdded) {
  OneDocument control;
  control.set(topology_);
  const auto remote = [&](cluster::RemoteDriveSpec spec) {
    return std::make_unique<cluster::RemoteDrive>(
        cluster::RemoteDriveDeps{transport_, clock_, random_, shard_}, std::move(spec));
  };
  auto roster = std::make_shared<disk::DriveRoster>();
  std::vector<std::unique_ptr<cluster::RemoteDrive>> first;
  for (unsigned slot = 0; slot < 4; ++slot) {
    const auto& at = topology_.slots[slot];
    first.push_back(remote({at.url.node, at.id, to_string(at.url), slot}));
    roster->add({first.back().get(), at.url.node, to_string(at.url), 0});
  }
  first[2]->start();
  first[3]->start();
  std::vector<std::vector<cluster::NodeName>> met;
  int grown = 0;
  TopologyFollower follower({"n1", topology_.deployment, roster, remote,
                             [&](const cluster::Topology& now) { met.push_back(now.nodes()); },
                             [&] { ++grown; }});
  follower.watch(control);
  EXPECT_EQ(met, (std::vector<std::vector<cluster::NodeName>>{{"n1", "n2"}}));
  EXPECT_EQ(grown, 0);

  add("n3", "/d1");
  add("n1", "/d3");
  control.set(topology_);
  ASSERT_EQ(roster->size(), 6U);
  EXPECT_EQ(grown, 1);
  EXPECT_EQ(met.back(), (std::vector<cluster::NodeName>{"n1", "n2", "n3"}));
  for (std::size_t slot = 0; slot < 6; ++slot) {
    EXPECT_EQ((*roster)[slot]->id(), topology_.slots[slot].id);
    EXPECT_EQ(roster->find(topology_.slots[slot].id), (*roster)[slot]);
    EXPECT_EQ(roster->entry(slot).path, to_string(topology_.slots[slot].url));
  }
  EXPECT_EQ(roster->entry(4).node, "n3");
  run_to_end(shard_, sleep_for(clock_, std::chrono::milliseconds(1)));
  EXPECT_GT(transport_.asked["n3"], 0) << "its drive is looked for";
  EXPECT_EQ(transport_.asked["n1"], 0) << "one of this node's own waits for a restart";

  EXPECT_GT(transport_.asked["n2"], 0);
  topology_.slots[2].state = topology_.slots[3].state = SlotState::removed;
  control.set(topology_);
  run_to_end(shard_, sleep_for(clock_, std::chrono::milliseconds(1)));
  const int asked = transport_.asked["n2"];
  run_to_end(shard_, sleep_for(clock_, std::chrono::milliseconds(600)));  // two of its looks
  EXPECT_EQ(transport_.asked["n2"], asked) << "nobody looks for what was removed";
  EXPECT_GT(transport_.asked["n3"], 1);
  EXPECT_FALSE((*roster)[2]->online());
  EXPECT_EQ(grown, 1);
  EXPECT_EQ(met.back(), (std::vector<cluster::NodeName>{"n1", "n3"}));
  EXPECT_TRUE(roster->removed(2));
  EXPECT_FALSE(roster->removed(4));
  EXPECT_FALSE(roster->slot_of_path(to_string(topology_.slots[2].url)).has_value());
  run_to_end(shard_, follower.close());
  for (const auto& drive : first) run_to_end(shard_, drive->close());
}

TEST_F(TopologyFollowerTest, ANodeOpensWhatItWasToldOfAndWhatWasNotRemoved) {
  add("n1", "/d3");
  add("n1", "/d4");
  topology_.slots[0].state = SlotState::removed;
  const std::vector<cluster::DriveUrl> told{url("n1", "/d1"), url("n1", "/d2"), url("n2", "/d1"),
                                            url("n2", "/d2"), url("n1", "/d4")};
  EXPECT_EQ(cluster::first_difference(topology_, told), "");
  Membership cluster;
  cluster.topology = topology_;
  cluster.seen.resize(topology_.slots.size());
  EXPECT_EQ(own_folders(cluster, "n1", told), (std::vector<std::string>{"/d2", "/d4"}));
  EXPECT_EQ(own_folders(cluster, "n2", told), (std::vector<std::string>{"/d1", "/d2"}));
  cluster.seen[4] = true;  // it was in service: whoever forgot to name it shall not miss its data
  EXPECT_EQ(own_folders(cluster, "n1", told), (std::vector<std::string>{"/d2", "/d3", "/d4"}));
}

TEST_F(TopologyFollowerTest, ADriveThatIsFormattedLateAnswersOnlyForTheGroupsThatItHas) {
  topology_ = cluster::make_topology(
      random_, 1, {url("n1", folders_[0]), url("n1", folders_[1]), url("n2", folders_[2])}, 2, 1);
  std::vector<cluster::PlacementDrive> founders;
  for (const auto& slot : topology_.slots) founders.push_back({slot.id, slot.url.node});
  const auto table = cluster::Placement::make(topology_.deployment, founders, 3, 1);
  add("n1", folders_[3]);
  add("n2", folders_[4]);
  topology_.slots[1].state = SlotState::removed;
  const cluster::NodeName self = "n1";
  const std::vector<bool> seen(topology_.slots.size(), false);
  const auto remote = [&](cluster::RemoteDriveSpec spec) {
    return std::make_unique<cluster::RemoteDrive>(
        cluster::RemoteDriveDeps{transport_, clock_, random_, shard_}, std::move(spec));
  };
  DriveOpening opening{
      clock_,       random_, fs_, failing_indexes_, workers_, metrics_, {folders_[0], folders_[3]},
      std::nullopt, true};
  auto drives = open_cluster_drives(std::move(opening), {topology_, self, seen, remote, &table});
  ASSERT_TRUE(drives.has_value()) << drives.error().detail;
  ASSERT_EQ(drives->drives.size(), 5U);
  EXPECT_NE(drives->local[0], nullptr);
  EXPECT_EQ(drives->local[1], nullptr) << "removed";
  EXPECT_NE(drives->local[3], nullptr);
  EXPECT_EQ(drives->removed, (std::vector<bool>{false, true, false, false, false}));
  EXPECT_FALSE(std::filesystem::exists(folders_[1]));
  Ctx ctx{shard_, clock_.now() + std::chrono::seconds(10), "test"};
  const auto answers = [&](std::size_t slot, std::uint16_t group) {
    disk::ObjectRef ref;
    ref.key = "any";
    ref.group = group;
    ref.epoch = 1;
    return run_to_end(shard_, drives->drives[slot]->read(ctx, ref, {})).has_value();
  };
  for (const std::uint16_t group : std::vector<std::uint16_t>{0, 500, 1023}) {
    EXPECT_TRUE(answers(0, group));
    EXPECT_FALSE(answers(3, group)) << "no group of the table is its own";
  }
  for (cluster::RemoteDrive* drive : drives->remote)
    if (drive != nullptr) run_to_end(shard_, drive->close());
}

}  // namespace
}  // namespace ostraka::cmd
