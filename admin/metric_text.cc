#include "admin/metric_text.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace ostraka::admin {

double sum_samples(std::string_view prometheus_text, std::string_view name, std::string_view labels) {
  double sum = 0;
  while (!prometheus_text.empty()) {
    const auto end = std::min(prometheus_text.find('\n'), prometheus_text.size());
    const std::string_view line = prometheus_text.substr(0, end);
    prometheus_text.remove_prefix(std::min(end + 1, prometheus_text.size()));
    if (!line.starts_with(name)) continue;
    const std::string_view rest = line.substr(name.size());
    if (rest.empty() || (rest.front() != '{' && rest.front() != ' ')) continue;  // a longer name
    const auto value_at = rest.rfind(' ');
    if (rest.substr(0, value_at).find(labels) == std::string_view::npos) continue;
    sum += std::strtod(std::string(rest.substr(value_at + 1)).c_str(), nullptr);
  }
  return sum;
}

}  // namespace ostraka::admin
