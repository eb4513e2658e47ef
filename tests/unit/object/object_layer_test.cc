#include <algorithm>

#include "object_world.h"

namespace ostraka::object {
namespace {

std::string md5(const std::string& text) {
  return hex(digest(DigestKind::md5, text));
}
std::string sum(ChecksumAlgorithm algorithm, const std::string& text) {
  const auto checksum = make_checksum(algorithm);
  checksum->update(as_bytes(text));
  return checksum->finish();
}

TEST(ObjectLayer, EverySizeComesBack) {
  ObjectWorld world;
  for (const std::size_t size : {0U, 1U, 1000U, 131072U, 131073U, 1U << 20, (1U << 20) + 1, 3'500'000U}) {
    const std::string text = world.text(size);
    const auto record = world.put("key", text);
    ASSERT_TRUE(record.has_value()) << size << " " << record.error().detail;
    EXPECT_EQ((*record)->etag, md5(text));
    EXPECT_EQ((*record)->size, size);
    EXPECT_EQ((*record)->checksum_algorithm, ChecksumAlgorithm::crc64nvme);
    EXPECT_EQ((*record)->checksum, sum(ChecksumAlgorithm::crc64nvme, text));
    EXPECT_EQ((*record)->modified_ms, world.clock.unix_ms());
    const auto back = world.get("key");
    ASSERT_TRUE(back.has_value()) << size << " " << back.error().detail;
    EXPECT_TRUE(*back == text) << size;
    if (size < 100) continue;
    EXPECT_EQ(*world.get("key", ByteRange{10, 10}), "");
    EXPECT_EQ(*world.get("key", ByteRange{10, 77}), text.substr(10, 67));
    EXPECT_EQ(*world.get("key", ByteRange{size - 5, size}), text.substr(size - 5));
    EXPECT_TRUE(world.get("key", ByteRange{size - 5, size + 1}).failed_with(Errc::invalid_range));
  }
}

TEST(ObjectLayer, AttributesAreKept) {
  ObjectWorld world;
  Ctx ctx = world.ctx();
  PutSpec spec;
  spec.bucket = BucketName("bucket");
  spec.key = ObjectKey("k");
  spec.attributes.headers = {{"content-type", "text/plain"}};
  spec.attributes.user_metadata = {{"color", "red"}};
  spec.attributes.tags = {{"a", "b"}};
  spec.attributes.storage_class = "REDUCED_REDUNDANCY";
  spec.expect.size = 3;
  spec.expect.algorithm = ChecksumAlgorithm::sha1;
  TextBody body("abc");
  ASSERT_TRUE(world.run(world.layer->put(ctx, spec, body)).has_value());
  const auto record = world.head("k");
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ((*record)->headers, spec.attributes.headers);
  EXPECT_EQ((*record)->user_metadata, spec.attributes.user_metadata);
  EXPECT_EQ((*record)->tags, spec.attributes.tags);
  EXPECT_EQ((*record)->storage_class, "REDUCED_REDUNDANCY");
  EXPECT_EQ((*record)->checksum, sum(ChecksumAlgorithm::sha1, "abc"));
}

TEST(ObjectLayer, ReducedRedundancyHasLessParity) {
  const auto classes = make_storage_classes(erasure::Geometry{4, 4}, 0);
  ASSERT_TRUE(classes.has_value());
  EXPECT_EQ(classes->reduced, (erasure::Geometry{6, 2}));
  EXPECT_EQ(make_storage_classes(erasure::Geometry{2, 1}, 0)->reduced, (erasure::Geometry{2, 1}));
  EXPECT_EQ(make_storage_classes(erasure::Geometry{1, 0}, 0)->reduced, (erasure::Geometry{1, 0}));
  EXPECT_EQ(make_storage_classes(erasure::Geometry{16, 16}, 0)->reduced, (erasure::Geometry{16, 16}));
  EXPECT_TRUE(make_storage_classes(erasure::Geometry{4, 2}, 3).failed_with(Errc::invalid_argument));
  ObjectWorld world(ObjectWorldSpec{erasure::Geometry{2, 2}});
  for (const std::size_t size : {100U, 300'000U}) {
    Ctx ctx = world.ctx();
    PutSpec spec;
    spec.bucket = BucketName("bucket");
    spec.key = ObjectKey("k");
    spec.attributes.storage_class = "REDUCED_REDUNDANCY";
    const std::string text = world.text(size);
    spec.expect.size = size;
    TextBody body(text);
    const auto record = world.run(world.layer->put(ctx, spec, body));
    ASSERT_TRUE(record.has_value()) << record.error().detail;
    EXPECT_EQ((*record)->data_shards, 3);
    EXPECT_EQ((*record)->parity_shards, 1);
    world.memory[0]->set_online(false);
    EXPECT_TRUE(*world.get("k") == text);
    world.memory[0]->set_online(true);
  }
}

// What a client claims wrongly.
struct Lie {
  const char* name;
  Errc code;
  std::function<void(PutSpec&)> tell;
};

class BodyVerification : public testing::TestWithParam<std::size_t> {};

TEST_P(BodyVerification, NothingIsStoredWhenAClaimDoesNotHold) {
  const std::vector<Lie> lies = {
      {"md5", Errc::bad_digest, [](PutSpec& s) { s.expect.md5 = digest(DigestKind::md5, "x"); }},
      {"sha256", Errc::payload_hash_mismatch,
       [](PutSpec& s) { s.expect.sha256 = digest(DigestKind::sha256, "x"); }},
      {"crc32", Errc::bad_digest,
       [](PutSpec& s) {
         s.expect.algorithm = ChecksumAlgorithm::crc32;
         s.expect.checksum = sum(ChecksumAlgorithm::crc32, "x");
       }},
      {"trailer", Errc::bad_digest,
       [](PutSpec& s) {
         s.expect.algorithm = ChecksumAlgorithm::crc32c;
         s.expect.trailer_checksum = [] {
           return std::optional<std::string>(sum(ChecksumAlgorithm::crc32c, "x"));
         };
       }},
      {"bad trailer", Errc::malformed,
       [](PutSpec& s) {
         s.expect.algorithm = ChecksumAlgorithm::crc32c;
         s.expect.trailer_checksum = []() -> Result<std::optional<std::string>> {
           return fail(Errc::malformed);
         };
       }},
      {"too short", Errc::incomplete_body, [](PutSpec& s) { ++s.expect.size; }},
      {"too long", Errc::malformed, [](PutSpec& s) { --s.expect.size; }},
  };
  ObjectWorld world;
  const std::string text = world.text(GetParam());
  for (const Lie& lie : lies) {
    Ctx ctx = world.ctx();
    PutSpec spec;
    spec.bucket = BucketName("bucket");
    spec.key = ObjectKey("k");
    spec.expect.size = text.size();
    lie.tell(spec);
    TextBody body(text, 10'000);
    const auto put = world.run(world.layer->put(ctx, spec, body));
    EXPECT_TRUE(put.failed_with(lie.code)) << lie.name << ": " << (put ? "stored" : put.error().detail);
    world.pass(std::chrono::seconds(1));
    EXPECT_TRUE(world.head("k").failed_with(Errc::no_such_key)) << lie.name;
    EXPECT_EQ(world.files(), 0U) << lie.name;
  }
  Ctx ctx = world.ctx();
  PutSpec spec;
  spec.bucket = BucketName("bucket");
  spec.key = ObjectKey("k");
  spec.expect.size = text.size();
  TextBody forged(text);
  forged.fail_at_end = true;
  EXPECT_TRUE(world.run(world.layer->put(ctx, spec, forged)).failed_with(Errc::signature_mismatch));
  world.pass(std::chrono::seconds(1));
  EXPECT_EQ(world.files(), 0U);
  spec.expect.md5 = digest(DigestKind::md5, text);
  spec.expect.sha256 = digest(DigestKind::sha256, text);
  spec.expect.algorithm = ChecksumAlgorithm::crc32c;
  spec.expect.trailer_checksum = [&] {
    return std::optional<std::string>(sum(ChecksumAlgorithm::crc32c, text));
  };
  TextBody honest(text, 777);
  EXPECT_TRUE(world.run(world.layer->put(ctx, spec, honest)).has_value());
  EXPECT_TRUE(*world.get("k") == text);
}
INSTANTIATE_TEST_SUITE_P(SmallAndLarge, BodyVerification,
                         testing::Values(1U, 5000U, 131072U, 131073U, 2'500'000U));

TEST(ObjectLayer, ABodyThatWouldBeRefusedIsNotAskedFor) {
  ObjectWorld world;
  ASSERT_TRUE(world.put("k", "old").has_value());
  Ctx ctx = world.ctx();
  PutSpec spec;
  spec.bucket = BucketName("bucket");
  spec.key = ObjectKey("k");
  spec.expect.size = 3;
  spec.conditions.if_none_match = {"*"};
  TextBody body("new");
  EXPECT_TRUE(world.run(world.layer->put(ctx, spec, body)).failed_with(Errc::precondition_failed));
  spec.bucket = BucketName("no-such-bucket");
  EXPECT_TRUE(world.run(world.layer->put(ctx, spec, body)).failed_with(Errc::no_such_bucket));
  spec.bucket = BucketName("bucket");
  spec.key = ObjectKey("");
  EXPECT_TRUE(world.run(world.layer->put(ctx, spec, body)).failed_with(Errc::invalid_argument));
  spec.key = ObjectKey(std::string(kMaxKeyBytes + 1, 'k'));
  EXPECT_TRUE(world.run(world.layer->put(ctx, spec, body)).failed_with(Errc::invalid_argument));
  spec.key = ObjectKey("k");
  spec.expect.size = kMaxPutBytes + 1;
  EXPECT_TRUE(world.run(world.layer->put(ctx, spec, body)).failed_with(Errc::too_large));
  EXPECT_EQ(body.reads, 0);
}

Task<> race_put(ObjectWorld* world, std::string text, std::vector<Result<RecordPtr>>* out) {
  Conditions create;
  create.if_none_match = {"*"};
  Result<RecordPtr> put = co_await ObjectWorld::put_task(world, "bucket", "k", text, create);
  out->push_back(std::move(put));
}

TEST(ObjectLayer, OneOf64CreatesWins) {
  for (const std::size_t size : {10U, 200'000U}) {
    ObjectWorld world(ObjectWorldSpec{erasure::Geometry{4, 2}, 0, size});
    world.slow_drives(3);
    std::vector<Result<RecordPtr>> results;
    std::vector<Task<>> tasks;
    for (int i = 0; i < 64; ++i) {
      std::string text(size, static_cast<char>('0' + i));
      tasks.push_back(race_put(&world, std::move(text), &results));
    }
    world.run_together(std::move(tasks));
    ASSERT_EQ(results.size(), 64U);
    RecordPtr winner;
    unsigned refused = 0;
    for (const auto& result : results) {
      if (result) {
        EXPECT_EQ(winner, nullptr);
        winner = *result;
      } else {
        refused += result.failed_with(Errc::precondition_failed);
      }
    }
    EXPECT_EQ(refused, 63U);
    ASSERT_NE(winner, nullptr);
    EXPECT_EQ(md5(*world.get("k")), winner->etag);
    world.pass(std::chrono::seconds(60));
    EXPECT_LE(world.files(), 6U);  // the losers' bodies are gone
  }
}

TEST(ObjectLayer, EraseAndItsConditions) {
  ObjectWorld world;
  EXPECT_TRUE(world.erase("k").has_value());
  ASSERT_TRUE(world.put("k", world.text(200'000)).has_value());
  Conditions match;
  match.if_match = {"x"};
  EXPECT_TRUE(world.erase("k", match).failed_with(Errc::precondition_failed));
  match.if_match = {(*world.head("k"))->etag};
  EXPECT_TRUE(world.erase("k", match).has_value());
  EXPECT_TRUE(world.get("k").failed_with(Errc::no_such_key));
  EXPECT_TRUE(world.erase("k", match).failed_with(Errc::no_such_key));
  world.pass(std::chrono::seconds(1));
  EXPECT_EQ(world.files(), 0U);
}

TEST(ObjectLayer, EraseMany) {
  ObjectWorld world;
  world.slow_drives(2);
  std::vector<DeleteSpec> specs;
  for (int i = 0; i < 100; ++i) {
    const std::string key = "k" + std::to_string(i);
    if (i % 2 == 0) {
      ASSERT_TRUE(world.put(key, "x").has_value());
    }
    specs.push_back(DeleteSpec{BucketName(i == 7 ? "nowhere" : "bucket"), ObjectKey(i == 9 ? "" : key), {}});
  }
  ASSERT_TRUE(world.put("stays", "x").has_value());
  Ctx ctx = world.ctx();
  const auto results = world.run(world.layer->erase_many(ctx, specs));
  ASSERT_EQ(results.size(), 100U);
  for (std::size_t i = 0; i < 100; ++i) {
    if (i == 7)
      EXPECT_TRUE(results[i].failed_with(Errc::no_such_bucket));
    else if (i == 9)
      EXPECT_TRUE(results[i].failed_with(Errc::invalid_argument));
    else
      EXPECT_TRUE(results[i].has_value());
    EXPECT_TRUE(world.head("k" + std::to_string(i)).failed_with(Errc::no_such_key));
  }
  EXPECT_TRUE(world.head("stays").has_value());
  const auto none = world.run(world.layer->erase_many(ctx, {}));
  EXPECT_TRUE(none.empty());
  const auto too_many = world.run(world.layer->erase_many(ctx, std::vector<DeleteSpec>(kMaxEraseBatch + 1)));
  EXPECT_TRUE(too_many.front().failed_with(Errc::too_large));
}

TEST(ObjectLayer, KeysAreBytesAndNotPaths) {
  ObjectWorld world;
  const std::vector<std::string> keys = {"a",
                                         "a/b",
                                         "a/",
                                         "/",
                                         "//",
                                         "//a",
                                         ".",
                                         "..",
                                         "../..",
                                         "a b",
                                         "a+b",
                                         "%2F",
                                         "a%",
                                         "\n",
                                         "\x01",
                                         "\xc3\xbc",
                                         "\xf0\x9f\x98\x80",
                                         std::string("n\0l", 3),
                                         "a\xff",
                                         std::string(1024, 'k')};
  for (const auto& key : keys) ASSERT_TRUE(world.put(key, "content of " + key).has_value());
  for (const auto& key : keys) EXPECT_EQ(*world.get(key), "content of " + key);
}

class CopyTest : public testing::Test {
 protected:
  Result<RecordPtr> copy(CopySpec spec) {
    Ctx ctx = world.ctx();
    spec.source_bucket = spec.bucket = BucketName("bucket");
    return world.run(world.layer->copy(ctx, std::move(spec)));
  }
  void put_source(const std::string& text) {
    Ctx ctx = world.ctx();
    PutSpec put;
    put.bucket = BucketName("bucket");
    put.key = ObjectKey("from");
    put.expect.size = text.size();
    put.expect.algorithm = ChecksumAlgorithm::sha256;
    put.attributes.headers = {{"content-type", "text/plain"}};
    put.attributes.user_metadata = {{"a", "1"}};
    put.attributes.tags = {{"t", "1"}};
    TextBody body(text);
    ASSERT_TRUE(world.run(world.layer->put(ctx, put, body)).has_value());
  }
  ObjectWorld world;
};

TEST_F(CopyTest, Directives) {
  for (const std::size_t size : {0U, 5000U, 2'500'000U}) {
    const std::string text = world.text(size);
    put_source(text);
    CopySpec spec;
    spec.source_key = ObjectKey("from");
    spec.key = ObjectKey("to");
    spec.attributes.user_metadata = {{"b", "2"}};
    spec.attributes.tags = {{"u", "2"}};
    auto made = copy(spec);
    ASSERT_TRUE(made.has_value()) << made.error().detail;
    EXPECT_TRUE(*world.get("to") == text);
    EXPECT_EQ((*made)->etag, md5(text));
    EXPECT_EQ((*made)->checksum, sum(ChecksumAlgorithm::sha256, text));
    EXPECT_EQ((*made)->user_metadata, (StringPairs{{"a", "1"}}));
    EXPECT_EQ((*made)->headers, (StringPairs{{"content-type", "text/plain"}}));
    EXPECT_EQ((*made)->tags, (StringPairs{{"t", "1"}}));
    spec.metadata = spec.tagging = Directive::replace;
    spec.algorithm = ChecksumAlgorithm::crc32;
    made = copy(spec);
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ((*made)->user_metadata, (StringPairs{{"b", "2"}}));
    EXPECT_TRUE((*made)->headers.empty());
    EXPECT_EQ((*made)->tags, (StringPairs{{"u", "2"}}));
    EXPECT_EQ((*made)->checksum, sum(ChecksumAlgorithm::crc32, text));
    spec.key = ObjectKey("from");  // onto itself
    made = copy(spec);
    ASSERT_TRUE(made.has_value());
    EXPECT_TRUE(*world.get("from") == text);
    EXPECT_EQ((*world.head("from"))->user_metadata, (StringPairs{{"b", "2"}}));
  }
}

TEST_F(CopyTest, Conditions) {
  put_source("abc");
  CopySpec spec;
  spec.source_key = ObjectKey("from");
  spec.key = ObjectKey("to");
  spec.source_conditions.if_none_match = {md5("abc")};
  EXPECT_TRUE(copy(spec).failed_with(Errc::precondition_failed));
  spec.source_conditions = {};
  spec.source_conditions.if_match = {md5("abc")};
  EXPECT_TRUE(copy(spec).has_value());
  spec.conditions.if_none_match = {"*"};
  EXPECT_TRUE(copy(spec).failed_with(Errc::precondition_failed));
  spec.source_key = ObjectKey("nothing");
  EXPECT_TRUE(copy(spec).failed_with(Errc::no_such_key));
}

Task<> put_numbered(ObjectWorld* world, Duration wait, int number, std::vector<std::string>* acknowledged,
                    std::vector<Errc>* refused) {
  const std::string key = "k" + std::to_string(number);
  co_await sleep_for(world->clock, wait);
  const Result<RecordPtr> put = co_await ObjectWorld::put_task(world, "short-lived", key, "x", {});
  if (put)
    acknowledged->push_back(key);
  else
    refused->push_back(put.code());
}

Task<> delete_bucket(ObjectWorld* world, Duration wait, Result<>* out) {
  co_await sleep_for(world->clock, wait);
  Ctx ctx = world->ctx();
  BucketName name("short-lived");
  *out = co_await world->layer->delete_bucket(ctx, std::move(name));
}

TEST(ObjectLayer, NoAcknowledgedObjectIsLostWithItsBucket) {
  unsigned deleted_rounds = 0, kept_rounds = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    ObjectWorld world(ObjectWorldSpec{erasure::Geometry{2, 1}, 0, seed});
    world.make_bucket("short-lived");
    world.slow_drives(4);
    std::vector<std::string> acknowledged;
    std::vector<Errc> refused;
    Result<> deleted;
    std::vector<Task<>> tasks;
    const auto wait = [&] { return std::chrono::milliseconds(world.random.below(25)); };
    tasks.push_back(delete_bucket(&world, wait(), &deleted));
    for (int i = 0; i < 3; ++i) tasks.push_back(put_numbered(&world, wait(), i, &acknowledged, &refused));
    world.run_together(std::move(tasks));
    const bool there = world.layer->bucket(BucketName("short-lived")).has_value();
    EXPECT_EQ(there, !deleted.has_value());
    if (deleted)
      EXPECT_TRUE(acknowledged.empty()) << seed;
    else
      EXPECT_TRUE(deleted.failed_with(Errc::bucket_not_empty));
    for (const auto& key : acknowledged)
      EXPECT_EQ(*world.run(ObjectWorld::get_task(&world, "short-lived", key, {})), "x");
    for (const Errc code : refused) EXPECT_TRUE(code == Errc::no_such_bucket || code == Errc::unavailable);
    ++(deleted ? deleted_rounds : kept_rounds);
  }
  EXPECT_GT(deleted_rounds, 2U);
  EXPECT_GT(kept_rounds, 2U);
}

TEST(ObjectLayer, BucketsAndTheirDeletion) {
  ObjectWorld world;
  Ctx ctx = world.ctx();
  EXPECT_TRUE(world.run(world.layer->create_bucket(ctx, BucketName("bucket"), "o", ""))
                  .failed_with(Errc::bucket_exists));
  ASSERT_TRUE(world.put("k", "x").has_value());
  EXPECT_TRUE(
      world.run(world.layer->delete_bucket(ctx, BucketName("bucket"))).failed_with(Errc::bucket_not_empty));
  ASSERT_TRUE(world.put("k2", "x").has_value());  // still open
  ASSERT_TRUE(world.erase("k").has_value());
  ASSERT_TRUE(world.erase("k2").has_value());
  EXPECT_TRUE(world.run(world.layer->delete_bucket(ctx, BucketName("bucket"))).has_value());
  EXPECT_TRUE(
      world.run(world.layer->delete_bucket(ctx, BucketName("bucket"))).failed_with(Errc::no_such_bucket));
  EXPECT_TRUE(world.put("k", "x").failed_with(Errc::no_such_bucket));
  world.make_bucket("bucket");
  EXPECT_TRUE(world.head("k").failed_with(Errc::no_such_key));
  for (auto& drive : world.memory) drive->set_online(false);
  EXPECT_TRUE(
      world.run(world.layer->delete_bucket(ctx, BucketName("bucket"))).failed_with(Errc::unavailable));
  for (auto& drive : world.memory) drive->set_online(true);
  EXPECT_TRUE(world.put("k", "x").has_value());  // open again
}

TEST(ObjectLayer, ADeletionInDoubtIsDecidedLater) {
  ObjectWorld world(ObjectWorldSpec{erasure::Geometry{2, 2}});
  bool lost = true;
  for (std::size_t i = 1; i < 4; ++i) {
    world.faulty[i]->follow([&](std::string_view call) {
      erasure::Fate fate;
      fate.request_lost = lost && call == "put_system";
      return fate;
    });
  }
  Ctx ctx = world.ctx();
  EXPECT_TRUE(world.run(world.layer->delete_bucket(ctx, BucketName("bucket"))).failed_with(Errc::in_doubt));
  EXPECT_TRUE(world.put("k", "x").failed_with(Errc::unavailable));
  lost = false;
  EXPECT_TRUE(world.run(world.layer->delete_bucket(ctx, BucketName("bucket"))).has_value());
  EXPECT_TRUE(world.put("k", "x").failed_with(Errc::no_such_bucket));
}

TEST(ObjectLayer, FewerDrivesThanTheQuorumIsACleanError) {
  ObjectWorld world(ObjectWorldSpec{erasure::Geometry{4, 2}});
  const std::string text = world.text(300'000);
  ASSERT_TRUE(world.put("k", text).has_value());
  world.memory[0]->set_online(false);
  world.memory[3]->set_online(false);
  EXPECT_TRUE(*world.get("k") == text);
  EXPECT_TRUE(world.put("k2", text).has_value());
  world.memory[5]->set_online(false);
  EXPECT_TRUE(world.put("k3", text).failed_with(Errc::unavailable));
  EXPECT_FALSE(world.get("k").has_value());
  world.memory[3]->set_online(true);
  EXPECT_TRUE(*world.get("k") == text);
  EXPECT_TRUE(world.put("k3", text).has_value());
}

}  // namespace
}  // namespace ostraka::object
