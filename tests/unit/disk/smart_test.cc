#include "disk/smart.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/disk/temp_dir.h"

namespace ostraka::disk {
namespace {

std::string printed(const std::string& name) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  return slurp((root / "fuzz" / "corpus" / "smart" / name).string());
}

TEST(Smart, AnAtaDiskTellsItsSectors) {
  const auto report = parse_smart(printed("ata.json"));
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->model, "WDC WD40EFRX-68N32N0");
  EXPECT_EQ(report->serial, "WD-WCC7K0AAAAAA");
  EXPECT_EQ(report->passed, true);
  EXPECT_EQ(report->reallocated_sectors, 8U);
  EXPECT_EQ(report->pending_sectors, 2U);
  EXPECT_EQ(report->power_on_hours, 31337U);
  EXPECT_EQ(report->temperature_celsius, 34);
  EXPECT_EQ(report->percentage_used, std::nullopt);
}

TEST(Smart, AnNvmeDiskTellsItsWear) {
  const auto report = parse_smart(printed("nvme.json"));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->passed, false);
  EXPECT_EQ(report->percentage_used, 117U);
  EXPECT_EQ(report->media_errors, 12U);
  EXPECT_EQ(report->reallocated_sectors, std::nullopt);
}

TEST(Smart, AScsiDiskTellsItsGrownDefects) {
  const auto report = parse_smart(printed("scsi.json"));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->model, "ST4000NM0023");
  EXPECT_EQ(report->reallocated_sectors, 3U);
  EXPECT_EQ(report->percentage_used, 7U);
}

TEST(Smart, WhatIsOfTheWrongTypeIsNotThere) {
  const auto report = parse_smart(printed("odd.json"));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->model, "[31m") << "nothing that a terminal obeys";
  EXPECT_EQ(report->serial, "");
  EXPECT_EQ(report->passed, std::nullopt);
  EXPECT_EQ(report->temperature_celsius, std::nullopt);
  EXPECT_EQ(report->power_on_hours, std::nullopt);
  EXPECT_EQ(report->reallocated_sectors, std::nullopt);
  EXPECT_TRUE(parse_smart(printed("deep.json")).failed_with(Errc::malformed));
  EXPECT_TRUE(parse_smart("").failed_with(Errc::malformed));
}

class SmartProgram : public testing::Test {
 protected:
  // A program that prints the file, and ends with the status.
  std::string program(const std::string& file, int status) {
    const std::string path = dir_ / "smartctl";
    spill(dir_ / "out.json", printed(file));
    spill(path, "#!/bin/sh\necho \"$@\" > " + (dir_ / "asked") + "\ncat " + (dir_ / "out.json") + "\nexit " +
                    std::to_string(status) + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  TempDir dir_;
};

TEST_F(SmartProgram, IsAskedForTheDisk) {
  const auto report = read_smart(program("nvme.json", 8), "nvme0n1");
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->device, "/dev/nvme0n1");
  EXPECT_EQ(slurp(dir_ / "asked"), "--json=c -a /dev/nvme0n1\n");
}

TEST_F(SmartProgram, ThatMayNotAskOrIsNotThereTellsNothing) {
  EXPECT_TRUE(read_smart(program("denied.json", 2), "sda").failed_with(Errc::not_found));
  EXPECT_TRUE(read_smart(dir_ / "no-such-program", "sda").failed_with(Errc::not_found));
}

}  // namespace
}  // namespace ostraka::disk
