#include "object/bucket_store.h"

#include <gtest/gtest.h>

#include "object/bucket_name.h"
#include "world.h"

namespace ostraka::object {
namespace {

TEST(BucketName, Rules) {
  for (const char* name :
       {"abc", "a-b", "my.bucket", "1bucket", "123", "a.b.c.d", "1.2.3.4a", "a--b", "xn-a"})
    EXPECT_TRUE(check_bucket_name(name).has_value()) << name;
  EXPECT_TRUE(check_bucket_name(std::string(63, 'a')).has_value());
  for (const char* name : {"",
                           "ab",
                           "Abc",
                           "a_b",
                           "-abc",
                           "abc-",
                           ".abc",
                           "abc.",
                           "a..b",
                           "192.168.5.4",
                           "a/b",
                           "a b",
                           "xn--abc",
                           "sthree-a",
                           "amzn-s3-demo-a",
                           "abc-s3alias",
                           "abc--ol-s3",
                           "abc.mrap",
                           "abc--x-s3",
                           "abc--table-s3",
                           "b\xc3\xa4r"})
    EXPECT_TRUE(check_bucket_name(name).failed_with(Errc::invalid_argument)) << name;
  EXPECT_FALSE(check_bucket_name(std::string(64, 'a')).has_value());
}

TEST(BucketDocument, RoundTripAndBadOnes) {
  BucketInfo info;
  info.name = BucketName("photos");
  info.id = BucketId{0x0123456789abcdef};
  info.created_ms = 1'700'000'000'123;
  info.owner = "owner";
  info.region = "eu-west-1";
  info.settings = R"({"ownership":"BucketOwnerEnforced"})";
  const std::string text = encode_bucket(info);
  const auto read = decode_bucket("photos", text);
  ASSERT_TRUE(read.has_value()) << read.error().detail;
  EXPECT_EQ(read->name, info.name);
  EXPECT_EQ(read->id, info.id);
  EXPECT_EQ(read->created_ms, info.created_ms);
  EXPECT_EQ(read->owner, info.owner);
  EXPECT_EQ(read->region, info.region);
  EXPECT_EQ(read->settings, info.settings);
  EXPECT_EQ(text, R"({"created":1700000000123,"id":"0123456789abcdef","owner":"owner","region":"eu-west-1",)"
                  R"("settings":"{\"ownership\":\"BucketOwnerEnforced\"}","version":1})");
  for (const char* bad :
       {"", "{}", "[]", R"({"version":1})",
        R"({"version":1,"id":"0000000000000000","created":1,"owner":"","region":"","settings":"{}"})",
        R"({"version":1,"id":"xyz","created":1,"owner":"","region":"","settings":"{}"})",
        R"({"version":1,"id":"0000000000000001","created":"x","owner":"","region":"","settings":"{}"})",
        R"({"version":1,"id":"0000000000000001","created":1,"owner":"","region":"","settings":"[]"})"})
    EXPECT_TRUE(decode_bucket("photos", bad).failed_with(Errc::corrupt)) << bad;
  EXPECT_TRUE(decode_bucket("photos", R"({"version":2})").failed_with(Errc::unsupported_version));
}

class BucketStoreTest : public ControlWorld, public testing::Test {};

TEST_F(BucketStoreTest, CreateFindListRemove) {
  EXPECT_TRUE(buckets().find(BucketName("photos")).failed_with(Errc::no_such_bucket));
  const auto made = run(buckets().create(ctx(), BucketName("photos"), "me", ""));
  ASSERT_TRUE(made.has_value()) << made.error().detail;
  EXPECT_NE(made->id, BucketId{});
  EXPECT_EQ(made->region, "test-region");
  EXPECT_TRUE(run(buckets().create(ctx(), BucketName("photos"), "me", "")).failed_with(Errc::bucket_exists));
  EXPECT_TRUE(
      run(buckets().create(ctx(), BucketName("UPPER"), "me", "")).failed_with(Errc::invalid_argument));
  EXPECT_TRUE(run(buckets().create(ctx(), BucketName("bad-settings"), "me", "["))
                  .failed_with(Errc::invalid_argument));
  ASSERT_TRUE(run(buckets().create(ctx(), BucketName("archive"), "me", "{}")).has_value());
  const auto all = buckets().list();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name.get(), "archive");
  const BucketPtr photos = *buckets().find(BucketName("photos"));
  ASSERT_TRUE(run(photos->gate->close()).has_value());
  ASSERT_TRUE(run(buckets().remove(ctx(), photos)).has_value());
  EXPECT_TRUE(buckets().find(BucketName("photos")).failed_with(Errc::no_such_bucket));
  EXPECT_TRUE(photos->gate->enter().failed_with(Errc::no_such_bucket));
  const auto again = run(buckets().create(ctx(), BucketName("photos"), "me", ""));
  ASSERT_TRUE(again.has_value());
  EXPECT_NE(again->id, made->id);
  ASSERT_TRUE(run(buckets().remove(ctx(), photos)).has_value());  // the old one is gone already
  EXPECT_TRUE(buckets().find(BucketName("photos")).has_value());
}

TEST_F(BucketStoreTest, BucketsSurviveARestart) {
  const auto made = run(buckets().create(ctx(), BucketName("photos"), "me", ""));
  ASSERT_TRUE(made.has_value());
  restart_control();
  const auto found = buckets().find(BucketName("photos"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ((*found)->info.id, made->id);
  EXPECT_EQ((*found)->info.owner, "me");
}

TEST_F(BucketStoreTest, ADamagedDocumentHidesOnlyItsBucket) {
  ASSERT_TRUE(run(buckets().create(ctx(), BucketName("photos"), "me", "")).has_value());
  ASSERT_TRUE(run(control().put(ctx(), "bucket/broken", "{", std::nullopt)).has_value());
  EXPECT_TRUE(buckets().find(BucketName("broken")).failed_with(Errc::no_such_bucket));
  EXPECT_TRUE(buckets().find(BucketName("photos")).has_value());
}

TEST_F(BucketStoreTest, ClosingTheGateWaitsForThoseInside) {
  auto gate = std::make_shared<BucketGate>();
  auto pass = std::make_unique<Result<BucketGate::Pass>>(gate->enter());
  ASSERT_TRUE(pass->has_value());
  bool closed = false;
  auto closing = [](std::shared_ptr<BucketGate> g, bool* done) -> Task<> {
    const auto result = co_await g->close();
    *done = result.has_value();
  };
  ASSERT_TRUE(gate_spawn(closing(gate, &closed)));
  turn();
  EXPECT_FALSE(closed);
  EXPECT_TRUE(gate->enter().failed_with(Errc::unavailable));
  EXPECT_TRUE(run(gate->close()).failed_with(Errc::conflict));
  pass.reset();
  turn();
  EXPECT_TRUE(closed);
  EXPECT_TRUE(gate->enter().failed_with(Errc::unavailable));
  gate->reopen();
  EXPECT_TRUE(gate->enter().has_value());
  gate->set_doubt();
  EXPECT_TRUE(gate->enter().failed_with(Errc::unavailable));
  EXPECT_TRUE(run(gate->close()).has_value());
  gate->set_gone();
  EXPECT_TRUE(gate->enter().failed_with(Errc::no_such_bucket));
}

}  // namespace
}  // namespace ostraka::object
