#include "base/fault_point.h"

#include <gtest/gtest.h>

#include <csignal>

namespace ostraka {
namespace {

using Hits = std::map<std::string, std::uint64_t, std::less<>>;

TEST(FaultPoint, NothingHappensUnlessArmed) {
  fault_point("a");
  const auto none = FaultPoints::arm("");
  ASSERT_TRUE(none);
  EXPECT_EQ(*none, nullptr);
  fault_point("a");
}

TEST(FaultPoint, CountsWhileArmed) {
  fault_point("a");
  {
    const auto points = FaultPoints::arm("count");
    ASSERT_TRUE(points);
    fault_point("a");
    fault_point("b");
    fault_point("a");
    EXPECT_EQ((*points)->hits(), (Hits{{"a", 2}, {"b", 1}}));
  }
  fault_point("a");
  const auto again = FaultPoints::arm("count");
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->hits(), Hits{});
}

TEST(FaultPoint, KillsAtTheHitThatWasNamed) {
  const auto until_killed = [](int hits) {
    const auto points = FaultPoints::arm("a=kill:3,b=kill:1");
    for (int i = 0; i < hits; ++i) fault_point("a");
    std::_Exit(0);
  };
  EXPECT_EXIT(until_killed(2), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(until_killed(3), testing::KilledBySignal(SIGKILL), "name=a hits=3");
}

TEST(FaultPoint, RefusesWhatItDoesNotUnderstand) {
  for (const std::string_view spec : {"a", "a=kill", "a=kill:", "a=kill:0", "a=kill:x", "=kill:1", "a=stop:1",
                                      "a=kill:1,,b=kill:1", "a=kill:1;b=kill:2"}) {
    const auto points = FaultPoints::arm(spec);
    ASSERT_FALSE(points) << spec;
    EXPECT_EQ(points.error().code, Errc::invalid_argument);
  }
  EXPECT_TRUE(FaultPoints::arm("a=kill:1,"));  // and what was refused is not armed
}

}  // namespace
}  // namespace ostraka
