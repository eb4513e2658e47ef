// Sums over the Prometheus text of the registry, for the status page: whoever counts need not know who shows.
#pragma once

#include <string_view>

namespace ostraka::admin {

// The sum of all samples named exactly `name` whose label text contains `labels` (for example status="5;
// empty: all).
double sum_samples(std::string_view prometheus_text, std::string_view name, std::string_view labels = {});

}  // namespace ostraka::admin
