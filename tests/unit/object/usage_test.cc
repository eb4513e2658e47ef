#include "object/usage.h"

#include <gtest/gtest.h>

#include "object_world.h"

namespace ostraka::object {
namespace {

using std::chrono::seconds;

DriveUsage drive(std::vector<std::pair<std::uint64_t, std::int64_t>> objects, std::uint64_t changes = 1,
                 bool full = true) {
  DriveUsage out;
  out.full = full;
  for (const auto& [bucket, count] : objects) {
    disk::BucketUsage usage;
    usage.bucket = BucketId{bucket};
    usage.objects = count;
    usage.object_bytes = count * 10;
    usage.changes = changes;
    out.buckets.push_back(usage);
  }
  return out;
}

struct Combined {
  std::uint64_t objects;
  bool exact;
  bool operator==(const Combined&) const = default;
};
Combined combined(const std::vector<std::optional<DriveUsage>>& answers, unsigned set_drives,
                  const std::vector<std::optional<DriveUsage>>& remembered = {}) {
  std::vector<const DriveUsage*> now, before(answers.size(), nullptr);
  for (const auto& answer : answers) now.push_back(answer ? &*answer : nullptr);
  for (std::size_t i = 0; i < remembered.size(); ++i) before[i] = remembered[i] ? &*remembered[i] : nullptr;
  const auto totals = combine_usage(now, before, set_drives);
  for (const BucketTotals& bucket : totals)
    if (bucket.bucket == BucketId{1}) return {bucket.objects, bucket.exact};
  return {0, totals.empty()};
}

TEST(CombineUsage, OneSetIsWhatMostDrivesSay) {
  EXPECT_EQ(combined({drive({{1, 8}}), drive({{1, 8}}), drive({{1, 8}})}, 3), (Combined{8, true}));
  EXPECT_EQ(combined({drive({{1, 8}}), drive({{1, 7}}, 99), drive({{1, 8}})}, 3), (Combined{8, false}));
  EXPECT_EQ(combined({drive({{1, 8}}), std::nullopt, drive({{1, 8}})}, 3), (Combined{8, false}));
  EXPECT_EQ(combined({drive({{1, 8}}), drive({}), drive({})}, 3), (Combined{0, true}));
}

TEST(CombineUsage, OfEquallyManyTheOneThatChangedMoreOften) {
  EXPECT_EQ(combined({drive({{1, 8}}, 20), drive({{1, 7}}, 21)}, 2), (Combined{7, false}));
  EXPECT_EQ(combined({drive({{1, 8}}, 22), drive({{1, 7}}, 21)}, 2), (Combined{8, false}));
}

TEST(CombineUsage, ADriveThatIsBeingRefilledHasNoSay) {
  EXPECT_EQ(combined({drive({{1, 2}}, 9, false), drive({{1, 2}}, 9, false), drive({{1, 8}})}, 3),
            (Combined{8, false}));
  EXPECT_EQ(combined({drive({{1, 2}}, 9, false)}, 1), (Combined{2, false}))
      << "better than nothing, and said to be uncertain";
}

TEST(CombineUsage, MoreDrivesThanASetAreAddedAndDivided) {
  EXPECT_EQ(combined({drive({{1, 6}}), drive({{1, 4}}), drive({{1, 5}}), drive({{1, 3}})}, 3),
            (Combined{6, true}));
  EXPECT_EQ(combined({drive({{1, 6}}), drive({{1, 4}}), drive({{1, 5}}), drive({{1, 2}})}, 3),
            (Combined{6, false}))
      << "one key is not everywhere yet";
}

TEST(CombineUsage, ForADriveThatIsAwayItsLastNumbersStandIn) {
  EXPECT_EQ(combined({drive({{1, 6}}), drive({{1, 4}}), drive({{1, 5}}), std::nullopt}, 3,
                     {std::nullopt, std::nullopt, std::nullopt, drive({{1, 3}})}),
            (Combined{6, false}));
  EXPECT_EQ(combined({drive({{1, 6}}), drive({{1, 4}}), drive({{1, 5}}), drive({{1, 1}}, 1, false)}, 3,
                     {std::nullopt, std::nullopt, std::nullopt, drive({{1, 3}})}),
            (Combined{6, false}));
  EXPECT_EQ(combined({drive({{1, 6}}), drive({{1, 4}}), drive({{1, 5}}), std::nullopt}, 3),
            (Combined{7, false}))
      << "15 of three drives make 20 of four, each key thrice, rounded";
}

class UsageTest : public testing::TestWithParam<unsigned> {
 protected:
  UsageTest() : world({.geometry = {2, 1}, .drives = GetParam()}) {
    UsageDeps deps{world.clock, world.metrics, *world.buckets, world.roster(), 3, world.gate};
    usage = std::make_unique<Usage>(std::move(deps));
  }
  BucketId id(const std::string& bucket = "bucket") {
    return (*world.buckets->find(BucketName(bucket)))->info.id;
  }
  BucketTotals ask(const std::string& bucket = "bucket", Duration max_age = Duration::zero()) {
    Ctx ctx = world.ctx();
    const UsagePtr snapshot = world.run(usage->get(ctx, max_age));
    const BucketTotals* found = snapshot->find(id(bucket));
    return found != nullptr ? *found : BucketTotals();
  }
  std::string create(const std::string& key) {
    Ctx ctx = world.ctx();
    UploadSpec spec;
    spec.bucket = BucketName("bucket");
    spec.key = ObjectKey(key);
    const auto made = world.run(world.layer->create_upload(ctx, spec));
    EXPECT_TRUE(made.has_value());
    return made ? made->upload_id : "";
  }
  disk::PartRecord put_part(const std::string& key, const std::string& upload, std::uint32_t number,
                            const std::string& text) {
    Ctx ctx = world.ctx();
    PartSpec spec;
    spec.bucket = BucketName("bucket");
    spec.key = ObjectKey(key);
    spec.upload_id = upload;
    spec.number = number;
    spec.expect.size = text.size();
    TextBody body(text, 1U << 20);
    auto part = world.run(world.layer->put_part(ctx, std::move(spec), body));
    EXPECT_TRUE(part.has_value());
    return part ? *part : disk::PartRecord();
  }

  ObjectWorld world;
  std::unique_ptr<Usage> usage;
};

TEST_P(UsageTest, IsNotExactWhileDataMoves) {
  ASSERT_TRUE(world.put("a", world.text(1000)));
  bool moving = true;
  UsageDeps deps{world.clock,
                 world.metrics,
                 *world.buckets,
                 world.roster(),
                 3,
                 world.gate,
                 [&moving] { return moving; }};
  usage = std::make_unique<Usage>(std::move(deps));
  EXPECT_FALSE(ask().exact);
  moving = false;
  EXPECT_TRUE(ask().exact);
}

TEST_P(UsageTest, IsExactAfterEveryKindOfWrite) {
  world.make_bucket("other");
  EXPECT_EQ(ask().objects, 0U);
  ASSERT_TRUE(world.put("a", world.text(1000)));
  ASSERT_TRUE(world.put("b", world.text(300'000)));
  ASSERT_TRUE(world.put("empty", ""));
  EXPECT_EQ(ask().objects, 3U);
  EXPECT_EQ(ask().object_bytes, 301'000U);
  ASSERT_TRUE(world.put("a", world.text(50)));  // overwritten
  world.pass(seconds(1));
  EXPECT_EQ(ask().objects, 3U);
  EXPECT_EQ(ask().object_bytes, 300'050U);
  ASSERT_TRUE(world.erase("b"));
  ASSERT_TRUE(world.erase("never"));
  world.pass(seconds(1));
  EXPECT_EQ(ask().objects, 2U);
  EXPECT_EQ(ask().object_bytes, 50U);

  Ctx ctx = world.ctx();
  CopySpec copy;
  copy.source_bucket = BucketName("bucket");
  copy.source_key = ObjectKey("a");
  copy.bucket = BucketName("other");
  copy.key = ObjectKey("copied");
  ASSERT_TRUE(world.run(world.layer->copy(ctx, copy)));
  EXPECT_EQ(ask("other").objects, 1U);
  EXPECT_EQ(ask("other").object_bytes, 50U);
  EXPECT_EQ(ask().objects, 2U);

  const std::string upload = create("m");
  const disk::PartRecord first = put_part("m", upload, 1, world.text(5U << 20));
  static_cast<void>(put_part("m", upload, 2, world.text(7000)));  // replaced by the next
  const disk::PartRecord second = put_part("m", upload, 2, world.text(6000));
  const std::string aborted = create("gone");
  static_cast<void>(put_part("gone", aborted, 1, world.text(123'456)));
  world.pass(seconds(1));
  EXPECT_EQ(ask().uploads, 2U);
  EXPECT_EQ(ask().part_bytes, (5U << 20) + 6000 + 123'456);
  EXPECT_EQ(ask().objects, 2U);
  Ctx abort = world.ctx();
  ASSERT_TRUE(world.run(world.layer->abort_upload(abort, BucketName("bucket"), ObjectKey("gone"), aborted)));
  CompleteSpec complete;
  complete.bucket = BucketName("bucket");
  complete.key = ObjectKey("m");
  complete.upload_id = upload;
  for (const auto* part : {&first, &second}) {
    CompletePart named;
    named.number = part->number;
    named.etag = hex(part->md5);
    complete.parts.push_back(named);
  }
  Ctx completing = world.ctx();
  ASSERT_TRUE(world.run(world.layer->complete_upload(completing, complete)));
  world.pass(seconds(2));
  const BucketTotals done = ask();
  EXPECT_EQ(done.objects, 3U);
  EXPECT_EQ(done.object_bytes, 50U + (5U << 20) + 6000);
  EXPECT_EQ(done.uploads, 0U);
  EXPECT_EQ(done.part_bytes, 0U);
  EXPECT_TRUE(done.exact);
}

TEST_P(UsageTest, ADriveThatIsAwayDoesNotChangeTheNumbers) {
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(world.put("k" + std::to_string(i), world.text(100)));
  world.pass(seconds(1));
  EXPECT_EQ(ask().objects, 40U);
  EXPECT_TRUE(ask().exact);
  world.memory[1]->set_online(false);
  const BucketTotals without = ask();
  EXPECT_EQ(without.objects, 40U);
  EXPECT_EQ(without.object_bytes, 4000U);
  EXPECT_FALSE(without.exact);
}

TEST_P(UsageTest, AnAnswerIsKeptForAWhileAndShownAsMetrics) {
  ASSERT_TRUE(world.put("a", "12345"));
  world.pass(seconds(1));
  EXPECT_EQ(ask("bucket", seconds(5)).objects, 1U);
  ASSERT_TRUE(world.put("b", "12345"));
  world.pass(seconds(1));
  EXPECT_EQ(ask("bucket", seconds(5)).objects, 1U) << "no older than allowed";
  world.pass(seconds(10));
  EXPECT_EQ(ask("bucket", seconds(5)).objects, 2U);
  const std::string text = world.metrics.prometheus_text();
  EXPECT_NE(text.find("ostraka_bucket_objects{bucket=\"bucket\"} 2"), std::string::npos) << text;
  EXPECT_NE(text.find("ostraka_bucket_bytes{bucket=\"bucket\"} 10"), std::string::npos) << text;
}

INSTANTIATE_TEST_SUITE_P(Drives, UsageTest, testing::Values(3U, 5U));

}  // namespace
}  // namespace ostraka::object
