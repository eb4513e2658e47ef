#include "disk/drive_format.h"

#include <gtest/gtest.h>

#include "tests/unit/disk/drive_world.h"

namespace ostraka::disk {
namespace {

namespace stdfs = std::filesystem;

class DriveFormatTest : public testing::Test {
 protected:
  const std::string& dir() { return world_.dir.path(); }
  Result<> format() { return format_drive(world_.fs, world_.memory, folder_, test_format()); }
  static bool names(const Result<>& result, const std::vector<std::string>& words) {
    if (result) return false;
    for (const std::string& word : words) {
      EXPECT_NE(result.error().detail.find(word), std::string::npos)
          << word << " in: " << result.error().detail;
    }
    return true;
  }
  DriveWorld world_;
  const std::string folder_ = world_.folder();
};

TEST_F(DriveFormatTest, KeepsEveryField) {
  const DriveFormat format = test_format();
  const auto back = decode_drive_format(encode_drive_format(format), "x");
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(back->deployment, format.deployment);
  EXPECT_EQ(back->slot, format.slot);
  EXPECT_EQ(back->drives, format.drives);
  EXPECT_EQ(back->drive(), format.drives[1]);
  EXPECT_EQ(back->data_shards, format.data_shards);
  EXPECT_EQ(back->parity_shards, format.parity_shards);
  EXPECT_EQ(back->created_ms, format.created_ms);
}

TEST_F(DriveFormatTest, EveryChangedCharacterIsNoticed) {
  const std::string text = encode_drive_format(test_format());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string bad = text;
    bad[i] = bad[i] == '7' ? '8' : '7';
    const auto answer = decode_drive_format(bad, "x");
    const bool blank = std::isspace(static_cast<unsigned char>(text[i])) != 0;
    EXPECT_TRUE(!answer || blank) << i << " " << text.substr(i, 10);
  }
}

TEST_F(DriveFormatTest, AMissingAnEmptyAndAFreshFileSystemMayBeFormatted) {
  EXPECT_FALSE(inspect_drive(world_.fs, folder_).value().has_value());
  stdfs::create_directories(folder_ + "/lost+found");
  EXPECT_FALSE(inspect_drive(world_.fs, folder_).value().has_value());
  ASSERT_TRUE(format());
  const auto found = inspect_drive(world_.fs, folder_);
  ASSERT_TRUE(found && found->has_value());
  EXPECT_EQ((*found)->drive(), test_format().drive());
  EXPECT_TRUE(stdfs::is_directory(folder_ + "/data/00"));
  EXPECT_TRUE(stdfs::is_directory(folder_ + "/data/ff"));
  EXPECT_FALSE(stdfs::exists(folder_ + "/format.json.new"));
}

TEST_F(DriveFormatTest, InterruptedFormattingMayBeRepeatedAtEveryStep) {
  ASSERT_TRUE(format());
  // as if it had ended before format.json: after the marker, some folders, the index
  stdfs::rename(folder_ + "/format.json", folder_ + "/format.json.new");
  EXPECT_FALSE(inspect_drive(world_.fs, folder_).value().has_value());
  EXPECT_TRUE(format());
  stdfs::remove_all(folder_);
  stdfs::create_directories(folder_ + "/data/00");
  spill(folder_ + "/format.json.new.tmp", "half a mar");
  EXPECT_TRUE(format());
}

TEST_F(DriveFormatTest, NeverFormatsWhatIsInUse) {
  ASSERT_TRUE(format());
  EXPECT_TRUE(names(format(), {folder_, "already", to_string(test_format().deployment)}));
  stdfs::remove(folder_ + "/format.json");
  const Result<> lost = format();
  EXPECT_TRUE(lost.failed_with(Errc::wrong_drive)) << "an index and data without format.json are somebody's";
  EXPECT_TRUE(names(lost, {folder_, "not empty", "by hand"}));
  const std::string other = dir() + "/photos";
  stdfs::create_directories(other);
  spill(other + "/cat.jpg", "meow");
  EXPECT_TRUE(names(format_drive(world_.fs, world_.memory, other, test_format()), {other, "cat.jpg"}));
  EXPECT_EQ(slurp(other + "/cat.jpg"), "meow");
}

TEST_F(DriveFormatTest, DamagedAndNewerFormatsAreRefusedByName) {
  ASSERT_TRUE(format());
  const std::string path = folder_ + "/format.json";
  const std::string good = slurp(path);
  for (const std::string& bad : {std::string(), std::string("{"), good.substr(0, good.size() / 2),
                                 std::string("[]"), std::string(R"({"format":"minio","version":1})")}) {
    spill(path, bad);
    const auto opened = open_drive_folder(world_.fs, folder_, test_format());
    EXPECT_TRUE(opened.failed_with(Errc::corrupt)) << bad;
    EXPECT_NE(opened.error().detail.find(folder_), std::string::npos);
  }
  std::string newer = good;
  newer.replace(newer.find("\"version\": 1"), 12, "\"version\": 7");
  spill(path, newer);
  const auto opened = open_drive_folder(world_.fs, folder_, test_format());
  ASSERT_TRUE(opened.failed_with(Errc::unsupported_version));
  EXPECT_NE(opened.error().detail.find("drive format 7"), std::string::npos);
}

TEST_F(DriveFormatTest, OtherDeploymentsAndSwappedDrivesAreRefused) {
  ASSERT_TRUE(format());
  DriveFormat other = test_format();
  other.deployment.bytes[0] = 1;
  auto opened = open_drive_folder(world_.fs, folder_, other);
  ASSERT_TRUE(opened.failed_with(Errc::wrong_drive));
  EXPECT_NE(opened.error().detail.find("belongs to deployment"), std::string::npos);
  DriveFormat swapped = test_format();
  swapped.slot = 2;
  opened = open_drive_folder(world_.fs, folder_, swapped);
  ASSERT_TRUE(opened.failed_with(Errc::wrong_drive));
  EXPECT_NE(opened.error().detail.find("swapped"), std::string::npos);
  stdfs::remove_all(folder_);
  opened = open_drive_folder(world_.fs, folder_, test_format());
  ASSERT_TRUE(opened.failed_with(Errc::not_found));
  EXPECT_NE(opened.error().detail.find("missing or empty"), std::string::npos);
}

TEST_F(DriveFormatTest, TwoCannotUseOneFolder) {
  ASSERT_TRUE(format());
  const auto first = open_drive_folder(world_.fs, folder_, test_format());
  ASSERT_TRUE(first);
  const auto second = open_drive_folder(world_.fs, folder_, test_format());
  ASSERT_TRUE(second.failed_with(Errc::wrong_drive));
  EXPECT_NE(second.error().detail.find(folder_), std::string::npos);
}

}  // namespace
}  // namespace ostraka::disk
