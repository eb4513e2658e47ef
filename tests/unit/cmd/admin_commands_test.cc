// The verbs of `ostraka admin` against a console address that answers as it is told.
#include "cmd/admin_commands.h"

#include <gmock/gmock.h>

#include <map>
#include <mutex>

#include "cmd/admin_text.h"
#include "net/http_server.h"
#include "runtime/clock.h"
#include "runtime/shard.h"

namespace ostraka::cmd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Of each target one answer after the other, the last again and again. A text that begins with a number is an
// error with that status.
class ScriptedConsole final : public net::Service {
 public:
  Task<> serve(Ctx&, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override {
    auto text = co_await net::read_all(body, 1U << 16);
    std::string said;
    {
      const std::lock_guard lock(mutex_);
      asked_.push_back(head.target + (text && !text->empty() ? " " + *text : ""));
      std::vector<std::string>& left = answers_[head.target];
      said = left.empty() ? R"({"message":"nothing of the kind"})" : left.front();
      if (left.size() > 1) left.erase(left.begin());
    }
    net::ResponseHead answer;
    answer.status = said.starts_with("409") ? 409 : 200;
    if (answer.status != 200) said.erase(0, 3);
    const Result<> sent = co_await sink.respond(std::move(answer), std::move(said));
    static_cast<void>(sent);
  }
  void says(const std::string& target, std::vector<std::string> answers) {
    const std::lock_guard lock(mutex_);
    answers_[target] = std::move(answers);
  }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> answers_;
  std::vector<std::string> asked_;
};

class AdminCommandsTest : public ::testing::Test {
 protected:
  AdminCommandsTest() {
    shards_.start();
    EXPECT_TRUE(server_.start());
  }
  ~AdminCommandsTest() override {
    run_to_end(main_, server_.stop(std::chrono::seconds(1)));
    shards_.stop();
  }
  static net::HttpServerConfig config() {
    net::HttpServerConfig out;
    out.address = "127.0.0.1:0";
    return out;
  }

  // The exit status.
  int run(std::vector<std::string> words) {
    const std::map<std::string, std::string> environment{
        {"OSTRAKA_ROOT_USER", "root-user"},
        {"OSTRAKA_ROOT_PASSWORD", "root-password"},
        {"OSTRAKA_ADMIN_URL", "http://127.0.0.1:" + std::to_string(server_.port())}};
    const auto variable = [&](const std::string& name) -> std::optional<std::string> {
      const auto at = environment.find(name);
      return at == environment.end() ? std::nullopt : std::optional(at->second);
    };
    CLI::App admin;
    std::function<int()> verb;
    add_admin_commands(admin, variable, verb);
    std::reverse(words.begin(), words.end());  // as CLI::App::parse() wants them
    admin.parse(words);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = verb();
    out_ = testing::internal::GetCapturedStdout();
    complaint_ = testing::internal::GetCapturedStderr();
    return status;
  }

  SystemClock clock_;
  MetricRegistry metrics_;
  ScriptedConsole console_;
  Shard main_{0, clock_, ShardSpec{4096, 1, 0}};
  ShardPool shards_{1, clock_, ShardSpec{4096, 1, 0}};
  net::HttpServer server_{shards_, console_, config(), metrics_};
  std::string out_, complaint_;
};

constexpr const char* kRebalance = "/admin/v1/rebalance";

TEST_F(AdminCommandsTest, RangesOfDrivesAreExpanded) {
  console_.says("/admin/v1/node/add", {R"({"drives":["a","b"],"next":"start node5"})"});
  EXPECT_EQ(run({"node", "add", "http://node5:9000/data/d{1...2}"}), 0);
  EXPECT_THAT(
      console_.asked(),
      ElementsAre(
          R"(/admin/v1/node/add {"drives":["http://node5:9000/data/d1","http://node5:9000/data/d2"]})"));
  EXPECT_THAT(out_, HasSubstr("2 drives were added. Now start node5"));
}

TEST_F(AdminCommandsTest, TheReasonOfARefusalIsTold) {
  console_.says("/admin/v1/node/remove", {R"(409{"message":"drain it first"})"});
  EXPECT_EQ(run({"node", "remove", "node5"}), 1);
  EXPECT_THAT(complaint_, HasSubstr("drain it first"));
  EXPECT_EQ(out_, "");
}

TEST_F(AdminCommandsTest, ADrainIsAwaitedUntilTheDrivesAreEmpty) {
  console_.says("/admin/v1/node/drain", {R"({"drives":["d5"]})"});
  console_.says(kRebalance,
                {R"({"state":"moving","drives":[{"drive":"d1","groups":9,"state":"in_service"},)"
                 R"({"drive":"d5","groups":1,"state":"draining"}]})",
                 R"({"state":"balanced","drives":[{"drive":"d1","groups":9,"state":"in_service"},)"
                 R"({"drive":"d5","groups":0,"online":true,"state":"draining"}]})"});
  EXPECT_EQ(run({"node", "drain", "node5", "--wait", "--force"}), 0);
  EXPECT_THAT(console_.asked(),
              ElementsAre(R"(/admin/v1/node/drain {"node":"node5","cancel":false,"force":true})", kRebalance,
                          kRebalance));
  EXPECT_THAT(out_, HasSubstr("d5: drained, holds 0 groups: it may be removed"));
}

// Whoever leads may not have noticed what was asked for: what it says then is about what was before.
TEST_F(AdminCommandsTest, WhatIsSaidOfTheTopologyBeforeIsNotBelieved) {
  const std::string drives = R"("drives":[{"drive":"http://n5:9000/d1","groups":0,"state":"in_service",)"
                             R"("online":true}]})";
  const std::string stale = R"({"state":"balanced","topology":6,"newest_topology":6,)" + drives;
  console_.says("/admin/v1/node/add", {R"({"drives":["http://n5:9000/d1"],"topology":7})"});
  console_.says(kRebalance, {stale, R"({"state":"moving","topology":7,"newest_topology":7,)" + drives,
                             R"({"state":"balanced","topology":7,"newest_topology":8,)" + drives,
                             R"({"state":"balanced","topology":8,"newest_topology":8,)" + drives});
  EXPECT_EQ(run({"node", "add", "http://n5:9000/d1", "--wait"}), 0);
  EXPECT_EQ(console_.asked().size(), 5U);

  const std::string draining = R"({"state":"waiting","topology":7,"newest_topology":7,"drives":[)"
                               R"({"drive":"http://n5:9000/d1","groups":0,"state":"draining"}]})";
  console_.says("/admin/v1/drive/drain", {R"({"drives":["http://n5:9000/d1"],"topology":7})"});
  console_.says(kRebalance, {stale, draining});
  EXPECT_EQ(run({"drive", "drain", "http://n5:9000/d1", "--wait"}), 0) << complaint_;
  EXPECT_EQ(console_.asked().size(), 8U);
}

TEST_F(AdminCommandsTest, ADrainThatIsTakenBackIsNotAwaited) {
  console_.says("/admin/v1/drive/drain", {R"({"drives":["http://n1:9000/d1"]})"});
  console_.says(kRebalance,
                {R"({"drives":[{"drive":"http://n1:9000/d1","groups":1,"state":"in_service"}]})"});
  EXPECT_EQ(run({"drive", "drain", "http://n1:9000/d1", "--wait"}), 1);
  EXPECT_THAT(complaint_, HasSubstr("is not drained any more"));
}

TEST_F(AdminCommandsTest, AnAnswerOfAnotherKindIsAnErrorAndNotTheEnd) {
  console_.says("/admin/v1/node/drain", {R"({"drives":["d5"]})"});
  console_.says(kRebalance, {R"({"drives":[{"drive":5,"groups":"many","state":[]}]})"});
  EXPECT_EQ(run({"node", "drain", "node5", "--wait"}), 1);
  EXPECT_THAT(complaint_, HasSubstr("makes no sense"));
  EXPECT_EQ(run({"drive", "list"}), 0) << "what cannot be read is left out";
}

}  // namespace
}  // namespace ostraka::cmd
