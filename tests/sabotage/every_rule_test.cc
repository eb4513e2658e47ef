// Whoever adds a rule to base/sabotage.h adds a test that notices when it is broken.
#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>

#include "tests/sim/sabotage.h"

namespace ostraka {
namespace {

TEST(Sabotage, EveryRuleHasSomebodyWhoNotices) {
  // The first takes a power cut: sim.notices_nosync. The others are of clusters: README.md.
  std::set<std::string> noticed{"nosync", "unlocked", "permit"};
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    if (suite.name() != std::string("Noticed")) continue;
    for (int j = 0; j < suite.total_test_count(); ++j) {
      std::string rule = suite.GetTestInfo(j)->name();
      rule[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(rule[0])));
      noticed.insert(rule);
    }
  }
  for (const std::string_view rule : sim::all_sabotages())
    EXPECT_TRUE(noticed.contains(std::string(rule))) << "no test Noticed.* for `" << rule << "`";
}

}  // namespace
}  // namespace ostraka
