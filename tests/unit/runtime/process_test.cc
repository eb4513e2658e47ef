#include "runtime/process.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "runtime/block_device.h"

namespace ostraka {
namespace {

using namespace std::chrono_literals;

ProcessSpec shell(std::string script) {
  return ProcessSpec{.words = {"sh", "-c", std::move(script)}};
}

TEST(RunProcess, GivesWhatItPrintsAndItsStatus) {
  const auto done = run_process(shell("echo one; echo two >&2; cat; exit 3"));
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->output, "one\n");
  EXPECT_EQ(done->status, 3);
}

TEST(RunProcess, AProgramThatIsNotThere) {
  EXPECT_TRUE(run_process({.words = {"/no/such/program"}}).failed_with(Errc::not_found));
  EXPECT_TRUE(run_process({.words = {}}).failed_with(Errc::invalid_argument));
}

TEST(RunProcess, IsKilledWhenItTakesTooLongOrPrintsTooMuch) {
  const auto begun = std::chrono::steady_clock::now();
  ProcessSpec slow = shell("exec sleep 100");
  slow.time_limit = 100ms;
  EXPECT_TRUE(run_process(slow).failed_with(Errc::deadline));
  ProcessSpec silent = shell("exec sleep 100 >&-");  // says nothing more, and does not end
  silent.time_limit = 100ms;
  EXPECT_TRUE(run_process(silent).failed_with(Errc::deadline));
  ProcessSpec loud = shell("exec yes");
  loud.max_output_bytes = 100'000;
  EXPECT_TRUE(run_process(loud).failed_with(Errc::too_large));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 30s);
}

TEST(RunProcess, OneThatDiesOfASignalIsAnError) {
  EXPECT_TRUE(run_process(shell("kill -9 $$")).failed_with(Errc::io));
}

class WholeDisk : public testing::Test {
 protected:
  WholeDisk() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ostraka-sys-XXXXXX").string();
    sys_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directories(sys_ / "dev/block");
  }
  ~WholeDisk() override { std::filesystem::remove_all(sys_); }
  void device(const std::string& where, const std::string& number) {
    std::filesystem::create_directories(sys_ / where);
    std::filesystem::create_symlink(sys_ / where, sys_ / "dev/block" / number);
  }
  void mapping(const std::string& of, const std::string& where) {
    std::filesystem::create_directories(sys_ / of / "slaves");
    std::filesystem::create_symlink(sys_ / where,
                                    sys_ / of / "slaves" / std::filesystem::path(where).filename());
  }
  Result<std::string> of(unsigned major_number, unsigned minor_number) {
    return whole_disk_of(makedev(major_number, minor_number), sys_.string());
  }
  std::filesystem::path sys_;
};

TEST_F(WholeDisk, OfDisksPartitionsAndMappings) {
  device("devices/sda", "8:0");
  device("devices/sda/sda1", "8:1");
  std::ofstream(sys_ / "devices/sda/sda1/partition") << "1\n";
  device("devices/nvme0n1", "259:0");
  device("devices/dm-0", "254:0");
  mapping("devices/dm-0", "devices/sda/sda1");
  device("devices/dm-1", "254:1");
  mapping("devices/dm-1", "devices/dm-0");
  device("devices/md0", "9:0");
  mapping("devices/md0", "devices/sda");
  mapping("devices/md0", "devices/nvme0n1");
  EXPECT_EQ(of(8, 0).value_or(""), "sda");
  EXPECT_EQ(of(8, 1).value_or(""), "sda");
  EXPECT_EQ(of(259, 0).value_or(""), "nvme0n1");
  EXPECT_EQ(of(254, 1).value_or(""), "sda") << "an encrypted volume on a partition";
  EXPECT_TRUE(of(9, 0).failed_with(Errc::not_found)) << "several disks";
  EXPECT_TRUE(of(0, 42).failed_with(Errc::not_found)) << "a file system in memory";
}

TEST_F(WholeDisk, AMappingOfItselfEnds) {
  device("devices/dm-0", "254:0");
  mapping("devices/dm-0", "devices/dm-0");
  EXPECT_TRUE(of(254, 0).failed_with(Errc::not_found));
}

}  // namespace
}  // namespace ostraka
