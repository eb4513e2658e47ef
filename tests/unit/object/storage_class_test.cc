// Objects of REDUCED_REDUNDANCY while the setting storage.reduced_parity changes: what is there is judged by
// its own record, and no setting takes a version's quorum below the set's.
#include "object_world.h"

namespace ostraka::object {
namespace {

constexpr erasure::Geometry kSet{4, 4};  // w = 5, r = 4
constexpr std::size_t kSmall = 100, kLarge = 3'000'000;

class StorageClassTest : public testing::Test {
 protected:
  void configure(unsigned reduced_parity) { world.configure(kSet, reduced_parity); }

  static Task<Result<RecordPtr>> put_task(ObjectWorld* w, std::string key, std::string text) {
    Ctx ctx = w->ctx();
    PutSpec spec;
    spec.bucket = BucketName("bucket");
    spec.key = ObjectKey(key);
    spec.attributes.storage_class = "REDUCED_REDUNDANCY";
    spec.expect.size = text.size();
    TextBody body(text);
    co_return co_await w->layer->put(ctx, std::move(spec), body);
  }
  Result<RecordPtr> put(const std::string& key, const std::string& text) {
    return world.run(put_task(&world, key, text));
  }
  void set_online(std::size_t from, std::size_t to, bool online) {
    for (std::size_t i = from; i < to; ++i) world.memory[i]->set_online(online);
  }
  bool reads_without(std::size_t from, std::size_t to, const std::string& key, const std::string& text) {
    set_online(from, to, false);
    const auto got = world.get(key);
    set_online(from, to, true);
    return got && *got == text;
  }

  ObjectWorld world{ObjectWorldSpec{kSet}};
};

TEST_F(StorageClassTest, ObjectsSurviveWhatTheirOwnParityPromises) {
  for (const auto& [before, after] : {std::pair{4U, 1U}, std::pair{1U, 4U}}) {
    for (const std::size_t size : {kSmall, kLarge}) {
      SCOPED_TRACE(testing::Message() << before << " to " << after << ", " << size << " bytes");
      const std::string old_text = world.text(size), new_text = world.text(size);
      configure(before);
      ASSERT_TRUE(put("old", old_text).has_value());
      ASSERT_TRUE(put("replaced", old_text).has_value());
      ASSERT_TRUE(put("erased", old_text).has_value());
      configure(after);
      EXPECT_EQ((*world.head("old"))->parity_shards, before);
      EXPECT_TRUE(reads_without(0, before, "old", old_text));
      EXPECT_TRUE(reads_without(8 - before, 8, "old", old_text));
      const auto replaced = put("replaced", new_text);
      ASSERT_TRUE(replaced.has_value());
      EXPECT_EQ((*replaced)->parity_shards, after);
      EXPECT_TRUE(reads_without(0, after, "replaced", new_text));
      EXPECT_TRUE(world.erase("erased").has_value());
      EXPECT_TRUE(world.get("erased").failed_with(Errc::no_such_key));
    }
  }
}

TEST_F(StorageClassTest, AVersionKeepsTheQuorumItWasCommittedWith) {
  const std::string text = world.text(kLarge);
  configure(4);  // w = 5
  set_online(5, 8, false);
  const auto stored = put("k", text);
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ((*stored)->write_quorum, 5);
  set_online(5, 8, true);
  configure(1);  // w = 7
  EXPECT_TRUE(reads_without(0, 1, "k", text)) << "four holders answer, three drives never had it";

  set_online(0, 2, false);
  EXPECT_FALSE(put("k", world.text(kLarge)).has_value())
      << "six drives cannot take a version with a quorum of seven";
  set_online(0, 2, true);
  EXPECT_TRUE(reads_without(0, 0, "k", text));
}

TEST_F(StorageClassTest, AnUploadGoesOnWithTheParityItBeganWith) {
  configure(4);
  Ctx ctx = world.ctx();
  UploadSpec upload;
  upload.bucket = BucketName("bucket");
  upload.key = ObjectKey("k");
  upload.attributes.storage_class = "REDUCED_REDUNDANCY";
  const auto begun = world.run(world.layer->create_upload(ctx, upload));
  ASSERT_TRUE(begun.has_value());
  CompleteSpec complete;
  complete.bucket = upload.bucket;
  complete.key = upload.key;
  complete.upload_id = begun->upload_id;
  std::string whole;
  for (std::uint32_t number = 1; number <= 2; ++number) {
    const std::string text = world.text(number == 1 ? 5U << 20 : kLarge);
    PartSpec spec;
    spec.bucket = upload.bucket;
    spec.key = upload.key;
    spec.upload_id = begun->upload_id;
    spec.number = number;
    spec.expect.size = text.size();
    TextBody body(text, 1U << 20);
    Ctx part_ctx = world.ctx();
    ASSERT_TRUE(world.run(world.layer->put_part(part_ctx, std::move(spec), body)).has_value());
    CompletePart part;
    part.number = number;
    part.etag = hex(digest(DigestKind::md5, text));
    complete.parts.push_back(part);
    whole += text;
    configure(1);
  }
  Ctx end = world.ctx();
  const auto done = world.run(world.layer->complete_upload(end, std::move(complete)));
  ASSERT_TRUE(done.has_value()) << done.error().detail;
  EXPECT_EQ((*done)->parity_shards, 4);
  EXPECT_TRUE(reads_without(0, 4, "k", whole));
  EXPECT_TRUE(reads_without(4, 8, "k", whole));
}

TEST(StorageClasses, NoneHasASmallerQuorumThanTheSet) {
  for (unsigned k = 1; k <= kMaxDataShards; ++k) {
    for (unsigned m = 0; m <= k; ++m) {
      const erasure::Geometry set = *erasure::make_geometry(k, m);
      for (unsigned reduced = 0; reduced <= m; ++reduced) {
        const auto classes = make_storage_classes(set, reduced);
        if (!classes) continue;  // more data shards than there may be
        EXPECT_GE(classes->reduced.write_quorum(), set.write_quorum()) << k << '+' << m << ' ' << reduced;
      }
      EXPECT_FALSE(make_storage_classes(set, m + 1).has_value());
    }
  }
}

}  // namespace
}  // namespace ostraka::object
