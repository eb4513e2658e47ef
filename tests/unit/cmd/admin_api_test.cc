// The admin API of a whole node, as the command line asks it, but without a socket.
#include "admin/admin_api.h"

#include <gmock/gmock.h>

#include "tests/unit/cmd/node_requests.h"

namespace ostraka::cmd {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

class AdminApiTest : public NodeRequests {
 protected:
  AdminApiTest() {
    auto drives = open();
    EXPECT_TRUE(drives.has_value());
    auto node = run_to_end(shard_, build_in(this, std::move(*drives)));
    EXPECT_TRUE(node.has_value()) << node.error().detail;
    node_ = std::move(*node);
  }
  ~AdminApiTest() override {
    run_to_end(shard_, node_->close());
    node_.reset();
  }
  static Task<Result<std::unique_ptr<Node>>> build_in(AdminApiTest* self, NodeDrives drives) {
    Ctx ctx{self->shard_, self->clock_.now() + std::chrono::seconds(30), "test"};
    const Deps deps{self->clock_, self->random_, self->fs_, self->metrics_};
    co_return co_await build_node(ctx, deps, std::move(drives), self->config_);
  }

  enum class Place : std::uint8_t { console, s3 };
  KeptAnswer send(Place place, net::RequestHead head, std::string body) {
    head.content_length = 0;
    net::Service& service = place == Place::s3 ? node_->s3() : node_->console();
    return NodeRequests::send(service, std::move(head), std::move(body));
  }
  Json ask(net::Method method, const std::string& target, const Json& body = nullptr,
           unsigned expected = 200) {
    const std::string text = body.is_null() ? "" : body.dump();
    const KeptAnswer sink = send(Place::console, signed_head(method, target, text), text);
    EXPECT_EQ(sink.status, expected) << target << ": " << sink.text;
    Json out = Json::parse(sink.text, nullptr, false);
    EXPECT_TRUE(out.is_object()) << sink.text;
    return out;
  }
  void put(const std::string& target, const std::string& body) {
    net::RequestHead request = signed_head(net::Method::put, target, body);
    request.content_length = body.size();
    request.headers.add("Content-Length", std::to_string(body.size()));
    const KeptAnswer answer = NodeRequests::send(node_->s3(), std::move(request), body);
    ASSERT_EQ(answer.status, 200U) << answer.text;
  }

  std::unique_ptr<Node> node_;
};

TEST_F(AdminApiTest, LetsOnlyTheRootUserIn) {
  const std::string target = "/admin/v1/heal";
  EXPECT_EQ(send(Place::console, head(net::Method::get, target), "").status, 403U);
  EXPECT_EQ(send(Place::console, signed_head(net::Method::get, target, "", "root-user", "guess"), "").status,
            403U);
  EXPECT_EQ(send(Place::console, signed_head(net::Method::get, target, "", "nobody"), "").status, 403U);
  EXPECT_EQ(send(Place::console, signed_head(net::Method::get, target, ""), "").status, 200U);
}

TEST_F(AdminApiTest, TakesOnlyTheBodyThatWasSigned) {
  const std::string mine = R"({"priority":"idle"})", other = R"({"priority":"high"})";
  const KeptAnswer refused =
      send(Place::console, signed_head(net::Method::post, "/admin/v1/heal/priority", mine), other);
  EXPECT_EQ(refused.status, 403U) << refused.text;
  EXPECT_EQ(ask(net::Method::get, "/admin/v1/heal").at("priority"), "normal");
  net::RequestHead loose = head(net::Method::post, "/admin/v1/heal/priority");
  const iam::Secret secret("root-password");
  const iam::SigningSpec spec{"root-user", secret, config_.region, clock_.unix_ms()};
  iam::sign_request(loose, spec, "UNSIGNED-PAYLOAD");
  EXPECT_EQ(send(Place::console, std::move(loose), mine).status, 403U);
}

TEST_F(AdminApiTest, IsNotOnTheAddressOfS3) {
  const KeptAnswer sink = send(Place::s3, signed_head(net::Method::get, "/admin/v1/heal", ""), "");
  EXPECT_EQ(sink.status, 404U) << sink.text;  // a bucket named admin, which there is not
}

TEST_F(AdminApiTest, RefusesWhatItDoesNotHave) {
  ask(net::Method::get, "/admin/v1/nothing", nullptr, 404);
  ask(net::Method::get, "/admin/", nullptr, 404);
  ask(net::Method::get, "/admin/v1/heal/99", nullptr, 404);
  ask(net::Method::get, "/admin/v1/heal/first", nullptr, 400);
  ask(net::Method::delete_, "/admin/v1/heal", nullptr, 405);
  ask(net::Method::post, "/admin/v1/heal/priority", Json{{"priority", "highest"}}, 400);
  ask(net::Method::post, "/admin/v1/heal/start", Json{{"deep", "yes"}}, 400);
  ask(net::Method::post, "/admin/v1/heal/start", Json{{"bucket", "nosuchbucket"}}, 404);
  ask(net::Method::get, "/admin/v1/object?bucket=nosuchbucket&key=k", nullptr, 404);
}

TEST_F(AdminApiTest, TrustsADriveByItsFolder) {
  EXPECT_EQ(ask(net::Method::post, "/admin/v1/drive/trust", Json{{"drive", folders_[2]}}).at("drive"),
            folders_[2]);
  ask(net::Method::post, "/admin/v1/drive/trust", Json{{"drive", "/elsewhere"}}, 404);
  ask(net::Method::post, "/admin/v1/drive/trust", nullptr, 404);
  ask(net::Method::get, "/admin/v1/drive/trust", nullptr, 404);
}

TEST_F(AdminApiTest, ChangesThePriority) {
  EXPECT_EQ(ask(net::Method::post, "/admin/v1/heal/priority", Json{{"priority", "high"}}).at("priority"),
            "high");
  EXPECT_EQ(ask(net::Method::get, "/admin/v1/heal").at("priority"), "high");
}

TEST_F(AdminApiTest, TellsWhereAnObjectsShardsAre) {
  put("/photos", "");
  put("/photos/a%20cat.jpg", std::string(5000, 'x'));
  const Json object = ask(net::Method::get, "/admin/v1/object?bucket=photos&key=a%20cat.jpg");
  EXPECT_EQ(object.at("key"), "a cat.jpg");
  EXPECT_EQ(object.at("bytes"), 5000);
  EXPECT_EQ(object.at("data_shards"), 4);
  ASSERT_EQ(object.at("shards").size(), 6U);
  for (const Json& shard : object.at("shards")) {
    EXPECT_EQ(shard.at("state"), "good") << shard.dump();
    EXPECT_THAT(shard.at("drive").get<std::string>(), HasSubstr(root_.string()));
  }
  EXPECT_THAT(object.at("sentence").get<std::string>(), HasSubstr("Whole"));
  const Json absent = ask(net::Method::get, "/admin/v1/object?bucket=photos&key=dog.jpg");
  EXPECT_EQ(absent.at("outcome"), "absent");
}

TEST_F(AdminApiTest, CountsWhatIsInTheBuckets) {
  put("/photos", "");
  put("/photos/1", std::string(1000, 'x'));
  put("/photos/2", std::string(2000, 'x'));
  put("/photos/2", std::string(3000, 'x'));
  const Json usage = ask(net::Method::get, "/admin/v1/usage");
  ASSERT_EQ(usage.at("buckets").size(), 1U) << usage.dump();
  const Json& bucket = usage.at("buckets").at(0);
  EXPECT_EQ(bucket.at("bucket"), "photos");
  EXPECT_EQ(bucket.at("objects"), 2);
  EXPECT_EQ(bucket.at("bytes"), 4000);
  EXPECT_EQ(bucket.at("exact"), true);
}

}  // namespace
}  // namespace ostraka::cmd
