// A write that nobody needs any more gives its buffers back, though the drive is busy with others.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <deque>
#include <mutex>

#include "tests/unit/disk/drive_caller.h"
#include "tests/unit/disk/drive_world.h"

namespace ostraka::disk {
namespace {

// The jobs of a drive that hangs: they wait until it is released.
class HangingWorkers final : public Workers {
 public:
  explicit HangingWorkers(std::unique_ptr<Workers> real) : real_(std::move(real)) {}
  ~HangingWorkers() override { release(); }
  void post(Job job) override {
    {
      const std::lock_guard lock(mutex_);
      if (hangs_) {
        waiting_.push_back(std::move(job));
        return;
      }
    }
    real_->post(std::move(job));
  }
  void post_after(Duration delay, Job job) override { real_->post_after(delay, std::move(job)); }
  std::size_t queued() const noexcept override { return real_->queued(); }
  void for_each(std::size_t count, const std::function<void(std::size_t)>& fn) override {
    real_->for_each(count, fn);
  }
  void hang() {
    const std::lock_guard lock(mutex_);
    hangs_ = true;
  }
  void release() {
    std::deque<Job> jobs;
    {
      const std::lock_guard lock(mutex_);
      hangs_ = false;
      jobs.swap(waiting_);
    }
    for (Job& job : jobs) real_->post(std::move(job));
  }

 private:
  std::unique_ptr<Workers> real_;
  std::mutex mutex_;
  bool hangs_ = false;
  std::deque<Job> waiting_;
};

class HangingPools final : public WorkersFactory {
 public:
  std::unique_ptr<Workers> make(std::string name, unsigned threads) override {
    const bool of_files = name.starts_with("drive-");
    auto workers = std::make_unique<HangingWorkers>(real_.make(std::move(name), threads));
    if (of_files) files = workers.get();
    return workers;
  }
  HangingWorkers* files = nullptr;

 private:
  WorkerPools real_;
};

TEST(ShardCancel, AnAppendThatHasNotBegunLetsGoOfItsSlices) {
  DriveWorld world(true);
  ASSERT_TRUE(world.format());
  HangingPools pools;
  const DriveDeps deps{world.fs, world.clock, world.indexes(), pools, world.metrics};
  LocalDrive drive(deps, world.folder(), test_format());
  ASSERT_TRUE(drive.start());
  DriveCaller caller(drive, world.shard, world.clock);
  StageSpec spec;
  spec.data = data_id(1);
  spec.block_bytes = 4096;
  auto writer = caller.wait(drive.stage(caller.ctx(), spec));
  ASSERT_TRUE(writer);

  pools.files->hang();
  BufferChain chain;
  Buffer slab = world.shard.buffers().try_acquire();
  chain.push_back(Slice{slab, slab.span()});
  slab = Buffer();
  std::optional<Result<>> appended;
  boost::asio::co_spawn(world.shard.executor(), (*writer)->append(caller.ctx(), std::move(chain)),
                        [&](std::exception_ptr error, Result<> done) {
                          if (error) std::rethrow_exception(error);
                          appended = std::move(done);
                        });
  world.shard.io().restart();
  world.shard.io().poll();
  EXPECT_FALSE(appended.has_value());
  EXPECT_EQ(world.shard.buffers().in_use(), 1U);
  (*writer)->cancel();
  EXPECT_EQ(world.shard.buffers().in_use(), 0U);

  pools.files->release();
  world.shard.io().restart();
  while (!appended) world.shard.io().run_one();
  EXPECT_TRUE(appended->failed_with(Errc::closed));
  writer->reset();
  caller.flush();
  OrphanSpec everything;
  everything.older_than_ms = world.clock.unix_ms() + 1000;
  const auto orphans = caller.wait(drive.find_orphans(caller.ctx(), everything));
  ASSERT_TRUE(orphans);
  EXPECT_EQ(orphans->files, 0U);
}

// The directory may not be synced; but the file is the drive's from the rename on.
TEST(ShardWriter, ThatFailsAfterItsFileIsInPlaceLeavesItThere) {
  DriveWorld world(true);
  ASSERT_TRUE(world.format());
  ASSERT_TRUE(world.start());
  constexpr std::uint64_t kBytes = 4000;
  {
    DriveCaller call(*world.drive, world.shard, world.clock);
    ASSERT_TRUE(call.stage(1, kBytes));
    ASSERT_EQ(call.verdict(DriveCaller::ref("k"), call.file_record(1, {{1, kBytes}})), Verdict::ok);
    world.fs.fail_dir_syncs = true;
    EXPECT_TRUE(call.stage(1, kBytes).failed_with(Errc::io)) << "one that replaces it";
    world.fs.fail_dir_syncs = false;
  }
  world.stop();  // with what the writer leaves to be done
  ASSERT_TRUE(world.start());
  DriveCaller call(*world.drive, world.shard, world.clock);
  EXPECT_TRUE(call.has_file(1, kBytes));
}

}  // namespace
}  // namespace ostraka::disk
