// The guard against founding an empty control store in etcd over drives that hold documents.
#include "cmd/node_control_store.h"

#include "cluster/etcd_document.h"
#include "cluster/local_lock_service.h"
#include "tests/unit/cluster/scripted_etcd.h"
#include "tests/unit/cmd/node_fixture.h"

namespace ostraka::cmd {
namespace {

using cluster::StoreMark;

class NodeControlStoreTest : public NodeFixture {
 protected:
  NodeControlStoreTest() {
    folders_.resize(2);
    auto opened = open();
    EXPECT_TRUE(opened) << opened.error().detail;
    drives_ = std::move(*opened);
    config_.etcd.push_back(etcd_.address());
    etcd_.watches = {""};
  }
  ~NodeControlStoreTest() override {
    if (store_) run_to_end(shard_, store_->close());
    store_.reset();
    run_to_end(shard_, background_.close());
    run_to_end(shard_, etcd_.close());
  }
  // The node starts anew; the last `away` of its drives are not there.
  void start(std::size_t away = 0) {
    drives_ = NodeDrives();
    for (std::size_t i = folders_.size() - away; i < folders_.size(); ++i)
      std::filesystem::rename(folders_[i], folders_[i] + ".away");
    auto opened = open();
    ASSERT_TRUE(opened) << opened.error().detail;
    drives_ = std::move(*opened);
    ASSERT_EQ(online(drives_), folders_.size() - away);
  }
  void make_store() {
    control::Member self;
    self.name = "node1";
    store_ = std::make_unique<NodeControlStore>(NodeControlStoreDeps{
        clock_, random_, fs_, background_, locks_, drives_.local, config_, std::move(self), false});
  }
  Result<> load() {
    if (store_) run_to_end(shard_, store_->close());
    make_store();
    Ctx c = ctx();
    return run_to_end(shard_, store_->load(c));
  }
  void put(std::size_t slot, std::string_view name, std::string value) {
    Ctx c = ctx();
    const auto done =
        run_to_end(shard_, drives_.local[slot]->put_system(c, std::string(name), std::move(value)));
    EXPECT_TRUE(done) << done.error().detail;
  }
  void erase(std::size_t slot, std::string_view name) {
    Ctx c = ctx();
    const auto done = run_to_end(shard_, drives_.local[slot]->erase_system(c, std::string(name)));
    EXPECT_TRUE(done) << done.error().detail;
  }
  std::size_t mark(std::vector<disk::LocalDrive*> drives, const std::string& identity) {
    Ctx c = ctx();
    return run_to_end(shard_, write_store_mark(c, std::move(drives), StoreMark{"default", identity}));
  }
  Result<MarkFound> found() {
    Ctx c = ctx();
    return run_to_end(shard_, read_store_mark(c, drives_.local));
  }
  Ctx ctx() { return Ctx{shard_, clock_.now() + std::chrono::seconds(10), "test"}; }
  void found_store() { etcd_.holds = cluster::key_value("/ostraka/default/store/identity", 5, "one"); }

  cluster::ScriptedEtcd etcd_{shard_, 1};
  ControlStoreConfig config_;
  Gate background_;
  cluster::LocalLockService locks_;
  NodeDrives drives_;
  std::unique_ptr<NodeControlStore> store_;
};

TEST_F(NodeControlStoreTest, DrivesWithDocumentsAreNotTakenToEtcd) {
  put(1, "doc/bucket", "x");
  EXPECT_TRUE(load().failed_with(Errc::invalid_argument));
  erase(1, "doc/bucket");
  put(1, cluster::kBehindRecord, "x");  // it is yet to get its documents
  EXPECT_TRUE(load().failed_with(Errc::invalid_argument));
  erase(1, cluster::kBehindRecord);
  EXPECT_TRUE(load().failed_with(Errc::unavailable)) << "this etcd refuses to be changed";
  EXPECT_EQ(etcd_.changes, 1U) << "with all drives there, a store is founded";
}

TEST_F(NodeControlStoreTest, AStoreIsFoundedOnlyWhenAllDrivesHaveAnswered) {
  start(1);
  const auto loaded = load();
  ASSERT_TRUE(loaded.failed_with(Errc::unavailable));
  EXPECT_NE(loaded.error().detail.find("when all drives"), std::string::npos) << loaded.error().detail;
  EXPECT_EQ(etcd_.changes, 0U);
  found_store();
  Ctx c = ctx();
  EXPECT_TRUE(run_to_end(shard_, store_->load(c))) << "what is there is taken";
}

TEST_F(NodeControlStoreTest, TheStoreOfAClusterIsNotTakenByOneNodeAlone) {
  etcd_.holds = cluster::key_value("/ostraka/default/store/doc/cluster/topology", 6,
                                   cluster::encode_etcd_document("0123456789abcdef", "{}")) +
                "," + cluster::key_value("/ostraka/default/store/identity", 5, "one");
  const auto loaded = load();
  ASSERT_TRUE(loaded.failed_with(Errc::invalid_argument)) << (loaded ? "" : loaded.error().detail);
  EXPECT_NE(loaded.error().detail.find("store of a cluster"), std::string::npos) << loaded.error().detail;
  EXPECT_FALSE(found()->mark);
  EXPECT_EQ(etcd_.changes, 0U);
}

TEST_F(NodeControlStoreTest, ALateDriveWithDocumentsIsNotMarked) {
  found_store();
  ASSERT_TRUE(load());
  EXPECT_EQ(found()->drives, 2U);
  erase(1, cluster::kStoreMarkRecord);
  put(1, "doc/bucket", "x");
  Ctx c = ctx();
  EXPECT_TRUE(run_to_end(shard_, store_->sync_drive(c, *drives_.local[1])).failed_with(Errc::wrong_drive));
  EXPECT_TRUE(run_to_end(shard_, store_->sync_drive(c, *drives_.local[0])));
  EXPECT_EQ(found()->drives, 1U);
}

TEST_F(NodeControlStoreTest, OneThatWasAwayWhenTheDocumentsWereMovedIs) {
  found_store();
  EXPECT_EQ(mark({drives_.local[0]}, "one"), 1U);
  put(1, "doc/bucket", "x");
  ASSERT_TRUE(load());
  EXPECT_EQ(found()->drives, 2U);
}

TEST_F(NodeControlStoreTest, MarksAreCountedAndKept) {
  EXPECT_FALSE(found()->mark);
  EXPECT_EQ(mark({drives_.local[0]}, "one"), 1U);
  EXPECT_EQ(found()->drives, 1U);
  EXPECT_EQ(found()->mark->identity, "one");
  EXPECT_EQ(mark(drives_.local, "other"), 1U) << "one of another store keeps its mark";
  EXPECT_TRUE(found().failed_with(Errc::wrong_drive));
}

}  // namespace
}  // namespace ostraka::cmd
