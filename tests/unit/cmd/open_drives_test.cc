#include "cmd/open_drives.h"

#include <gmock/gmock.h>

#include "disk/drive_format.h"
#include "tests/unit/cmd/node_fixture.h"

namespace ostraka::cmd {
namespace {

using ::testing::HasSubstr;

class OpenDrivesTest : public NodeFixture {
 protected:
  // Leaves the folders as a first start that was interrupted after formatting `done` of them.
  void format_partly(std::size_t done) {
    disk::DriveFormat format;
    format.deployment = DeploymentId{make_uuid(random_)};
    format.data_shards = 4;
    format.parity_shards = 2;
    for (std::size_t i = 0; i < folders_.size(); ++i) format.drives.push_back(DriveId{make_uuid(random_)});
    for (std::size_t i = 0; i < done; ++i) {
      format.slot = static_cast<unsigned>(i);
      ASSERT_TRUE(disk::format_drive(fs_, indexes_, folders_[i], format).has_value());
    }
  }
  void store_something_on(std::size_t i) {
    const auto index = indexes_.open(disk::index_folder(folders_[i]), disk::IndexMode::existing);
    ASSERT_TRUE(index.has_value());
    const auto batch = (*index)->make_batch();
    const std::string_view value = "x";
    batch->put(disk::Column::system, "doc/x", {&value, 1});
    ASSERT_TRUE((*index)->write(*batch, disk::Sync::yes).has_value());
  }
};

TEST_F(OpenDrivesTest, FormatsEmptyFoldersTogetherAndOpensThemAgain) {
  DeploymentId deployment;
  std::vector<DriveId> ids;
  {
    const auto drives = open();
    ASSERT_TRUE(drives.has_value()) << drives.error().detail;
    EXPECT_EQ(online(*drives), 6U);
    EXPECT_EQ(drives->geometry, *erasure::make_geometry(4, 2));
    deployment = drives->deployment;
    ids = drives->ids;
  }
  std::reverse(folders_.begin(), folders_.end());
  const auto again = open();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(online(*again), 6U);
  EXPECT_EQ(again->deployment, deployment);
  EXPECT_EQ(again->ids, ids);
  EXPECT_EQ(again->paths.front(), folders_.back()) << "identity decides, not the order of the arguments";
}

TEST_F(OpenDrivesTest, AnEmptiedDriveIsLeftOutAndNotFormatted) {
  {
    ASSERT_TRUE(open().has_value());
  }
  for (std::size_t i = 0; i < 4; ++i) store_something_on(i);
  wipe(4);
  std::filesystem::create_directories(folders_[4]);
  wipe(5);
  const auto drives = open();
  ASSERT_TRUE(drives.has_value());
  EXPECT_EQ(online(*drives), 4U);
  EXPECT_FALSE(std::filesystem::exists(folders_[4] + "/format.json"));
  EXPECT_FALSE(std::filesystem::exists(folders_[5] + "/format.json"));
}

class InterruptedStartTest : public OpenDrivesTest, public ::testing::WithParamInterface<std::size_t> {};

TEST_P(InterruptedStartTest, IsFinished) {
  format_partly(GetParam());
  const auto drives = open();
  ASSERT_TRUE(drives.has_value()) << drives.error().detail;
  EXPECT_EQ(online(*drives), 6U);
}
INSTANTIATE_TEST_SUITE_P(Formatted, InterruptedStartTest, ::testing::Values(1, 3, 5));

TEST_F(OpenDrivesTest, RefusesToFormatWhenOneFolderIsSomebodyElses) {
  std::filesystem::create_directories(folders_[2] + "/photos");
  const auto drives = open();
  ASSERT_FALSE(drives.has_value());
  EXPECT_THAT(drives.error().detail, HasSubstr(folders_[2]));
  EXPECT_FALSE(std::filesystem::exists(folders_[0] + "/format.json"));
}

TEST_F(OpenDrivesTest, ReadingToolsNeverFormat) {
  EXPECT_TRUE(open(std::nullopt, false).failed_with(Errc::not_found));
  EXPECT_FALSE(std::filesystem::exists(folders_[0]));
}

TEST_F(OpenDrivesTest, RefusesTooFewFoldersAndAnotherGeometry) {
  EXPECT_TRUE(open(*erasure::make_geometry(6, 2)).failed_with(Errc::invalid_argument));
  {
    ASSERT_TRUE(open(*erasure::make_geometry(2, 1)).has_value());
  }
  EXPECT_TRUE(open(*erasure::make_geometry(4, 2)).failed_with(Errc::invalid_argument));
  const auto drives = open();
  ASSERT_TRUE(drives.has_value());
  EXPECT_EQ(drives->geometry, *erasure::make_geometry(2, 1)) << "what the drives were formatted as";
}

}  // namespace
}  // namespace ostraka::cmd
