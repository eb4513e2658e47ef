#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ostraka {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, TheSameNameAndLabelsAreTheSameCell) {
  MetricRegistry registry;
  Counter& a = registry.counter("requests_total", "Requests.", {{"op", "get"}});
  Counter& b = registry.counter("requests_total", "", {{"op", "put"}});
  EXPECT_NE(&a, &b);
  EXPECT_EQ(&a, &registry.counter("requests_total", "other help", {{"op", "get"}}));
  a.add();
  a.add(4);
  EXPECT_EQ(registry.prometheus_text(),
            "# HELP requests_total Requests.\n# TYPE requests_total counter\n"
            "requests_total{op=\"get\"} 5\nrequests_total{op=\"put\"} 0\n");
}

TEST(Metrics, GaugesAndCallbacks) {
  MetricRegistry registry;
  registry.gauge("in_flight", "Now.").set(7);
  registry.gauge("in_flight", "").add(-9);
  registry.gauge_callback("ratio", "Asked for.", {}, [] { return 0.25; });
  EXPECT_THAT(registry.prometheus_text(), HasSubstr("# TYPE in_flight gauge\nin_flight -2\n"));
  EXPECT_THAT(registry.prometheus_text(), HasSubstr("ratio 0.25\n"));
}

TEST(Metrics, HistogramsAreCumulativeAndInSeconds) {
  MetricRegistry registry;
  Histogram& h = registry.histogram("latency_seconds", "Latency.", {{"op", "get"}});
  h.observe_us(100);  // on the bound: inside
  h.observe_us(101);
  h.observe_us(2'000'000);
  h.observe_us(60'000'000);
  EXPECT_EQ(h.count(), 4U);
  EXPECT_EQ(h.bucket(0), 1U);
  EXPECT_EQ(h.bucket(1), 1U);
  EXPECT_EQ(h.bucket(Histogram::kBoundsUs.size()), 1U);
  const std::string text = registry.prometheus_text();
  EXPECT_THAT(text, HasSubstr("latency_seconds_bucket{op=\"get\",le=\"0.0001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("latency_seconds_bucket{op=\"get\",le=\"0.00025\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("latency_seconds_bucket{op=\"get\",le=\"2.5\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("latency_seconds_bucket{op=\"get\",le=\"+Inf\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("latency_seconds_sum{op=\"get\"} 62.000201\n"));
  EXPECT_THAT(text, HasSubstr("latency_seconds_count{op=\"get\"} 4\n"));
}

TEST(Metrics, EscapesLabelsAndHelp) {
  MetricRegistry registry;
  registry.counter("c", "a\\b\nc\"d", {{"path", "x\"y\\z\n"}});
  EXPECT_EQ(registry.prometheus_text(),
            "# HELP c a\\\\b\\nc\"d\n# TYPE c counter\nc{path=\"x\\\"y\\\\z\\n\"} 0\n");
}

}  // namespace
}  // namespace ostraka
