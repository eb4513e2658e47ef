#include "cmd/admin_text.h"

#include <gmock/gmock.h>

namespace ostraka::cmd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

AdminJson status() {
  return AdminJson::parse(R"({"state":"moving","leader":"node2","paused":false,
    "now":"51 groups from http://node1:9000/d1 to http://node5:9000/d1","problem":"",
    "slots_done":256,"slots_left":768,"bytes_done":1048576,"bytes_left":3145728,"bytes_per_second":524288.0,
    "seconds_left":360,"since_ms":1,"drives":[
    {"drive":"http://node1:9000/d1","node":"node1","state":"in_service","online":true,"refilling":false,
     "problem":"","total_bytes":4096,"used_bytes":1024,"groups":1000,"leaving":154,"arriving":0},
    {"drive":"http://node2:9000/d1","node":"node2","state":"draining","online":true,"refilling":false,
     "problem":"","total_bytes":4096,"used_bytes":1024,"groups":0,"leaving":0,"arriving":0},
    {"drive":"http://node3:9000/d1","node":"node3","state":"in_service","online":false,"refilling":false,
     "problem":"cannot connect","total_bytes":0,"used_bytes":0,"groups":7,"leaving":0,"arriving":0},
    {"drive":"http://node4:9000/d1","node":"node4","state":"removed","online":false,"refilling":false,
     "problem":"","total_bytes":0,"used_bytes":0,"groups":0,"leaving":0,"arriving":0}]})");
}

TEST(RebalanceText, SaysHowFarItIs) {
  EXPECT_EQ(
      rebalance_line(status()),
      "256 of 1024 shards of groups moved (25.0 %), 1.0 MiB of about 4.0 MiB, 512.0 KiB/s, about 6 min left");
  const std::string text = rebalance_text(status());
  EXPECT_THAT(text, HasSubstr("State     moving data\n"));
  EXPECT_THAT(text, HasSubstr("Now       51 groups from http://node1:9000/d1"));
  EXPECT_THAT(text, HasSubstr("http://node1:9000/d1: in service, holds 1000 groups, 154 leave\n"));
  EXPECT_THAT(text, HasSubstr("http://node2:9000/d1: drained, holds 0 groups: it may be removed\n"));
  EXPECT_THAT(text, Not(HasSubstr("Problem")));
  AdminJson later = status();
  later["drives"][1]["online"] = false;
  EXPECT_THAT(rebalance_text(later), HasSubstr("drained, away, holds 0 groups: it may be removed\n"));
  later["drives"][1]["arriving"] = 1;  // what was begun is being taken back
  EXPECT_THAT(rebalance_text(later), HasSubstr("draining, away, holds 0 groups, 1 arrive\n"));
}

TEST(RebalanceText, SaysWhatStandsInTheWay) {
  AdminJson waiting = status();
  waiting["state"] = "waiting";
  waiting["problem"] = "http://node3:9000/d1 does not answer";
  EXPECT_THAT(rebalance_text(waiting), HasSubstr("Problem   http://node3:9000/d1 does not answer\n"));
  waiting["state"] = "paused";
  EXPECT_THAT(rebalance_text(waiting), HasSubstr("`ostraka admin rebalance resume` goes on"));
  EXPECT_THAT(rebalance_text(AdminJson::object()), HasSubstr("no node leads just now"));
}

TEST(RebalanceText, ListsDrivesAndNodes) {
  const std::string drives = drive_list_text(status());
  EXPECT_THAT(drives, HasSubstr("in service    1000 groups  1.0 KiB of 4.0 KiB (25.0 %)\n"));
  EXPECT_THAT(drives, HasSubstr("away             7 groups  size not known  cannot connect\n"));
  EXPECT_THAT(drives, HasSubstr("removed          0 groups\n"));
  const std::string nodes = node_list_text(status());
  EXPECT_THAT(nodes, HasSubstr("node1"));
  EXPECT_THAT(nodes, HasSubstr("drained"));
  EXPECT_THAT(nodes, HasSubstr("away"));
  EXPECT_THAT(nodes, Not(HasSubstr("node4"))) << "it is none any more";
  EXPECT_THAT(nodes, Not(HasSubstr("full")));
}

TEST(RebalanceText, MarksFullDrives) {
  AdminJson crowded = status();
  for (int drive : {0, 1, 2}) crowded["drives"][drive]["full"] = drive != 2;
  const std::string drives = drive_list_text(crowded);
  EXPECT_THAT(drives, HasSubstr("http://node1:9000/d1                         full"));
  EXPECT_THAT(drives, HasSubstr("drained, full"));
  EXPECT_THAT(drives, HasSubstr("away             7 groups"));
  EXPECT_THAT(rebalance_text(crowded), HasSubstr("http://node1:9000/d1: full, holds 1000 groups"));
  EXPECT_THAT(node_list_text(crowded), HasSubstr("1.0 KiB of 4.0 KiB (25.0 %), 1 drive full\n"));
  crowded["drives"][0]["refilling"] = true;
  EXPECT_THAT(drive_list_text(crowded), HasSubstr("full, being refilled"));
}

}  // namespace
}  // namespace ostraka::cmd
