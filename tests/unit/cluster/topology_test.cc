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
  EXPECT_TRUE(with("/version", 3).failed_with(Errc::unsupported_version));
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
  EXPECT_TRUE(with("/drives/1/state", "draining").failed_with(Errc::malformed));  // not in version 1
  EXPECT_TRUE(with("/drives/1/added", true).failed_with(Errc::malformed));
  EXPECT_TRUE(with("/drives", nlohmann::json::array()).failed_with(Errc::malformed));
  EXPECT_TRUE(decode_topology("[]").failed_with(Errc::malformed));
  EXPECT_TRUE(decode_topology("{").failed_with(Errc::malformed));
}

// As the releases wrote it that knew neither states nor drives that were added: they read it, too.
TEST(TopologyFormatTest, GoldenAsFounded) {
  const std::string golden =
      R"({"created_ms":1700000000000,"data_shards":1,"deployment":"00112233-4455-6677-8899-aabbccddeeff",)"
      R"("drives":[{"folder":"/d1","id":"01112233-4455-6677-8899-aabbccddeeff","node":"n1","port":9000},)"
      R"({"folder":"/d1","id":"02112233-4455-6677-8899-aabbccddeeff","node":"n2","port":9000}],)"
      R"("parity_shards":1,"version":1})";
  const auto topology = decode_topology(golden);
  ASSERT_TRUE(topology.has_value()) << topology.error().detail;
  for (const Topology::Slot& slot : topology->slots) {
    EXPECT_EQ(slot.state, SlotState::in_service);
    EXPECT_FALSE(slot.added);
  }
  EXPECT_EQ(encode_topology(*topology), golden);
}

TEST(TopologyFormatTest, GoldenSinceItWasChanged) {
  const std::string golden =
      R"({"created_ms":1700000000000,"data_shards":1,"deployment":"00112233-4455-6677-8899-aabbccddeeff",)"
      R"("drives":[{"folder":"/d1","id":"01112233-4455-6677-8899-aabbccddeeff","node":"n1","port":9000,)"
      R"("state":"removed"},)"
      R"({"folder":"/d1","id":"02112233-4455-6677-8899-aabbccddeeff","node":"n2","port":9000,"state":"draining"},)"
      R"({"added":true,"folder":"/d1","id":"03112233-4455-6677-8899-aabbccddeeff","node":"n1","port":9000}],)"
      R"("parity_shards":1,"version":2})";
  const auto topology = decode_topology(golden);
  ASSERT_TRUE(topology.has_value()) << topology.error().detail;
  EXPECT_EQ(topology->slots[0].state, SlotState::removed);
  EXPECT_EQ(topology->slots[1].state, SlotState::draining);
  EXPECT_EQ(topology->slots[2].state, SlotState::in_service);
  EXPECT_FALSE(topology->slots[1].added);
  EXPECT_TRUE(topology->slots[2].added);
  EXPECT_EQ(topology->slot_at({"n1", 9000, "/d1"}), 2U);  // the place of a removed drive, given out again
  EXPECT_EQ(topology->slot_at({"n1", 9000, "/d2"}), std::nullopt);
  EXPECT_EQ(encode_topology(*topology), golden);
}

// Drives that were added, and those that were removed, need not be named: nobody has to restart all nodes
// with another command line.
TEST_F(TopologyTest, NodesNeedNotBeToldOfChanges) {
  topology_.slots.push_back({{"n3", 9000, "/d1"}, DriveId{make_uuid(random_)}, SlotState::in_service, true});
  EXPECT_EQ(first_difference(topology_, four_drives()), "");
  auto drives = four_drives();
  drives.push_back({"n3", 9000, "/d1"});
  EXPECT_EQ(first_difference(topology_, drives), "");
  drives.push_back({"n3", 9000, "/d2"});
  EXPECT_EQ(first_difference(topology_, drives),
            "drive 6 is http://n3:9000/d2 here, and the cluster has no such drive");
  drives = four_drives();
  drives.erase(drives.begin() + 1);
  EXPECT_EQ(first_difference(topology_, drives),
            "http://n1:9000/d2 is a drive of the cluster, and is not named here");
  topology_.slots[1].state = SlotState::draining;
  EXPECT_NE(first_difference(topology_, drives), "");
  topology_.slots[1].state = SlotState::removed;
  EXPECT_EQ(first_difference(topology_, drives), "");
  EXPECT_EQ(first_difference(topology_, four_drives()), "");
}

TEST_F(TopologyTest, ANodeGoesWithItsLastDrive) {
  topology_.slots[0].state = SlotState::removed;
  topology_.slots[1].state = SlotState::draining;
  EXPECT_THAT(topology_.nodes(), ElementsAre("n1", "n2"));
  topology_.slots[1].state = SlotState::removed;
  EXPECT_THAT(topology_.nodes(), ElementsAre("n2"));
  EXPECT_EQ(topology_.ids().size(), 4U);
}

}  // namespace
}  // namespace ostraka::cluster
