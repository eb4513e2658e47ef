// Counters that production has anyway tell whether a rare path was reached.
#include <charconv>

#include "tests/sim/sim_world.h"

namespace ostraka::sim {

// The registry's own text: `name{labels} value` lines. Those of drives are added up.
void SimWorld::collect_metrics(Incarnation& from) {
  const std::string text = from.metrics.prometheus_text();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line(text.data() + at, end - at);
    at = end + 1;
    const std::size_t space = line.rfind(' ');
    if (line.empty() || line[0] == '#' || space == std::string_view::npos) continue;
    std::string_view name = line.substr(0, space);
    const std::size_t labels = name.find('{');
    const bool of_drive =
        labels != std::string_view::npos && name.substr(labels).find("drive=") != std::string_view::npos;
    if (of_drive) name = name.substr(0, labels);
    if (name.find("_total") == std::string_view::npos || name.starts_with("ostraka_s3_")) continue;
    double value = 0;
    std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
    if (value > 0) probes.hit(std::string(name), static_cast<std::uint64_t>(value));
  }
}

std::uint64_t SimWorld::counted(const std::string& metric) {
  const auto ended = probes.counts().find(metric);
  std::uint64_t total = ended == probes.counts().end() ? 0 : ended->second;
  for (const auto& one : nodes)
    if (one->current) total += one->current->metrics.counter(metric, "").value();
  return total;
}

}  // namespace ostraka::sim
