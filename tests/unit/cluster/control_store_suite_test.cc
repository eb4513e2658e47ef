#include "control_store_suite.h"

#include "cluster/embedded_control_store.h"
#include "cluster/etcd_control_store.h"
#include "cluster/local_lock_service.h"
#include "etcd_cluster.h"
#include "system_drive.h"

namespace ostraka::cluster {
namespace {

class OnDrives {
 public:
  OnDrives() {
    for (std::uint8_t i = 1; i <= 3; ++i) drives_.push_back(std::make_unique<SystemDrive>(i));
    restart();
  }
  ~OnDrives() { run_to_end(shard_, gate_.close()); }
  Shard& shard() { return shard_; }
  control::ControlStore& store() { return *store_; }
  void restart() {
    std::vector<disk::Drive*> all;
    for (const auto& drive : drives_) all.push_back(drive.get());
    store_ = std::make_unique<EmbeddedControlStore>(clock_, gate_, locks_, all);
    Ctx ctx{shard_, kNoDeadline, "load"};
    EXPECT_TRUE(run_to_end(shard_, store_->load(ctx)).has_value());
  }

 private:
  SystemClock clock_;
  Shard shard_{0, clock_, ShardSpec{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}};
  Gate gate_;
  LocalLockService locks_;
  std::vector<std::unique_ptr<SystemDrive>> drives_;
  std::unique_ptr<EmbeddedControlStore> store_;
};

class OnEtcd {
 public:
  OnEtcd() { restart(); }
  ~OnEtcd() { close(); }
  Shard& shard() { return shard_; }
  control::ControlStore& store() { return *store_; }
  void restart() {
    if (store_) close();
    store_.reset();
    follower_.reset();
    client_ = std::make_unique<EtcdClient>(shard_, etcd_.config());
    follower_ = std::make_unique<EtcdFollower>(*client_, "/ostraka/test/");
    store_ = std::make_unique<EtcdControlStore>(*client_, *follower_, random_);
    Ctx ctx{shard_, clock_.now() + std::chrono::seconds(10), "load"};
    const auto loaded = run_to_end(shard_, store_->load(ctx, std::nullopt));
    EXPECT_TRUE(loaded.has_value()) << loaded.error().detail;
  }

 private:
  SystemClock clock_;
  SystemRandom random_;
  EtcdCluster etcd_{1};
  Shard shard_{0, clock_, ShardSpec{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}};
  void close() {
    run_to_end(shard_, follower_->close());
    run_to_end(shard_, store_->close());
  }
  std::unique_ptr<EtcdClient> client_;
  std::unique_ptr<EtcdFollower> follower_;
  std::unique_ptr<EtcdControlStore> store_;
};

using Backends = testing::Types<OnDrives, OnEtcd>;
INSTANTIATE_TYPED_TEST_SUITE_P(Kept, ControlStoreSuite, Backends);

}  // namespace
}  // namespace ostraka::cluster
