#include "cluster/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ostraka::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<DriveUrl> four_drives() {
  return {{"n1", 9000, "/d1"}, {"n1", 9000, "/d2"}, {"n2", 9001, "/d1"}, {"n2", 9001, "/d2"}};
}

class TopologyTest : public ::testing::Test {
 protected:
  SystemRandom random_;
  Topology topology_ = make_topology(random_, 1'700'000'000'000, four_drives(), 2, 2);

  Result<Topology> with(const std::string& pointer, const nlohmann::json& value) {
    nlohmann::json json = nlohmann::json::parse(encode_topology(topology_));
    json[nlohmann::json::json_pointer(pointer)] = value;
    return decode_topology(json.dump());
  }
};

TEST(DriveUrlTest, IsNodePortAndFolder) {
  const auto url = parse_drive_url("http://node-1.example:9000/data/d1");
  ASSERT_TRUE(url.has_value()) << url.error().detail;
  EXPECT_EQ(*url, (DriveUrl{"node-1.example", 9000, "/data/d1"}));
  EXPECT_EQ(to_string(*url), "http://node-1.example:9000/data/d1");
  EXPECT_EQ(*parse_drive_url("https://node-1.example:9000/data/d1"), *url);
}

TEST(DriveUrlTest, RefusesWhatIsNone) {
  for (const char* text :
       {"/data/d1", "ftp://n1:9000/d1", "http://n1:9000", "http://n1:9000/", "http://n1/d1", "http://n1:0/d1",
        "http://n1:70000/d1", "http://n1:9x/d1", "http://:9000/d1", "http://a b:9000/d1", "http://..:9000/d1",
        "http://n1:9000/d1/", "http://n1:9000/d?1", "http://user@n1:9000/d1", "http://[::1]:9000/d1"}) {
    EXPECT_TRUE(parse_drive_url(text).failed_with(Errc::invalid_argument)) << text;
  }
}

TEST_F(TopologyTest, ComesBackAsItWas) {
  const auto again = decode_topology(encode_topology(topology_));
  ASSERT_TRUE(again.has_value()) << again.error().detail;
  EXPECT_EQ(again->deployment, topology_.deployment);
  EXPECT_EQ(again->ids(), topology_.ids());
  EXPECT_EQ(again->data_shards, 2U);
  EXPECT_EQ(again->parity_shards, 2U);
  EXPECT_EQ(again->created_ms, topology_.created_ms);
  EXPECT_EQ(first_difference(*again, four_drives()), "");
  EXPECT_THAT(again->nodes(), ElementsAre("n1", "n2"));
}

TEST_F(TopologyTest, EveryDriveHasAnIdOfItsOwn) {
  const auto ids = topology_.ids();
  for (std::size_t i = 0; i < ids.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(ids[i], ids[j]);
}

TEST_F(TopologyTest, NamesTheFirstDifference) {
  auto drives = four_drives();
  drives[2].port = 9000;
  EXPECT_EQ(first_difference(topology_, drives),
            "drive 3 is http://n2:9000/d1 here, and http://n2:9001/d1 in the cluster");
  drives = four_drives();
  drives.pop_back();
  EXPECT_EQ(first_difference(topology_, drives),
            "3 drives are named here, and the cluster has 4: the next is http://n2:9001/d2");
  drives = four_drives();
  drives.push_back({"n3", 9000, "/d1"});
  EXPECT_EQ(first_difference(topology_, drives),
            "drive 5 is http://n3:9000/d1 here, and the cluster has 4 drives");
}

TEST_F(TopologyTest, RefusesWhatMakesNoSense) {
  EXPECT_TRUE(with("/version", 2).failed_with(Errc::unsupported_version));
  EXPECT_TRUE(with("/version", 0).failed_with(Errc::malformed));
  EXPECT_TRUE(with("/deployment", "x").failed_with(Errc::malformed));
  EXPECT_TRUE(with("/data_shards", 0).failed_with(Errc::malformed));
  EXPECT_TRUE(with("/data_shards", -2).failed_with(Errc::malformed));
  EXPECT_TRUE(with("/parity_shards", 3).failed_with(Errc::malformed));
  EXPECT_TRUE(with("/drives/0/port", 0).failed_with(Errc::malformed));
  EXPECT_TRUE(with("/drives/0/port", 65536).failed_with(Errc::malformed));
  EXPECT_TRUE(with("/drives/0/folder", "d1").failed_with(Errc::malformed));
  EXPECT_TRUE(with("/drives/0/node", "").failed_with(Errc::malformed));
  EXPECT_TRUE(with("/drives/1/id", to_string(topology_.slots[0].id)).failed_with(Errc::malformed));
  EXPECT_TRUE(with("/drives/1/folder", "/d1").failed_with(Errc::malformed));
  EXPECT_TRUE(with("/drives", nlohmann::json::array()).failed_with(Errc::malformed));
  EXPECT_TRUE(decode_topology("[]").failed_with(Errc::malformed));
  EXPECT_TRUE(decode_topology("{").failed_with(Errc::malformed));
}

}  // namespace
}  // namespace ostraka::cluster
