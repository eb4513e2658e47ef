// Metric cells: relaxed atomics, cheap enough for every request, named and read by a registry that prints the
// Prometheus text format. A cell lives as long as its registry; references stay valid.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ostraka {

class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void add(std::int64_t n) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(std::int64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// Latencies in microseconds in fixed buckets from 100 us to 30 s.
class Histogram {
 public:
  static constexpr std::array<std::uint64_t, 16> kBoundsUs{
      100,   250,    500,    1000,   2500,    5000,    10000,    25000,
      50000, 100000, 250000, 500000, 1000000, 2500000, 10000000, 30000000};
  void observe_us(std::uint64_t us) noexcept;
  std::uint64_t count() const noexcept;
  std::uint64_t sum_us() const noexcept { return sum_us_.load(std::memory_order_relaxed); }
  std::uint64_t bucket(std::size_t i) const noexcept {
    return counts_[i].load(std::memory_order_relaxed);
  }  // not cumulative; last: over all bounds

 private:
  std::array<std::atomic<std::uint64_t>, kBoundsUs.size() + 1> counts_{};
  std::atomic<std::uint64_t> sum_us_{0};
};

using Labels = std::vector<std::pair<std::string, std::string>>;

class MetricRegistry {
 public:
  MetricRegistry();
  ~MetricRegistry();
  // The same name and labels give the same cell. help is kept from the first call for a name. Takes a mutex:
  // look cells up once.
  Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, Labels labels = {});
  // A gauge whose value is asked for when it is printed; `read` must stay callable as long as the registry
  // and be thread safe.
  void gauge_callback(std::string_view name, std::string_view help, Labels labels,
                      std::function<double()> read);
  std::string prometheus_text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ostraka
