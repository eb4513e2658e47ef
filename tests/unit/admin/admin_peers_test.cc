#include "admin/admin_peers.h"

#include <gtest/gtest.h>

namespace ostraka::admin {
namespace {

TEST(AdminRequestTest, ComesBackAsItWas) {
  ApiRequest request;
  request.reads = false;
  request.path = "heal/start";
  request.query = {{"deep", "0"}, {"key", "a&b=\n"}};
  request.body = ApiJson{{"bucket", "photos"}};
  const auto again = decode_request(encode_request(request));
  ASSERT_TRUE(again.has_value()) << again.error().detail;
  EXPECT_FALSE(again->reads);
  EXPECT_EQ(again->path, request.path);
  EXPECT_EQ(again->query, request.query);
  EXPECT_EQ(again->body, request.body);
  EXPECT_EQ(again->parameter("key"), "a&b=\n");
  EXPECT_EQ(again->parameter("bucket"), "");
}

TEST(AdminRequestTest, RefusesWhatIsNone) {
  for (const char* text : {"", "{", "[]", "{}", R"({"reads":1,"path":"x","query":[],"body":{}})",
                           R"({"reads":true,"path":"x","query":[["a"]],"body":{}})",
                           R"({"reads":true,"path":"x","query":[],"body":[]})",
                           R"({"reads":true,"path":3,"query":[],"body":{}})"}) {
    EXPECT_TRUE(decode_request(text).failed_with(Errc::malformed)) << text;
  }
  EXPECT_TRUE(decode_request(std::string(200'000, ' ')).failed_with(Errc::malformed));
}

ApiJson status(std::uint64_t entries, std::int64_t oldest, const char* drive) {
  return ApiJson::parse(
      R"({"priority":"normal","width":1.5,"in_flight":2,"queue":{"entries":)" + std::to_string(entries) +
      R"(,"ready":1,"backing_off":0,"oldest_ms":)" + (oldest == 0 ? "null" : std::to_string(oldest)) +
      R"(,"waiting":[{"drive":")" + drive +
      R"(","entries":3}]},"refills":[],"runs":[],"totals":{"keys":10,"lost":1},"recent":[{"when_ms":)" +
      std::to_string(oldest) + "}]}");
}

TEST(HealStatusOfNodesTest, CountsAreAddedAndListsJoined) {
  ApiJson all = status(5, 0, "d1");
  merge_heal_status(all, status(7, 300, "d2"));
  merge_heal_status(all, status(1, 200, "d1"));
  EXPECT_EQ(all["queue"]["entries"], 13);
  EXPECT_EQ(all["queue"]["ready"], 3);
  EXPECT_EQ(all["queue"]["oldest_ms"], 200) << "the earliest that any has";
  EXPECT_EQ(all["queue"]["waiting"],
            ApiJson::parse(R"([{"drive":"d1","entries":6},{"drive":"d2","entries":3}])"));
  EXPECT_EQ(all["totals"]["keys"], 30);
  EXPECT_EQ(all["totals"]["lost"], 3);
  EXPECT_EQ(all["in_flight"], 6);
  EXPECT_EQ(all["width"], 4.5);
  EXPECT_EQ(all["priority"], "normal");
  ASSERT_EQ(all["recent"].size(), 3U);
  EXPECT_EQ(all["recent"][0]["when_ms"], 300) << "the newest first";
  EXPECT_EQ(all["recent"][2]["when_ms"], 0);
}

TEST(HealStatusOfNodesTest, WhatMakesNoSenseIsLeftOut) {
  const ApiJson before = status(5, 100, "d1");
  for (const char* text : {"[]", "3", "{}", R"({"queue":3,"recent":{},"totals":[]})",
                           R"({"queue":{"entries":"x","oldest_ms":"y","waiting":3}})"}) {
    ApiJson all = before;
    merge_heal_status(all, ApiJson::parse(text));
    EXPECT_EQ(all, before) << text;
  }
}

}  // namespace
}  // namespace ostraka::admin
