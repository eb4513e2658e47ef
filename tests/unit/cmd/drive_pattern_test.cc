#include "cmd/drive_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ostraka::cmd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(const std::vector<std::string>& patterns) {
  const auto drives = expand_drives(patterns);
  EXPECT_FALSE(drives.has_value());
  return drives ? "" : drives.error().detail;
}

TEST(DrivePatternTest, PlainFoldersStayInOrder) {
  EXPECT_THAT(*expand_drives({"/b", "/a/", "c"}), ElementsAre("/b", "/a", "c"));
}

TEST(DrivePatternTest, ExpandsARange) {
  EXPECT_THAT(*expand_drives({"data/d{1...3}"}), ElementsAre("data/d1", "data/d2", "data/d3"));
  EXPECT_THAT(*expand_drives({"/d{8...10}/x"}), ElementsAre("/d8/x", "/d9/x", "/d10/x"));
}

TEST(DrivePatternTest, LeadingZerosPad) {
  EXPECT_THAT(*expand_drives({"/d{08...11}"}), ElementsAre("/d08", "/d09", "/d10", "/d11"));
  EXPECT_EQ(expand_drives({"/d{001...100}"})->front(), "/d001");
  EXPECT_THAT(*expand_drives({"/d{0...2}"}), ElementsAre("/d0", "/d1", "/d2"));
}

TEST(DrivePatternTest, SeveralRangesTurnTheRightmostFastest) {
  EXPECT_THAT(*expand_drives({"/n{1...2}/d{1...2}"}), ElementsAre("/n1/d1", "/n1/d2", "/n2/d1", "/n2/d2"));
}

TEST(DrivePatternTest, RefusesWhatIsNoRange) {
  EXPECT_THAT(refusal({"/d{1...}"}), HasSubstr("not a number"));
  EXPECT_THAT(refusal({"/d{a...c}"}), HasSubstr("not a number"));
  EXPECT_THAT(refusal({"/d{1,2}"}), HasSubstr("not a range"));
  EXPECT_THAT(refusal({"/d{3...1}"}), HasSubstr("descends"));
  EXPECT_THAT(refusal({"/d{1...3"}), HasSubstr("without"));
  EXPECT_THAT(refusal({"/d1...3}"}), HasSubstr("without"));
  EXPECT_THAT(refusal({"/d{1...18446744073709551615}"}), HasSubstr("more than 1024"));
  EXPECT_THAT(refusal({"/a{1...40}/b{1...40}"}), HasSubstr("more than 1024"));
  EXPECT_THAT(refusal({""}), HasSubstr("empty"));
}

TEST(DrivePatternTest, RefusesTheSameDriveTwiceAndNone) {
  EXPECT_THAT(refusal({"/d{1...3}", "/d2/"}), HasSubstr("/d2: named twice"));
  EXPECT_THAT(refusal({}), HasSubstr("no drives"));
}

Result<std::vector<cluster::DriveUrl>> of_nodes(const std::vector<std::string>& patterns) {
  TRY(drives, expand_drives(patterns));
  return drives_of_nodes(drives);
}

std::string refusal_of_nodes(const std::vector<std::string>& patterns) {
  const auto drives = of_nodes(patterns);
  EXPECT_FALSE(drives.has_value());
  return drives ? "" : drives.error().detail;
}

TEST(DrivePatternTest, DrivesOfNodesAreInOrderOfTheNodes) {
  const auto drives = of_nodes({"http://node{1...2}:9000/data/d{1...2}"});
  ASSERT_TRUE(drives.has_value()) << drives.error().detail;
  EXPECT_THAT(*drives, ElementsAre(cluster::DriveUrl{"node1", 9000, "/data/d1"},
                                   cluster::DriveUrl{"node1", 9000, "/data/d2"},
                                   cluster::DriveUrl{"node2", 9000, "/data/d1"},
                                   cluster::DriveUrl{"node2", 9000, "/data/d2"}));
  EXPECT_TRUE(of_nodes({"/d{1...3}"})->empty()) << "folders of this machine";
}

TEST(DrivePatternTest, RefusesDrivesOfNodesThatDoNotFitTogether) {
  EXPECT_THAT(refusal_of_nodes({"http://n1:9000/d1", "/d2"}), HasSubstr("drive /d2: a folder beside"));
  EXPECT_THAT(refusal_of_nodes({"/d2", "http://n1:9000/d1"}), HasSubstr("drive /d2: a folder beside"));
  EXPECT_THAT(refusal_of_nodes({"http://n1:9000/d1", "http://n1:9001/d2"}), HasSubstr("has port 9000"));
  EXPECT_THAT(refusal_of_nodes({"http://n1:9000/d1", "https://n1:9000/d1"}), HasSubstr("named twice"));
  EXPECT_THAT(refusal_of_nodes({"http://n1/d1"}), HasSubstr("names no port"));
}

}  // namespace
}  // namespace ostraka::cmd
