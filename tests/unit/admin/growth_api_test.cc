#include "admin/growth_api.h"

#include <gmock/gmock.h>

#include "tests/unit/cluster/rebalancer_world.h"

namespace ostraka::admin {
namespace {

using ::testing::HasSubstr;

class GrowthApiTest : public cluster::RebalancerWorld {
 protected:
  Result<ApiJson> ask(bool reads, const std::string& path, ApiJson body = ApiJson::object()) {
    ApiRequest request;
    request.reads = reads;
    request.path = path;
    request.body = std::move(body);
    EXPECT_TRUE(is_growth_request(request)) << path;
    Ctx ctx{shard_, clock_.now() + std::chrono::seconds(1000), "test"};
    return run_to_end(shard_, api_.answer(ctx, request));
  }
  Result<ApiJson> post(const std::string& path, ApiJson body) { return ask(false, path, std::move(body)); }
  static std::string why(const Result<ApiJson>& refused, Errc code) {
    EXPECT_TRUE(refused.failed_with(code)) << (refused ? refused->dump() : refused.error().detail);
    return refused ? "" : refused.error().detail;
  }

  cluster::Rebalancer& rebalancer_ = start("n1");
  GrowthApi api_{&rebalancer_};
};

TEST_F(GrowthApiTest, TellsHowFarItIs) {
  ASSERT_TRUE(until_balanced(rebalancer_));
  const auto status = ask(true, "rebalance");
  ASSERT_TRUE(status.has_value()) << status.error().detail;
  EXPECT_EQ((*status)["state"], "balanced");
  EXPECT_EQ((*status)["topology"], control_.get(cluster::kTopologyDocument)->revision);
  EXPECT_EQ((*status)["leader"], "n1");
  EXPECT_EQ((*status)["seconds_left"], nullptr);
  ASSERT_EQ((*status)["drives"].size(), 4U);
  const ApiJson& drive = (*status)["drives"][3];
  EXPECT_EQ(drive["drive"], "http://n2:9000/d2");
  EXPECT_EQ(drive["node"], "n2");
  EXPECT_EQ(drive["state"], "in_service");
  EXPECT_EQ(drive["online"], true);
  EXPECT_EQ(drive["groups"], 768);
  EXPECT_GT(drive["total_bytes"], 0);
  EXPECT_GT(drive["free_bytes"], 0);
  EXPECT_EQ(drive["full"], false);
}

TEST(DriveReportJson, SaysWhichAreFull) {
  cluster::DriveReport drive;
  drive.online = true;
  drive.total_bytes = 1ULL << 40U;
  EXPECT_EQ(drive_report_json(drive)["full"], true);
  EXPECT_EQ(drive_report_json(drive)["free_bytes"], 0);
  drive.free_bytes = 2U << 20U;
  EXPECT_EQ(drive_report_json(drive)["full"], false);
  drive.free_bytes = 0;
  drive.online = false;
  EXPECT_EQ(drive_report_json(drive)["full"], false) << "nobody knows";
}

TEST_F(GrowthApiTest, AddsDrainsTakesBackAndRemoves) {
  const ApiJson new_node{{"drives", {"http://n9:9000/d1", "http://n9:9000/d2"}}};
  EXPECT_THAT(why(post("drive/add", new_node), Errc::not_found), HasSubstr("admin node add"));
  const auto added = post("node/add", new_node);
  ASSERT_TRUE(added.has_value()) << added.error().detail;
  EXPECT_EQ((*added)["drives"], new_node["drives"]);
  EXPECT_EQ((*added)["topology"], control_.get(cluster::kTopologyDocument)->revision);
  EXPECT_EQ((*ask(true, "rebalance"))["newest_topology"], (*added)["topology"]);
  EXPECT_EQ(now().slots.size(), 6U);
  EXPECT_THAT(why(post("node/add", {{"drives", {"http://n9:9000/d3"}}}), Errc::conflict),
              HasSubstr("admin drive add"));
  EXPECT_THAT((*added)["next"], HasSubstr("start n9 with the drives of all nodes"));
  const auto more = post("drive/add", {{"drives", {"http://n9:9000/d3"}}});
  ASSERT_TRUE(more.has_value());
  EXPECT_THAT((*more)["next"], HasSubstr("start n9 anew with http://n9:9000/d3"));
  EXPECT_THAT(why(post("node/drain", {{"node", "n9"}}), Errc::conflict), HasSubstr("2 of the 3 shards"))
      << "it never came, and could go; but the others are only two nodes";
  EXPECT_THAT(why(post("node/drain", {{"node", "n8"}}), Errc::not_found), HasSubstr("it has n1, n2, n9"));

  ASSERT_TRUE(post("drive/drain", {{"drives", {"http://n2:9000/d2"}}}).has_value());
  EXPECT_EQ(now().slots[3].state, cluster::SlotState::draining);
  EXPECT_THAT(why(post("drive/remove", {{"drives", {"http://n2:9000/d2"}}}), Errc::conflict),
              HasSubstr("still holds shards"));
  ASSERT_TRUE(post("drive/drain", {{"drives", {"http://n2:9000/d2"}}, {"cancel", true}}).has_value());
  EXPECT_EQ(now().slots[3].state, cluster::SlotState::in_service);
  EXPECT_THAT(why(post("node/remove", {{"node", "n2"}}), Errc::conflict), HasSubstr("drain it first"));
}

TEST_F(GrowthApiTest, PausesAndResumes) {
  EXPECT_TRUE(post("rebalance/pause", {{"paused", true}}).has_value());
  EXPECT_TRUE(moves().paused);
  EXPECT_EQ((*ask(true, "rebalance"))["paused"], true);
  EXPECT_TRUE(post("rebalance/pause", {{"paused", false}}).has_value());
  EXPECT_FALSE(moves().paused);
}

TEST_F(GrowthApiTest, RefusesWhatMakesNoSense) {
  for (const char* body :
       {"{}", R"({"drives":[]})", R"({"drives":"http://n1:9000/d1"})", R"({"drives":[3]})",
        R"({"drives":["/d1"]})", R"({"drives":["http://n1:9000/d3","http://n1:9000/d3"]})"})
    EXPECT_TRUE(post("drive/add", ApiJson::parse(body)).failed_with(Errc::invalid_argument)) << body;
  EXPECT_TRUE(post("node/drain", {{"node", 3}}).failed_with(Errc::invalid_argument));
  EXPECT_TRUE(ask(true, "drive/add").failed_with(Errc::not_found));
  EXPECT_TRUE(post("rebalance", ApiJson::object()).failed_with(Errc::not_found));
}

TEST_F(GrowthApiTest, TheLeaderTellsAndAnyNodeChanges) {
  ApiRequest status;
  status.path = "rebalance";
  EXPECT_EQ(api_.node_for(status, "n1"), "n1");
  lead("n2");
  EXPECT_EQ(api_.node_for(status, "n1"), "n2");
  leader_ = "";
  EXPECT_EQ(api_.node_for(status, "n1"), "n1");
  leader_ = "n2";
  ApiRequest change;
  change.reads = false;
  change.path = "drive/add";
  EXPECT_EQ(api_.node_for(change, "n1"), "n1");
}

TEST_F(GrowthApiTest, AStoreOfOneNodeSaysThatItIsNone) {
  GrowthApi alone(nullptr);
  ApiRequest request;
  request.path = "rebalance";
  Ctx ctx{shard_, kNoDeadline, "test"};
  EXPECT_THAT(why(run_to_end(shard_, alone.answer(ctx, request)), Errc::invalid_argument),
              HasSubstr("the store of one node"));
}

}  // namespace
}  // namespace ostraka::admin
