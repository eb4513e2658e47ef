#include "base/metrics.h"

#include <fmt/format.h>

#include <map>

#include "base/check.h"

namespace ostraka {

void Histogram::observe_us(std::uint64_t us) noexcept {
  std::size_t i = 0;
  while (i < kBoundsUs.size() && us > kBoundsUs[i]) ++i;
  counts_[i].fetch_add(1, std::memory_order_relaxed);
  sum_us_.fetch_add(us, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const noexcept {
  std::uint64_t total = 0;
  for (const auto& cell : counts_) total += cell.load(std::memory_order_relaxed);
  return total;
}

namespace {

enum class Kind { counter, gauge, histogram };

std::string_view type_name(Kind kind) noexcept {
  switch (kind) {
    case Kind::counter:
      return "counter";
    case Kind::gauge:
      return "gauge";
    case Kind::histogram:
      return "histogram";
  }
  return "untyped";
}

// Escapes of the Prometheus text format 0.0.4; a quote is escaped in label values only.
void append_escaped(std::string& out, std::string_view text, bool quote) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quote) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

// a="x",b="y" without the braces: it is the identity of a cell and what is printed.
std::string label_text(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!out.empty()) out += ',';
    out += name;
    out += "=\"";
    append_escaped(out, value, true);
    out += '"';
  }
  return out;
}

struct Cell {
  Counter counter;
  Gauge gauge;
  std::unique_ptr<Histogram> histogram;
  std::function<double()> callback;
};

struct Family {
  Kind kind = Kind::counter;
  std::string help;
  std::map<std::string, Cell, std::less<>> cells;  // by label text; nodes do not move
};

void append_sample(std::string& out, std::string_view name, std::string_view labels, std::string_view value) {
  out += name;
  if (!labels.empty()) {
    out += '{';
    out += labels;
    out += '}';
  }
  out += ' ';
  out += value;
  out += '\n';
}

void append_histogram(std::string& out, std::string_view name, std::string_view labels,
                      const Histogram& histogram) {
  const std::string bucket_name = fmt::format("{}_bucket", name);
  const std::string prefix = labels.empty() ? std::string() : fmt::format("{},", labels);
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < Histogram::kBoundsUs.size(); ++i) {
    cumulative += histogram.bucket(i);
    const double bound_s = static_cast<double>(Histogram::kBoundsUs[i]) / 1e6;
    append_sample(out, bucket_name, fmt::format("{}le=\"{}\"", prefix, bound_s), std::to_string(cumulative));
  }
  cumulative += histogram.bucket(Histogram::kBoundsUs.size());
  append_sample(out, bucket_name, fmt::format("{}le=\"+Inf\"", prefix), std::to_string(cumulative));
  const double sum_s = static_cast<double>(histogram.sum_us()) / 1e6;
  append_sample(out, fmt::format("{}_sum", name), labels, fmt::format("{}", sum_s));
  append_sample(out, fmt::format("{}_count", name), labels, std::to_string(cumulative));
}

void append_cell(std::string& out, Kind kind, std::string_view name, std::string_view labels,
                 const Cell& cell) {
  switch (kind) {
    case Kind::counter:
      append_sample(out, name, labels, std::to_string(cell.counter.value()));
      return;
    case Kind::gauge:
      append_sample(out, name, labels,
                    cell.callback ? fmt::format("{}", cell.callback()) : std::to_string(cell.gauge.value()));
      return;
    case Kind::histogram:
      append_histogram(out, name, labels, *cell.histogram);
      return;
  }
}

}  // namespace

struct MetricRegistry::Impl {
  mutable std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;

  Cell& cell(Kind kind, std::string_view name, std::string_view help, const Labels& labels) {
    auto found = families.find(name);
    if (found == families.end()) {
      found = families.emplace(std::string(name), Family{kind, std::string(help), {}}).first;
    }
    CHECK(found->second.kind == kind);
    return found->second.cells[label_text(labels)];
  }
};

MetricRegistry::MetricRegistry() : impl_(std::make_unique<Impl>()) {}
MetricRegistry::~MetricRegistry() = default;

Counter& MetricRegistry::counter(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->cell(Kind::counter, name, help, labels).counter;
}

Gauge& MetricRegistry::gauge(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->cell(Kind::gauge, name, help, labels).gauge;
}

Histogram& MetricRegistry::histogram(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(impl_->mutex);
  Cell& cell = impl_->cell(Kind::histogram, name, help, labels);
  if (!cell.histogram) cell.histogram = std::make_unique<Histogram>();
  return *cell.histogram;
}

void MetricRegistry::gauge_callback(std::string_view name, std::string_view help, Labels labels,
                                    std::function<double()> read) {
  const std::lock_guard lock(impl_->mutex);
  impl_->cell(Kind::gauge, name, help, labels).callback = std::move(read);
}

std::string MetricRegistry::prometheus_text() const {
  std::string out;
  const std::lock_guard lock(impl_->mutex);
  for (const auto& [name, family] : impl_->families) {
    out += fmt::format("# HELP {} ", name);
    append_escaped(out, family.help, false);
    out += fmt::format("\n# TYPE {} {}\n", name, type_name(family.kind));
    for (const auto& [labels, cell] : family.cells) append_cell(out, family.kind, name, labels, cell);
  }
  return out;
}

}  // namespace ostraka
