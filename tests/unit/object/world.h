// The ground that tests of the object folder stand on: one shard on the test's own thread, a control store,
// and the buckets in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster/embedded_control_store.h"
#include "cluster/local_lock_service.h"
#include "object/bucket_store.h"
#include "runtime/shard.h"
#include "tests/unit/cluster/system_drive.h"

namespace ostraka::object {

class ControlWorld {
 public:
  ControlWorld() { restart_control(); }
  ~ControlWorld() { run(gate_.close()); }

  Ctx& ctx() { return ctx_; }
  Shard& shard() { return shard_; }
  Clock& clock() { return clock_; }
  Gate& gate() { return gate_; }
  Random& random() { return random_; }
  control::LockService& locks() { return locks_; }
  cluster::EmbeddedControlStore& control() { return *control_; }
  BucketStore& buckets() { return *buckets_; }
  cluster::SystemDrive& control_drive() { return control_drive_; }

  template <class T>
  T run(Task<T> task) {
    return run_to_end(shard_, std::move(task));
  }
  bool gate_spawn(Task<> task) { return gate_.spawn(shard_.executor(), std::move(task)); }
  // Runs all that can run now.
  void turn() {
    shard_.io().restart();
    shard_.io().poll();
  }

  // A new process over the same drive.
  void restart_control() {
    buckets_.reset();
    std::vector<disk::Drive*> drives{&control_drive_};
    control_ = std::make_unique<cluster::EmbeddedControlStore>(clock_, gate_, locks_, drives);
    buckets_ = std::make_unique<BucketStore>(*control_, clock_, random_, "test-region");
    const auto loaded = run(control_->load(ctx_));
    if (!loaded) std::abort();
  }

 protected:
  SystemClock clock_;
  SystemRandom random_;
  Shard shard_{0, clock_, ShardSpec{2U << 20, 64, 2}};
  Ctx ctx_{shard_, kNoDeadline, "test"};
  Gate gate_;
  cluster::LocalLockService locks_;
  cluster::SystemDrive control_drive_{1};
  std::unique_ptr<cluster::EmbeddedControlStore> control_;
  std::unique_ptr<BucketStore> buckets_;
};

}  // namespace ostraka::object
