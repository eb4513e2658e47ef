#include "object/multipart_rules.h"
#include "object_world.h"

namespace ostraka::object {
namespace {

std::string md5(const std::string& text) {
  return digest(DigestKind::md5, text);
}

class MultipartTest : public testing::Test {
 protected:
  explicit MultipartTest(ObjectWorldSpec spec = {}) : world(spec) {}

  std::string create(const std::string& key = "k", ChecksumAlgorithm algorithm = ChecksumAlgorithm::none) {
    Ctx ctx = world.ctx();
    UploadSpec spec;
    spec.bucket = BucketName("bucket");
    spec.key = ObjectKey(key);
    spec.algorithm = algorithm;
    spec.attributes.headers = {{"content-type", "text/plain"}};
    spec.attributes.user_metadata = {{"a", "1"}};
    const auto made = world.run(world.layer->create_upload(ctx, spec));
    EXPECT_TRUE(made.has_value());
    return made ? made->upload_id : "";
  }
  static Task<Result<disk::PartRecord>> part_task(ObjectWorld* w, std::string key, std::string id,
                                                  std::uint32_t number, std::string text, bool slow) {
    Ctx ctx = w->ctx();
    PartSpec spec;
    spec.bucket = BucketName("bucket");
    spec.key = ObjectKey(key);
    spec.upload_id = id;
    spec.number = number;
    spec.expect.size = text.size();
    TextBody body(text, 1U << 20);
    if (slow) body.pause = &w->clock;
    co_return co_await w->layer->put_part(ctx, std::move(spec), body);
  }
  Result<disk::PartRecord> put_part(const std::string& id, std::uint32_t number, const std::string& text,
                                    const std::string& key = "k") {
    return world.run(part_task(&world, key, id, number, text, false));
  }
  static CompleteSpec complete_spec(const std::string& id,
                                    const std::vector<std::pair<std::uint32_t, std::string>>& parts) {
    CompleteSpec spec;
    spec.bucket = BucketName("bucket");
    spec.key = ObjectKey("k");
    spec.upload_id = id;
    for (const auto& [number, text] : parts) {
      CompletePart part;
      part.number = number;
      part.etag = hex(md5(text));
      spec.parts.push_back(part);
    }
    return spec;
  }
  Result<RecordPtr> complete(CompleteSpec spec) {
    Ctx ctx = world.ctx();
    return world.run(world.layer->complete_upload(ctx, std::move(spec)));
  }
  Result<RecordPtr> complete(const std::string& id,
                             const std::vector<std::pair<std::uint32_t, std::string>>& parts) {
    return complete(complete_spec(id, parts));
  }
  Result<> abort(const std::string& id, const std::string& key = "k") {
    Ctx ctx = world.ctx();
    return world.run(world.layer->abort_upload(ctx, BucketName("bucket"), ObjectKey(key), id));
  }
  Result<PartsPage> list_parts(const std::string& id, std::uint32_t after = 0, std::size_t max = 1000) {
    Ctx ctx = world.ctx();
    return world.run(world.layer->list_parts(ctx, BucketName("bucket"), ObjectKey("k"), id, after, max));
  }
  Result<UploadsPage> list_uploads(UploadsQuery query = {}) {
    Ctx ctx = world.ctx();
    query.bucket = BucketName("bucket");
    return world.run(world.layer->list_uploads(ctx, query));
  }

  ObjectWorld world;
};

TEST_F(MultipartTest, PartsBecomeOneObject) {
  const std::string a = world.text(kMinPartBytes), b = world.text(kMinPartBytes + 12345), c = world.text(17);
  const std::string id = create();
  const auto second = put_part(id, 5, b);
  ASSERT_TRUE(second.has_value()) << second.error().detail;
  EXPECT_EQ(second->md5, md5(b));
  EXPECT_EQ(second->size, b.size());
  ASSERT_TRUE(put_part(id, 1, a).has_value());
  ASSERT_TRUE(put_part(id, 9, c).has_value());
  EXPECT_TRUE(world.head("k").failed_with(Errc::no_such_key));
  const auto done = complete(id, {{1, a}, {5, b}, {9, c}});
  ASSERT_TRUE(done.has_value()) << done.error().detail;
  EXPECT_EQ((*done)->etag, hex(md5(md5(a) + md5(b) + md5(c))) + "-3");
  const std::string whole = a + b + c;
  EXPECT_TRUE(*world.get("k") == whole);
  EXPECT_TRUE(*world.get("k", ByteRange{a.size() - 3, a.size() + 3}) == whole.substr(a.size() - 3, 6));
  EXPECT_TRUE(*world.get("k", ByteRange{whole.size() - 20, whole.size()}) == whole.substr(whole.size() - 20));
  const auto record = world.head("k");
  EXPECT_EQ((*record)->size, whole.size());
  EXPECT_EQ((*record)->user_metadata, (StringPairs{{"a", "1"}}));
  const auto crc = make_checksum(ChecksumAlgorithm::crc64nvme);
  crc->update(as_bytes(whole));
  EXPECT_EQ((*record)->checksum, crc->finish());
  EXPECT_TRUE(list_parts(id).failed_with(Errc::no_such_upload));
  EXPECT_TRUE(put_part(id, 2, "x").failed_with(Errc::no_such_upload));
  EXPECT_TRUE(abort(id).failed_with(Errc::no_such_upload));
  EXPECT_TRUE(*world.get("k") == whole);
  EXPECT_TRUE(list_uploads()->uploads.empty());
}

// Or its id could not say that the upload has ended, on a drive that has missed that.
TEST_F(MultipartTest, TheObjectIsLaterThanItsUploadWhateverTheClockOfTheNodeThatCompletesIt) {
  world.clock.set_wall(std::chrono::seconds(5));
  const std::string id = create();
  ASSERT_TRUE(put_part(id, 1, "one").has_value());
  const disk::ObjectRef row =
      world.sets->upload((*world.buckets->find(BucketName("bucket")))->info.id, ObjectKey("k"), id);
  const VersionId begun = world.memory[0]->state(row)->newest();
  world.clock.set_wall(-std::chrono::seconds(5));
  Hlc hlc{2};
  erasure::SetContext context{.clock = world.clock,
                              .random = world.random,
                              .hlc = hlc,
                              .locks = world.locks,
                              .background = world.gate,
                              .metrics = world.metrics};
  SetTable table = world.table;
  for (std::uint16_t group = 0; group < kPlacementGroups; ++group)
    table.sets[group] = erasure::make_erasure_set(context, group, 1, table.sets[group]->geometry(),
                                                  table.sets[group]->drives());
  ObjectSets sets(std::make_shared<const SetTable>(std::move(table)), *make_storage_classes({2, 1}, 0));
  ErasureObjectLayer other(
      LayerDeps{world.clock, world.random, hlc, world.locks, world.gate, *world.buckets, sets});
  Ctx ctx = world.ctx();
  const auto done = world.run(other.complete_upload(ctx, complete_spec(id, {{1, "one"}})));
  ASSERT_TRUE(done.has_value()) << done.error().detail;
  EXPECT_GT((*done)->id, begun);
  world.pass(std::chrono::seconds(10));  // nothing of the other node is under way any more
}

TEST_F(MultipartTest, CompletingTwiceGivesTheSameAnswer) {
  const std::string id = create();
  ASSERT_TRUE(put_part(id, 1, "one").has_value());
  const auto first = complete(id, {{1, "one"}});
  ASSERT_TRUE(first.has_value());
  auto again = complete_spec(id, {{1, "one"}});
  again.conditions.if_none_match = {"*"};
  const auto second = complete(again);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ((*second)->id, (*first)->id);
  ASSERT_TRUE(world.put("k", "newer").has_value());
  EXPECT_TRUE(complete(id, {{1, "one"}}).failed_with(Errc::no_such_upload));
  EXPECT_EQ(*world.get("k"), "newer");
  world.pass(std::chrono::seconds(1));
}

Task<> race_complete(ObjectWorld* world, Duration wait, CompleteSpec spec,
                     std::vector<Result<RecordPtr>>* out) {
  co_await sleep_for(world->clock, wait);
  Ctx ctx = world->ctx();
  Result<RecordPtr> done = co_await world->layer->complete_upload(ctx, std::move(spec));
  out->push_back(std::move(done));
}

TEST_F(MultipartTest, RacingCompletesAgree) {
  const std::string id = create();
  ASSERT_TRUE(put_part(id, 1, "one").has_value());
  world.slow_drives(3);
  std::vector<Result<RecordPtr>> results;
  std::vector<Task<>> tasks;
  for (int i = 0; i < 8; ++i)
    tasks.push_back(race_complete(&world, Duration(0), complete_spec(id, {{1, "one"}}), &results));
  world.run_together(std::move(tasks));
  ASSERT_EQ(results.size(), 8U);
  for (const auto& result : results) {
    ASSERT_TRUE(result.has_value()) << result.error().detail;
    EXPECT_EQ((*result)->id, (*results[0])->id);
  }
}

TEST_F(MultipartTest, AReplacedPartCountsAsItIsNow) {
  const std::string id = create();
  ASSERT_TRUE(put_part(id, 1, "old").has_value());
  ASSERT_TRUE(put_part(id, 1, "new").has_value());
  EXPECT_TRUE(complete(id, {{1, "old"}}).failed_with(Errc::invalid_part));
  EXPECT_TRUE(complete(id, {{1, "new"}}).has_value());
  EXPECT_EQ(*world.get("k"), "new");
  world.pass(std::chrono::seconds(1));
  EXPECT_EQ(world.files(), 3U);  // of the old part nothing is left
}

TEST_F(MultipartTest, WhatCannotBeCompletedCanBeTriedAgain) {
  const std::string id = create();
  EXPECT_TRUE(complete(id, {{1, "x"}}).failed_with(Errc::invalid_part));
  ASSERT_TRUE(put_part(id, 1, "one").has_value());
  ASSERT_TRUE(put_part(id, 2, "two").has_value());
  EXPECT_TRUE(complete(id, {{2, "two"}, {1, "one"}}).failed_with(Errc::invalid_part_order));
  EXPECT_TRUE(complete(id, {{1, "one"}, {2, "two"}}).failed_with(Errc::part_too_small));
  ASSERT_TRUE(world.put("k", "there").has_value());
  auto spec = complete_spec(id, {{1, "one"}});
  spec.conditions.if_none_match = {"*"};
  EXPECT_TRUE(complete(spec).failed_with(Errc::precondition_failed));
  EXPECT_EQ(list_parts(id)->parts.size(), 2U);
  ASSERT_TRUE(world.erase("k").has_value());
  EXPECT_TRUE(complete(spec).has_value());
  EXPECT_EQ(*world.get("k"), "one");
}

TEST_F(MultipartTest, WrongNamesAndNumbers) {
  const std::string id = create();
  for (const std::string& bad :
       {std::string(), std::string("../x"), std::string(kUploadIdBytes, '0'), std::string(5000, 'a')}) {
    EXPECT_TRUE(put_part(bad, 1, "x").failed_with(Errc::no_such_upload));
    EXPECT_TRUE(complete(bad, {{1, "x"}}).failed_with(Errc::no_such_upload));
    EXPECT_TRUE(abort(bad).failed_with(Errc::no_such_upload));
    EXPECT_TRUE(list_parts(bad).failed_with(Errc::no_such_upload));
  }
  EXPECT_TRUE(put_part(id, 1, "x", "other-key").failed_with(Errc::no_such_upload));
  EXPECT_TRUE(put_part(id, 0, "x").failed_with(Errc::invalid_argument));
  EXPECT_TRUE(put_part(id, kMaxParts + 1, "x").failed_with(Errc::invalid_argument));
  EXPECT_TRUE(put_part(id, kMaxParts, "x").has_value());
}

TEST_F(MultipartTest, ChecksumAlgorithms) {
  Ctx ctx = world.ctx();
  const std::string id = create("k", ChecksumAlgorithm::sha256);
  PartSpec spec;
  spec.bucket = BucketName("bucket");
  spec.key = ObjectKey("k");
  spec.upload_id = id;
  spec.number = 1;
  spec.expect.size = 3;
  spec.expect.algorithm = ChecksumAlgorithm::crc32;
  TextBody body("abc");
  EXPECT_TRUE(world.run(world.layer->put_part(ctx, spec, body)).failed_with(Errc::invalid_argument));
  EXPECT_EQ(body.reads, 0);
  spec.expect.algorithm = ChecksumAlgorithm::none;
  const auto part = world.run(world.layer->put_part(ctx, spec, body));
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ(part->checksum, digest(DigestKind::sha256, "abc"));
  const auto done = complete(id, {{1, "abc"}});
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ((*done)->checksum_type, ChecksumType::composite);
  EXPECT_EQ((*done)->checksum, digest(DigestKind::sha256, digest(DigestKind::sha256, "abc")));
}

TEST_F(MultipartTest, AbortLeavesNothing) {
  const std::string id = create();
  for (std::uint32_t n = 1; n <= 40; ++n) ASSERT_TRUE(put_part(id, n, "part").has_value());
  EXPECT_GT(world.files(), 0U);
  ASSERT_TRUE(abort(id).has_value());
  EXPECT_TRUE(abort(id).failed_with(Errc::no_such_upload));
  EXPECT_TRUE(list_uploads()->uploads.empty());
  world.pass(std::chrono::seconds(1));
  EXPECT_EQ(world.files(), 0U);
}

Task<> race_part(ObjectWorld* world, Task<Result<disk::PartRecord>> task, Result<disk::PartRecord>* out) {
  *out = co_await std::move(task);
  static_cast<void>(world);
}
Task<> race_abort(ObjectWorld* world, Duration wait, std::string id, Result<>* out) {
  co_await sleep_for(world->clock, wait);
  Ctx ctx = world->ctx();
  BucketName bucket("bucket");
  ObjectKey key("k");
  *out = co_await world->layer->abort_upload(ctx, std::move(bucket), std::move(key), std::move(id));
}

TEST_F(MultipartTest, AbortWhileAPartArrives) {
  for (unsigned wait = 0; wait < 12; ++wait) {
    const std::string id = create();
    Result<disk::PartRecord> part;
    Result<> aborted;
    world.slow_drives(2);
    std::vector<Task<>> tasks;
    tasks.push_back(race_part(&world, part_task(&world, "k", id, 1, world.text(3 << 20), true), &part));
    tasks.push_back(race_abort(&world, std::chrono::milliseconds(wait), id, &aborted));
    world.run_together(std::move(tasks));
    EXPECT_TRUE(aborted.has_value());
    EXPECT_TRUE(part.has_value() || part.failed_with(Errc::no_such_upload)) << part.error().detail;
    world.pass(std::chrono::seconds(1));
    EXPECT_EQ(world.files(), 0U) << wait;
  }
}

// A part that is sent once more while its upload is completed must not take away the bytes of the object.
TEST_F(MultipartTest, CompleteWhileAPartIsReplaced) {
  unsigned old_won = 0, new_won = 0;
  for (unsigned seed = 0; seed < 30; ++seed) {
    world.slow_drives(0);
    const std::string before = world.text(200'000), after = world.text(200'000);
    const std::string id = create();
    ASSERT_TRUE(put_part(id, 1, before).has_value());
    world.slow_drives(5);
    Result<disk::PartRecord> part;
    std::vector<Result<RecordPtr>> results;
    std::vector<Task<>> tasks;
    tasks.push_back(race_part(&world, part_task(&world, "k", id, 1, after, seed % 2 == 0), &part));
    tasks.push_back(
        race_complete(&world, std::chrono::milliseconds(seed), complete_spec(id, {{1, before}}), &results));
    world.run_together(std::move(tasks));
    ASSERT_EQ(results.size(), 1U);
    world.pass(std::chrono::seconds(1));
    if (results[0]) {
      ++old_won;
      EXPECT_TRUE(part.failed_with(Errc::no_such_upload));
      EXPECT_TRUE(*world.get("k") == before);
    } else {
      ++new_won;
      EXPECT_TRUE(results[0].failed_with(Errc::invalid_part));
      EXPECT_TRUE(part.has_value());
      ASSERT_TRUE(complete(id, {{1, after}}).has_value());
      EXPECT_TRUE(*world.get("k") == after);
    }
  }
  EXPECT_GT(old_won, 0U);
  EXPECT_GT(new_won, 0U);
}

TEST_F(MultipartTest, ZeroBytes) {
  const std::string id = create();
  ASSERT_TRUE(put_part(id, 1, "").has_value());
  ASSERT_TRUE(complete(id, {{1, ""}}).has_value());
  EXPECT_EQ(*world.get("k"), "");
  EXPECT_EQ((*world.head("k"))->etag, hex(md5(md5(""))) + "-1");
}

TEST_F(MultipartTest, ListPartsInPages) {
  const std::string id = create();
  const std::string other = create();
  ASSERT_TRUE(put_part(other, 2, "other").has_value());
  for (const std::uint32_t n : {300U, 1U, 10000U, 2U, 256U})
    ASSERT_TRUE(put_part(id, n, std::to_string(n)).has_value());
  std::vector<std::uint32_t> numbers;
  std::uint32_t after = 0;
  for (int pages = 1;; ++pages) {
    const auto page = list_parts(id, after, 2);
    ASSERT_TRUE(page.has_value());
    for (const auto& part : page->parts) {
      numbers.push_back(part.number);
      EXPECT_EQ(part.md5, md5(std::to_string(part.number)));
    }
    EXPECT_EQ(page->upload->upload_id, id);
    if (!page->truncated) {
      EXPECT_EQ(pages, 3);
      break;
    }
    after = page->next_marker;
  }
  EXPECT_EQ(numbers, (std::vector<std::uint32_t>{1, 2, 256, 300, 10000}));
  EXPECT_TRUE(list_parts(id, 0, 0)->parts.empty());
  EXPECT_TRUE(list_parts(id, 10000)->parts.empty());
  EXPECT_FALSE(list_parts(id, 0, 5)->truncated);
}

TEST_F(MultipartTest, ListUploads) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const char* key : {"a", "b/1", "b/2", "b/2", "b/2", "c", "c/x", "d"})
    all.emplace_back(key, create(key));
  const auto everything = list_uploads();
  ASSERT_TRUE(everything.has_value());
  std::vector<std::pair<std::string, std::string>> got;
  for (const auto& upload : everything->uploads) got.emplace_back(upload.key, upload.upload_id);
  EXPECT_EQ(got, all);  // of one key, the older first
  EXPECT_FALSE(everything->truncated);
  EXPECT_EQ(everything->uploads[0].record->kind, disk::RecordKind::upload);

  got.clear();
  UploadsQuery query;
  query.max_uploads = 3;
  for (;;) {
    const auto page = list_uploads(query);
    for (const auto& upload : page->uploads) got.emplace_back(upload.key, upload.upload_id);
    if (!page->truncated) break;
    query.key_marker = page->next_key_marker;
    query.upload_id_marker = page->next_upload_id_marker;
  }
  EXPECT_EQ(got, all);

  query = {};
  query.key_marker = "b/2";  // without an upload: behind all uploads of the key
  ASSERT_EQ(list_uploads(query)->uploads.size(), 3U);
  EXPECT_EQ(list_uploads(query)->uploads[0].key, "c");
  query = {};
  query.delimiter = "/";
  auto rolled = list_uploads(query);
  EXPECT_EQ(rolled->common_prefixes, (std::vector<std::string>{"b/", "c/"}));
  EXPECT_EQ(rolled->uploads.size(), 3U);
  query.max_uploads = 2;
  rolled = list_uploads(query);
  EXPECT_TRUE(rolled->truncated);
  EXPECT_EQ(rolled->next_key_marker, "b/");
  query.key_marker = "b/";
  rolled = list_uploads(query);
  ASSERT_EQ(rolled->uploads.size(), 1U);
  EXPECT_EQ(rolled->uploads[0].key, "c");
  EXPECT_EQ(rolled->common_prefixes, (std::vector<std::string>{"c/"}));
  query = {};
  query.prefix = "b/";
  EXPECT_EQ(list_uploads(query)->uploads.size(), 4U);
  query.max_uploads = 0;
  EXPECT_FALSE(list_uploads(query)->truncated);
}

TEST_F(MultipartTest, CopyPart) {
  const std::string text = world.text(kMinPartBytes + 1000);
  ASSERT_TRUE(world.put("from", text).has_value());
  const std::string id = create();
  PartCopySpec spec;
  spec.source_bucket = spec.bucket = BucketName("bucket");
  spec.source_key = ObjectKey("from");
  spec.key = ObjectKey("k");
  spec.upload_id = id;
  spec.number = 1;
  Ctx ctx = world.ctx();
  auto part = world.run(world.layer->copy_part(ctx, spec));
  ASSERT_TRUE(part.has_value()) << part.error().detail;
  EXPECT_EQ(part->md5, md5(text));
  spec.number = 2;
  spec.source_range = ByteRange{100, 1100};
  part = world.run(world.layer->copy_part(ctx, spec));
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ(part->size, 1000U);
  ASSERT_TRUE(complete(id, {{1, text}, {2, text.substr(100, 1000)}}).has_value());
  EXPECT_TRUE(*world.get("k") == text + text.substr(100, 1000));
  spec.source_range = ByteRange{0, text.size() + 1};
  EXPECT_TRUE(world.run(world.layer->copy_part(ctx, spec)).failed_with(Errc::invalid_range));
  CopySpec copy;  // of a multipart object: an object of one piece
  copy.source_bucket = copy.bucket = BucketName("bucket");
  copy.source_key = ObjectKey("k");
  copy.key = ObjectKey("whole");
  const auto whole = world.run(world.layer->copy(ctx, copy));
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ((*whole)->etag, hex(md5(text + text.substr(100, 1000))));
}

TEST_F(MultipartTest, UploadsInProgressDoNotKeepABucketAlive) {
  const std::string id = create();
  ASSERT_TRUE(put_part(id, 1, "part").has_value());
  Ctx ctx = world.ctx();
  ASSERT_TRUE(world.run(world.layer->delete_bucket(ctx, BucketName("bucket"))).has_value());
  world.pass(std::chrono::seconds(1));
  EXPECT_EQ(world.files(), 0U);
}

}  // namespace
}  // namespace ostraka::object
