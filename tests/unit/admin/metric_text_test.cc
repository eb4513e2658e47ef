#include "admin/metric_text.h"

#include <gtest/gtest.h>

#include "base/metrics.h"

namespace ostraka::admin {
namespace {

TEST(MetricTextTest, SumsWhatTheRegistryPrints) {
  MetricRegistry metrics;
  metrics.counter("a_total", "help", {{"op", "get"}, {"status", "200"}}).add(3);
  metrics.counter("a_total", "help", {{"op", "put"}, {"status", "503"}}).add(4);
  metrics.counter("a_total_more", "help").add(100);
  metrics.gauge("b", "a_total 7").set(-2);
  const std::string text = metrics.prometheus_text();
  EXPECT_EQ(sum_samples(text, "a_total"), 7);
  EXPECT_EQ(sum_samples(text, "a_total", "status=\"5"), 4);
  EXPECT_EQ(sum_samples(text, "b"), -2);
  EXPECT_EQ(sum_samples(text, "absent"), 0);
  EXPECT_EQ(sum_samples("", "a_total"), 0);
}

TEST(MetricTextTest, LeavesOneMetricOut) {
  MetricRegistry metrics;
  metrics.gauge("a", "help", {{"path", "/d1"}}).set(1);
  metrics.gauge("a_more", "a /d1 of another").set(2);
  const std::string text = without_metric(metrics.prometheus_text(), "a");
  EXPECT_EQ(text, "# HELP a_more a /d1 of another\n# TYPE a_more gauge\na_more 2\n");
  EXPECT_EQ(without_metric(text, "b"), text);
}

}  // namespace
}  // namespace ostraka::admin
