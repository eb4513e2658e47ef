// Requests by operation and status, their latencies and bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/metrics.h"
#include "s3api/operation.h"

namespace ostraka::s3api {

// Thread safe. The registry must outlive it.
class RequestMetrics {
 public:
  explicit RequestMetrics(MetricRegistry& registry);
  struct Finished {
    Operation operation = Operation::Unknown;
    unsigned status = 0;  // 0: the connection went away before an answer
    std::uint64_t us = 0;
    std::uint64_t bytes_in = 0, bytes_out = 0;  // of bodies
  };
  void record(const Finished& request);
  Gauge& in_flight() noexcept { return in_flight_; }
  const Histogram& reads() const noexcept { return reads_; }
  const Histogram& writes() const noexcept { return writes_; }

 private:
  // The statuses that S3 answers have; 0 stands for all others.
  static constexpr std::array<unsigned, 18> kStatuses{200, 204, 206, 303, 304, 400, 403, 404, 405,
                                                      409, 411, 412, 416, 500, 501, 503, 507, 0};

  MetricRegistry& registry_;
  Gauge& in_flight_;
  Counter& bytes_in_;
  Counter& bytes_out_;
  // Looked up when first needed: most pairs of operation and status never occur.
  std::array<std::atomic<Counter*>, kOperations * kStatuses.size()> requests_{};
  std::array<std::atomic<Histogram*>, kOperations> latencies_{};
  Histogram reads_, writes_;  // not in the registry: sums of those above
};

}  // namespace ostraka::s3api
