// One node deletes a bucket while another one, which hears of changes later, writes into it.
#include <gtest/gtest.h>

#include "object_world.h"
#include "tests/unit/cluster/fake_membership.h"

namespace ostraka::object {
namespace {

// The control store as a node hears of it: in order, and each change a while later.
class LateStore final : public control::ControlStore {
 public:
  LateStore(control::ControlStore& store, ObjectWorld& world, cluster::FakeMembership& membership)
      : store_(store), world_(world), membership_(membership), last_(world.clock.now()) {}
  control::DocumentPtr get(std::string_view name) const override { return store_.get(name); }
  std::vector<control::DocumentPtr> list(std::string_view prefix) const override {
    return store_.list(prefix);
  }
  Task<Result<control::DocumentPtr>> put(Ctx& ctx, std::string name, std::string content,
                                         std::optional<std::uint64_t> expected) override {
    co_return co_await store_.put(ctx, std::move(name), std::move(content), expected);
  }
  Task<Result<>> erase(Ctx& ctx, std::string name, std::optional<std::uint64_t> expected) override {
    co_return co_await store_.erase(ctx, std::move(name), expected);
  }
  void watch(std::string prefix, Watcher watcher) override {
    store_.watch(std::move(prefix),
                 [this, watcher](const std::string& name, const control::DocumentPtr& now) {
                   last_ = std::max(last_, world_.clock.now() + late());
                   world_.gate.spawn(world_.shard.executor(), tell(this, watcher, last_, name, now));
                 });
  }

 private:
  Duration late() { return std::chrono::milliseconds(world_.random.below(10)); }
  static Task<> tell(LateStore* self, Watcher watcher, TimePoint at, std::string name,
                     control::DocumentPtr now) {
    co_await sleep_for(self->world_.clock, at - self->world_.clock.now());
    watcher(name, now);
    if (now) self->membership_.set_revision(now->revision);
  }

  control::ControlStore& store_;
  ObjectWorld& world_;
  cluster::FakeMembership& membership_;
  TimePoint last_;
};

// Waits until the other node has confirmed, or does not.
class Fence final : public control::WriteFence {
 public:
  Fence(Clock& clock, const cluster::FakeMembership& other, bool waits)
      : clock_(clock), other_(other), waits_(waits) {}
  bool may_write() const noexcept override { return true; }
  Task<Result<>> wait_until_known(Ctx&, std::uint64_t revision) override {
    while (waits_ && !knows(revision)) co_await sleep_for(clock_, std::chrono::milliseconds(1));
    co_return Result<>();
  }

 private:
  bool knows(std::uint64_t revision) const {
    return other_.known >= revision && (other_.holds.empty() || *other_.holds.begin() > revision);
  }
  Clock& clock_;
  const cluster::FakeMembership& other_;
  const bool waits_;
};

struct Tally {
  unsigned deleted = 0, kept = 0, lost = 0;
};

Task<> put_on(ObjectWorld* world, ObjectLayer* layer, Duration wait, int number, unsigned* acknowledged) {
  co_await sleep_for(world->clock, wait);
  Ctx ctx = world->ctx();
  PutSpec spec;
  spec.bucket = BucketName("short-lived");
  spec.key = ObjectKey("k" + std::to_string(number));
  spec.expect.size = 1;
  TextBody body("x");
  const auto put = co_await layer->put(ctx, std::move(spec), body);
  if (put)
    ++*acknowledged;
  else
    EXPECT_TRUE(put.failed_with(Errc::no_such_bucket) || put.failed_with(Errc::unavailable))
        << put.error().detail;
}

Task<> delete_on(ObjectWorld* world, ObjectLayer* layer, Duration wait, Result<>* out) {
  co_await sleep_for(world->clock, wait);
  Ctx ctx = world->ctx();
  BucketName name("short-lived");
  *out = co_await layer->delete_bucket(ctx, std::move(name));
}

void race(std::uint64_t seed, bool waits, Tally& tally) {
  ObjectWorld world(ObjectWorldSpec{erasure::Geometry{2, 1}, 0, seed});
  cluster::FakeMembership here, there;
  for (auto* membership : {&here, &there})
    for (const char* name : {"node1", "node2"}) membership->put(name, 1);
  LateStore late(*world.control, world, there);
  Fence fence(world.clock, there, waits), no_fence(world.clock, here, false);
  BucketStore first(*world.control, world.clock, world.random, "r", BucketCluster{&here, &fence, "node1"});
  BucketStore second(late, world.clock, world.random, "r", BucketCluster{&there, &no_fence, "node2"});
  LayerDeps deps{world.clock, world.random, world.hlc, world.locks, world.gate, first, *world.sets};
  ErasureObjectLayer one(deps);
  LayerDeps other{world.clock, world.random, world.hlc, world.locks, world.gate, second, *world.sets};
  ErasureObjectLayer two(other);
  world.make_bucket("short-lived");
  world.pass(std::chrono::milliseconds(20));
  world.slow_drives(4);
  unsigned acknowledged = 0;
  Result<> deleted;
  std::vector<Task<>> tasks;
  const auto wait = [&] { return std::chrono::milliseconds(world.random.below(60)); };
  tasks.push_back(delete_on(&world, &one, wait() / 3, &deleted));
  for (int i = 0; i < 3; ++i) tasks.push_back(put_on(&world, &two, wait(), i, &acknowledged));
  world.run_together(std::move(tasks));
  world.pass(std::chrono::milliseconds(20));
  EXPECT_EQ(second.find(BucketName("short-lived")).has_value(), !deleted.has_value());
  if (!deleted) {
    EXPECT_TRUE(deleted.failed_with(Errc::bucket_not_empty)) << deleted.error().detail;
    EXPECT_FALSE((*second.find(BucketName("short-lived")))->deleting);
  }
  ++(deleted ? tally.deleted : tally.kept);
  if (deleted) tally.lost += acknowledged;
  EXPECT_TRUE(there.holds.empty());
}

TEST(BucketDeletionRace, NoAcknowledgedObjectIsLostWithItsBucket) {
  Tally tally;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) race(seed, true, tally);
  EXPECT_EQ(tally.lost, 0U);
  EXPECT_GT(tally.deleted, 0U);
  EXPECT_GT(tally.kept, 0U);
}

TEST(BucketDeletionRace, WithoutTheFenceSomeAre) {
  Tally tally;
  for (std::uint64_t seed = 1; seed <= 25 && tally.lost == 0; ++seed) race(seed, false, tally);
  EXPECT_GT(tally.lost, 0U);
}

}  // namespace
}  // namespace ostraka::object
