// Healing over real drives: files on disk, replaced by rename, and their commits.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "disk/local_drive.h"
#include "disk/memory_index.h"
#include "runtime/shard.h"
#include "runtime/worker_pool.h"
#include "tests/unit/disk/temp_dir.h"
#include "tests/unit/erasure/heal_world.h"

namespace ostraka::erasure {
namespace {

constexpr std::size_t kMiB = 1U << 20;
constexpr Geometry kShape{4, 2};

struct LocalWorld {
  LocalWorld() {
    disk::DriveFormat format;
    format.deployment.bytes.fill(1);
    for (std::uint8_t i = 0; i < 6; ++i)
      format.drives.emplace_back().bytes.fill(static_cast<std::uint8_t>(i + 1));
    format.data_shards = kShape.data_shards;
    format.parity_shards = kShape.parity_shards;
    format.created_ms = 1'700'000'000'000;
    const disk::DriveDeps deps{fs, clock, indexes, workers, metrics};
    std::vector<disk::Drive*> doors;
    for (unsigned i = 0; i < 6; ++i) {
      format.slot = static_cast<std::uint16_t>(i);
      EXPECT_TRUE(disk::format_drive(fs, indexes, folder(i), format));
      drives.push_back(std::make_unique<disk::LocalDrive>(deps, folder(i), format));
      EXPECT_TRUE(drives.back()->start());
      faulty.push_back(std::make_unique<FaultyDrive>(*drives.back(), clock, gate));
      doors.push_back(faulty.back().get());
    }
    set = make_erasure_set(context, 7, 1, kShape, doors);
    ref.bucket = BucketId{42};
    ref.key = "key";
    ref.group = 7;
  }
  ~LocalWorld() { run_to_end(shard, gate.close()); }

  std::string folder(unsigned slot) const { return dir / ("drive" + std::to_string(slot)); }
  // Content by path.
  std::map<std::string, std::string> files(unsigned slot) const {
    std::map<std::string, std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder(slot) + "/data")) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      out[entry.path()] = std::string(std::istreambuf_iterator<char>(in), {});
    }
    return out;
  }
  Ctx ctx() { return Ctx{shard, clock.now() + std::chrono::seconds(60), "test"}; }
  template <class T>
  T run(Task<T> task) {
    return run_to_end(shard, std::move(task));
  }
  HealReport heal_deeply() {
    Ctx heal_ctx = ctx();
    auto report = run(set->heal(heal_ctx, ref, kDeep));
    EXPECT_TRUE(report.has_value()) << report.error().detail;
    return report ? std::move(*report) : HealReport();
  }

  disk::TempDir dir;
  PosixFs fs;
  SystemClock clock;
  WorkerPools workers;
  MetricRegistry metrics;
  disk::MemoryIndexFactory indexes;
  Shard shard{0, clock, ShardSpec{3U << 20, 24, 2}};
  SeededRandom random{1};
  Hlc hlc{1};
  NoLocks locks;
  Gate gate;
  SetContext context{clock, random, hlc, locks, gate, metrics};
  std::vector<std::unique_ptr<disk::LocalDrive>> drives;
  std::vector<std::unique_ptr<FaultyDrive>> faulty;
  std::unique_ptr<ErasureSet> set;
  disk::ObjectRef ref;
};

Task<Result<Committed>> put(LocalWorld* world, std::string body) {
  Ctx ctx = world->ctx();
  CO_TRY(writer, co_await world->set->stage(ctx, kShape, body.size()));
  for (std::size_t at = 0; at < body.size();) {
    CO_TRY(stripe, co_await writer->next_stripe(ctx));
    const std::size_t bytes = std::min(stripe.data.size(), body.size() - at);
    std::memcpy(stripe.data.data(), body.data() + at, bytes);
    at += bytes;
    CO_TRY_VOID(co_await writer->put_stripe(ctx, std::move(stripe), bytes));
  }
  CO_TRY(staged, co_await writer->finish(ctx));
  CommitSpec spec;
  spec.ref = world->ref;
  spec.body = std::move(staged);
  co_return co_await world->set->commit(ctx, std::move(spec));
}

TEST(LocalHeal, FilesComeBackAsTheyWere) {
  LocalWorld world;
  ASSERT_TRUE(world.run(put(&world, random_text(world.random, 3 * kMiB + 77))).has_value());
  std::vector<std::map<std::string, std::string>> before;
  for (unsigned slot = 0; slot < 6; ++slot) before.push_back(world.files(slot));
  ASSERT_EQ(before[1].size(), 1U);
  std::filesystem::remove(before[1].begin()->first);
  {
    std::fstream damaged(before[5].begin()->first, std::ios::binary | std::ios::in | std::ios::out);
    damaged.seekp(300'000);
    damaged.put('!');
    damaged.put('?');
  }
  ASSERT_NE(world.files(5), before[5]);
  const HealReport report = world.heal_deeply();
  EXPECT_EQ(report.outcome, Out::healed);
  EXPECT_EQ(report.shards[1].state, ShardState::no_shard);
  EXPECT_EQ(report.shards[5].state, ShardState::corrupt);
  for (unsigned slot = 0; slot < 6; ++slot) EXPECT_TRUE(world.files(slot) == before[slot]) << slot;
  EXPECT_EQ(world.heal_deeply().outcome, Out::healthy);

  std::filesystem::resize_file(before[2].begin()->first, 1000);  // no footer left
  EXPECT_EQ(world.heal_deeply().outcome, Out::healed);
  EXPECT_TRUE(world.files(2) == before[2]);
}

TEST(LocalHeal, WhatAWriteMissedIsBroughtWithItsFile) {
  LocalWorld world;
  world.faulty[3]->follow(losing("stage"));
  ASSERT_TRUE(world.run(put(&world, random_text(world.random, 2 * kMiB))).has_value());
  EXPECT_TRUE(world.files(3).empty());
  world.faulty[3]->follow(losing("commit"));
  EXPECT_EQ(world.heal_deeply().outcome, Out::partly);
  world.faulty[3]->follow({});
  EXPECT_EQ(world.heal_deeply().outcome, Out::healed);
  EXPECT_EQ(world.files(3).size(), 1U) << "and nothing of the heal that failed";
  EXPECT_EQ(world.heal_deeply().outcome, Out::healthy);
  Ctx ctx = world.ctx();
  disk::OrphanSpec orphans;
  orphans.older_than_ms = world.clock.unix_ms() + 10'000;
  const auto found = world.run(world.drives[3]->find_orphans(ctx, orphans));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->files, 0U);
}

}  // namespace
}  // namespace ostraka::erasure
