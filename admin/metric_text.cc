#include "admin/metric_text.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace ostraka::admin {

namespace {

// Without its end.
std::string_view take_line(std::string_view& text) noexcept {
  const auto end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// The line, or what a comment says, is about the metric of exactly this name.
bool is_about(std::string_view line, std::string_view name) noexcept {
  for (const std::string_view comment : {"# HELP ", "# TYPE "}) {
    if (line.starts_with(comment)) line.remove_prefix(comment.size());
  }
  if (!line.starts_with(name)) return false;
  line.remove_prefix(name.size());
  return !line.empty() && (line.front() == '{' || line.front() == ' ');
}

}  // namespace

double sum_samples(std::string_view prometheus_text, std::string_view name, std::string_view labels) {
  double sum = 0;
  while (!prometheus_text.empty()) {
    const std::string_view line = take_line(prometheus_text);
    if (line.starts_with('#') || !is_about(line, name)) continue;
    const std::string_view rest = line.substr(name.size());
    const auto value_at = rest.rfind(' ');
    if (rest.substr(0, value_at).find(labels) == std::string_view::npos) continue;
    sum += std::strtod(std::string(rest.substr(value_at + 1)).c_str(), nullptr);
  }
  return sum;
}

std::string without_metric(std::string_view prometheus_text, std::string_view name) {
  std::string out;
  out.reserve(prometheus_text.size());
  while (!prometheus_text.empty()) {
    const std::string_view line = take_line(prometheus_text);
    if (!is_about(line, name)) out.append(line).append("\n");
  }
  return out;
}

}  // namespace ostraka::admin
