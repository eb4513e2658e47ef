// The Prometheus text of the registry, read and cut: whoever counts need not know who shows.
#pragma once

#include <string>
#include <string_view>

namespace ostraka::admin {

// The sum of all samples named exactly `name` whose label text contains `labels` (for example status="5;
// empty: all).
double sum_samples(std::string_view prometheus_text, std::string_view name, std::string_view labels = {});

// The text without the samples of `name` and their comments.
std::string without_metric(std::string_view prometheus_text, std::string_view name);

}  // namespace ostraka::admin
