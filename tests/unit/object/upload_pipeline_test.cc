#include "object/upload_pipeline.h"

#include <gtest/gtest.h>

#include "tests/unit/object/object_world.h"

namespace ostraka::object {
namespace {

constexpr std::size_t kBodyBytes = 3 * kStripeBytes;

// A client that sends the first `sends` bytes of its body and then nothing, until it is cut off.
class StallingBody final : public net::BodySource {
 public:
  StallingBody(Clock& clock, std::size_t sends) : clock_(clock), left_(sends) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    if (left_ == 0) {
      co_await sleep_for(clock_, std::chrono::minutes(10));
      co_return fail(Errc::deadline);
    }
    const std::size_t bytes = std::min(left_, out.size());
    std::memset(out.data(), 's', bytes);
    left_ -= bytes;
    co_return bytes;
  }

 private:
  Clock& clock_;
  std::size_t left_;
};

Task<> stalled_put(ObjectWorld* world, std::size_t sends, std::string key) {
  Ctx ctx = world->ctx();
  PutSpec spec;
  spec.bucket = BucketName("bucket");
  spec.key = ObjectKey(key);
  spec.expect.size = kBodyBytes;
  StallingBody body(world->clock, sends);
  const auto stored = co_await world->layer->put(ctx, std::move(spec), body);
  EXPECT_TRUE(stored.failed_with(Errc::deadline));
}

Task<> healthy_put(ObjectWorld* world, std::size_t in_use, std::size_t files) {
  Shard& shard = world->shard;
  // Until the stalled ones wait: they have nothing else to do before the clock moves.
  co_await sleep_for(world->clock, std::chrono::seconds(1));
  EXPECT_EQ(shard.buffers().in_use(), in_use);
  EXPECT_EQ(world->files(), files);
  const TimePoint begin = world->clock.now();
  std::string text(kBodyBytes, 'h');
  const auto stored = co_await ObjectWorld::put_task(world, "bucket", "healthy", text, Conditions());
  EXPECT_TRUE(stored.has_value());
  EXPECT_LT(world->clock.now() - begin, std::chrono::seconds(30));
}

// Twice as many clients as there are buffers, each silent where it hurts most: nobody else notices.
TEST(UploadPipeline, ClientsThatStallHoldNoBuffers) {
  for (const std::size_t sends : {std::size_t{0}, kStripeBytes, 2 * kStripeBytes}) {
    ObjectWorld world;
    const std::size_t clients = 2 * world.shard.buffers().max_slabs();
    std::vector<Task<>> tasks;
    for (std::size_t i = 0; i < clients; ++i)
      tasks.push_back(stalled_put(&world, sends, "stalled/" + std::to_string(i)));
    tasks.push_back(healthy_put(&world, 0, sends == 0 ? 0 : clients * world.memory.size()));
    world.run_together(std::move(tasks));
    EXPECT_EQ(world.shard.buffers().in_use(), 0U) << sends;
    EXPECT_TRUE(world.get("healthy").has_value());
    const auto stalled = world.head("stalled/0");
    EXPECT_TRUE(stalled.failed_with(Errc::no_such_key)) << (stalled ? "there" : stalled.error().detail);
  }
}

Task<> put_and_check(ObjectWorld* world, std::string key, std::string text) {
  const auto stored = co_await ObjectWorld::put_task(world, "bucket", key, text, Conditions());
  const std::string etag = stored ? (*stored)->etag : std::string();
  EXPECT_EQ(etag, hex(digest(DigestKind::md5, text))) << key;
}

// Uploads of one shard are hashed together; each gets its own digest.
TEST(UploadPipeline, UploadsAtTheSameTimeGetTheirOwnEtags) {
  ObjectWorld world;
  std::vector<Task<>> tasks;
  for (std::size_t i = 0; i < 20; ++i) {
    const std::size_t bytes =
        i % 3 == 0 ? world.random.below(kMaxInlineBytes) : world.random.below(3 * kStripeBytes);
    tasks.push_back(put_and_check(&world, "key/" + std::to_string(i), world.text(bytes)));
  }
  world.run_together(std::move(tasks));
  for (std::size_t i = 0; i < 20; ++i) {
    const auto text = world.get("key/" + std::to_string(i));
    const auto record = world.head("key/" + std::to_string(i));
    ASSERT_TRUE(text.has_value() && record.has_value());
    EXPECT_EQ((*record)->etag, hex(digest(DigestKind::md5, *text)));
  }
}

}  // namespace
}  // namespace ostraka::object
