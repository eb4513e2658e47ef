// A RemoteDrive over a drive in memory, and time that stands still between the steps of a test.
#pragma once

#include <map>

#include "cluster/limits.h"
#include "tests/unit/cluster/remote_world.h"
#include "tests/unit/cluster/stepping.h"
#include "tests/unit/disk/drive_caller.h"
#include "tests/unit/erasure/manual_clock.h"
#include "tests/unit/erasure/memory_drive.h"

namespace ostraka::cluster {

class RemoteDriveTest : public testing::Test {
 protected:
  RemoteDriveTest() {
    world_.network.follow([this](const NodeName&, const NodeName&, const PeerCall& call) {
      ++calls_[call.method];
      const auto fate = fates_.find(call.method);
      if (fate != fates_.end()) return fate->second;
      return all_;
    });
    world_.remote->start();
  }
  ~RemoteDriveTest() override { wait(done(RemoteWorld::close(&world_))); }

  void run_what_is_ready() { cluster::run_what_is_ready(shard_); }
  // Time goes on as far as it takes.
  template <class T>
  T wait(Task<T> task) {
    return wait_stepping(clock_, shard_, std::move(task));
  }
  void pass(Duration time) { pass_time(clock_, shard_, time); }
  Ctx within(Duration time) { return Ctx{shard_, clock_.now() + time, "test"}; }
  RemoteDrive& remote() { return *world_.remote; }
  Result<disk::CommitAnswer> commit(Ctx& ctx, const disk::ObjectRef& ref, unsigned n) {
    auto request = disk::DriveCaller::request(call_.inline_record(n), disk::kShard);
    return wait(remote().commit(ctx, ref, std::move(request)));
  }
  // A file object of shard 3 of 4+2 under the key.
  void put_file(const std::string& key, std::uint8_t data, unsigned n) {
    ASSERT_TRUE(call_.stage(data, disk::kBody));
    ASSERT_EQ(call_.verdict(disk::DriveCaller::ref(key), call_.file_record(n, {{data, disk::kBody}})),
              disk::Verdict::ok);
  }
  disk::StageSpec stage_spec(std::uint8_t data) {
    disk::StageSpec spec;
    spec.data = disk::data_id(data);
    spec.shard_index = 3;
    spec.data_shards = 4;
    spec.parity_shards = 2;
    spec.block_bytes = 4096;
    return spec;
  }
  std::unique_ptr<disk::ShardWriter> stage(std::uint8_t data) {
    Ctx ctx = within(std::chrono::seconds(5));
    auto writer = wait(remote().stage(ctx, stage_spec(data)));
    EXPECT_TRUE(writer) << writer.error().detail;
    return writer ? std::move(*writer) : nullptr;
  }
  Result<> append(disk::ShardWriter& writer, std::size_t blocks = 1) {
    BufferChain chain;
    for (std::size_t i = 0; i < blocks; ++i) chain.push_back(disk::slice_of(std::string(4096, 'x')));
    Ctx ctx = within(std::chrono::seconds(5));
    return wait(writer.append(ctx, std::move(chain)));
  }
  Result<> finish(disk::ShardWriter& writer) {
    Ctx ctx = within(std::chrono::seconds(5));
    return wait(writer.finish(ctx));
  }
  bool has_file(std::uint8_t data) { return drive_.files().contains(disk::data_id(data)); }

  erasure::ManualClock clock_;
  Shard shard_{0, clock_, {.slab_bytes = 1U << 20, .max_slabs = 4, .keep_slabs = 1}};
  erasure::MemoryDrive drive_{clock_, 7};
  std::map<std::string, int> calls_;
  std::map<std::string, CallFate> fates_;  // by method
  CallFate all_;                           // of the others
  RemoteWorld world_{drive_, clock_, shard_};
  disk::DriveCaller call_{*world_.remote, shard_, clock_};
};

}  // namespace ostraka::cluster
