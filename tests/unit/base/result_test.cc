#include "base/result.h"

#include <gtest/gtest.h>

#include <set>

#include "base/check.h"
#include "base/log.h"

namespace ostraka {
namespace {

Result<int> parse(int value) {
  if (value < 0) return fail(Errc::invalid_argument, "negative");
  return value;
}
Result<> check_even(int value) {
  if (value % 2 != 0) return fail(Errc::conflict);
  return {};
}
Result<std::string> twice(int value) {
  TRY(number, parse(value));
  TRY_VOID(check_even(number));
  return std::to_string(number * 2);
}

TEST(Result, TryHandsOnValuesAndErrors) {
  EXPECT_EQ(*twice(4), "8");
  EXPECT_TRUE(twice(-1).failed_with(Errc::invalid_argument));
  EXPECT_EQ(twice(-1).error().detail, "negative");
  EXPECT_EQ(twice(3).code(), Errc::conflict);
  EXPECT_FALSE(twice(4).failed_with(Errc::conflict));
}

TEST(Errc, EveryCodeHasItsOwnName) {
  std::set<std::string_view> names;
  const int last = static_cast<int>(Errc::internal);
  for (int i = 0; i <= last; ++i) names.insert(to_string(static_cast<Errc>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(last) + 1);
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(CheckDeathTest, NamesExpressionAndPlace) {
  CHECK(1 + 1 == 2);
  EXPECT_DEATH(CHECK(1 + 1 == 3), "CHECK failed: 1 \\+ 1 == 3 at .*result_test.cc");
}

TEST(Log, LevelsAndNoForgedLines) {
  log::set_level(log::Level::warn);
  EXPECT_FALSE(log::enabled(log::Level::info));
  EXPECT_TRUE(log::enabled(log::Level::error));
  testing::internal::CaptureStderr();
  log::info("not shown");
  log::warn("odd key={}", "a\nerror forged\x1b[2J");
  const std::string text = testing::internal::GetCapturedStderr();
  log::set_level(log::Level::info);
  EXPECT_TRUE(text.ends_with("Z warning odd key=a\\x0aerror forged\\x1b[2J\n")) << text;
  EXPECT_EQ(text.find("not shown"), std::string::npos);
}

}  // namespace
}  // namespace ostraka
