#include "runtime/fs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "runtime/random.h"

namespace ostraka {
namespace {

class FsTest : public testing::Test {
 protected:
  FsTest() {
    std::string pattern = testing::TempDir() + "ostraka-fs-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  ~FsTest() override { std::filesystem::remove_all(dir_); }
  std::string path(const std::string& name) const { return dir_ + "/" + name; }

  PosixFs fs_;
  std::string dir_;
};

TEST_F(FsTest, WritesManyPartsAndReadsThemBack) {
  auto file = fs_.open(path("a"), OpenMode::create_new);
  ASSERT_TRUE(file) << file.error().detail;
  std::string expected;
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i)
    texts.push_back(std::string(static_cast<std::size_t>(i % 7), static_cast<char>('a' + i % 26)));
  std::vector<ByteSpan> parts;
  for (const auto& text : texts) {
    parts.push_back(as_bytes(text));
    expected += text;
  }
  ASSERT_TRUE((*file)->pwritev(parts, 10));
  ASSERT_TRUE((*file)->sync());
  EXPECT_EQ((*file)->size().value(), expected.size() + 10);
  std::vector<std::uint8_t> back(expected.size() + 100);
  const auto got = (*file)->pread(back, 10);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, expected.size());  // short only at the end
  EXPECT_EQ(as_text(ByteSpan(back).first(*got)), expected);
  EXPECT_EQ((*file)->pread(back, 1 << 20).value(), 0U);
}

TEST_F(FsTest, OpensAtOnceOnlyWhatLiesInMemory) {
  EXPECT_TRUE(fs_.open_now(path("none")).failed_with(Errc::unavailable));
  EXPECT_TRUE(fs_.open_now(path("no/parent")).failed_with(Errc::unavailable));
  ASSERT_TRUE(fs_.write_file(path("a"), "some words"));
  auto file = fs_.open_now(path("a"));
  if (!file) {
    ASSERT_TRUE(file.failed_with(Errc::unavailable));
    GTEST_SKIP() << "this kernel, or what guards its calls, does not know openat2";
  }
  std::vector<std::uint8_t> back(100);
  const auto got = (*file)->pread(back, 5);
  ASSERT_TRUE(got);
  EXPECT_EQ(as_text(ByteSpan(back).first(*got)), "words");
  const std::string text = "x";
  const ByteSpan part = as_bytes(text);
  EXPECT_FALSE((*file)->pwritev(std::span<const ByteSpan>(&part, 1), 0)) << "for reading only";
}

TEST_F(FsTest, OpenModes) {
  EXPECT_TRUE(fs_.open(path("none"), OpenMode::read).failed_with(Errc::not_found));
  EXPECT_TRUE(fs_.open(path("none"), OpenMode::read_write).failed_with(Errc::not_found));
  EXPECT_TRUE(fs_.open(path("no/parent"), OpenMode::create_new).failed_with(Errc::not_found));
  ASSERT_TRUE(fs_.open(path("a"), OpenMode::create_new));
  const auto again = fs_.open(path("a"), OpenMode::create_new);
  ASSERT_TRUE(again.failed_with(Errc::io));
  EXPECT_NE(again.error().detail.find(path("a")), std::string::npos);
  EXPECT_NE(again.error().detail.find("exists"), std::string::npos);
}

TEST_F(FsTest, WriteFileReplacesAndSurvivesALeftOver) {
  ASSERT_TRUE(fs_.write_file(path("doc"), "one"));
  ASSERT_TRUE(fs_.open(path("doc.tmp"), OpenMode::create_new));  // as after a crash
  ASSERT_TRUE(fs_.write_file(path("doc"), "two"));
  EXPECT_EQ(fs_.read_file(path("doc"), 100).value(), "two");
  EXPECT_FALSE(fs_.exists(path("doc.tmp")).value());
  EXPECT_TRUE(fs_.write_file(path("no/such/folder"), "x").failed_with(Errc::not_found));
}

TEST_F(FsTest, ReadFileHasALimit) {
  ASSERT_TRUE(fs_.write_file(path("doc"), std::string(5000, 'x')));
  EXPECT_EQ(fs_.read_file(path("doc"), 5000).value().size(), 5000U);
  EXPECT_TRUE(fs_.read_file(path("doc"), 4999).failed_with(Errc::too_large));
  EXPECT_TRUE(
      fs_.read_file("/proc/self/status", 1 << 20).value().starts_with("Name:"));  // of size 0, it says
  EXPECT_TRUE(fs_.read_file("/proc/self/status", 10).failed_with(Errc::too_large));
}

TEST_F(FsTest, Folders) {
  ASSERT_TRUE(fs_.make_dirs(path("x/y/z")));
  ASSERT_TRUE(fs_.make_dirs(path("x/y/z")));
  ASSERT_TRUE(fs_.write_file(path("x/f"), ""));
  auto names = fs_.list_dir(path("x"));
  ASSERT_TRUE(names);
  std::sort(names->begin(), names->end());
  EXPECT_EQ(*names, (std::vector<std::string>{"f", "y"}));
  EXPECT_TRUE(fs_.list_dir(path("none")).failed_with(Errc::not_found));
  EXPECT_TRUE(fs_.make_dirs(path("x/f/under-a-file")).failed_with(Errc::io));
  EXPECT_TRUE(fs_.exists(path("x/y")).value());
  EXPECT_FALSE(fs_.exists(path("x/f/under-a-file")).value());
  ASSERT_TRUE(fs_.rename(path("x/f"), path("x/g")));
  ASSERT_TRUE(fs_.sync_dir(path("x")));
  EXPECT_TRUE(fs_.remove(path("x/f")).failed_with(Errc::not_found));
  EXPECT_TRUE(fs_.remove(path("x/g")));
  const auto space = fs_.space(dir_);
  ASSERT_TRUE(space);
  EXPECT_GT(space->total_bytes, 0U);
  EXPECT_LE(space->free_bytes, space->total_bytes);
}

TEST_F(FsTest, AFullDriveIsNoSpace) {
  auto full = fs_.open("/dev/full", OpenMode::read_write);
  if (!full) GTEST_SKIP() << full.error().detail;
  const ByteSpan part = as_bytes("x");
  const auto wrote = (*full)->pwritev(std::span<const ByteSpan>(&part, 1), 0);
  EXPECT_TRUE(wrote.failed_with(Errc::no_space));
}

TEST_F(FsTest, ALockExcludesOtherProcessesAndEndsWithItsHolder) {
  auto lock = fs_.lock(path("lock"));
  ASSERT_TRUE(lock) << lock.error().detail;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto second = fs_.lock(path("lock"));
    const bool named = second.failed_with(Errc::wrong_drive) &&
                       second.error().detail.find(path("lock")) != std::string::npos &&
                       second.error().detail.find(std::to_string(::getppid())) != std::string::npos;
    ::_exit(named ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(fs_.lock(path("lock")).failed_with(Errc::wrong_drive));
  lock->reset();
  EXPECT_TRUE(fs_.lock(path("lock")));
}

TEST(RandomTest, UuidsAreVersion4AndDiffer) {
  SystemRandom random;
  std::set<Uuid> seen;
  for (int i = 0; i < 100; ++i) {
    const Uuid id = make_uuid(random);
    EXPECT_EQ(id.bytes[6] >> 4, 4);
    EXPECT_EQ(id.bytes[8] >> 6, 2);
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 100U);
  EXPECT_NE(random_u64(random), random_u64(random));
}

}  // namespace
}  // namespace ostraka
