#include "s3api/request_metrics.h"

#include <algorithm>

namespace ostraka::s3api {
namespace {

// Of objects: these wait for the drives to sync.
bool is_write(Operation operation) noexcept {
  switch (operation) {
    case Operation::PutObject:
    case Operation::PostObject:
    case Operation::CopyObject:
    case Operation::DeleteObject:
    case Operation::DeleteObjects:
    case Operation::CreateMultipartUpload:
    case Operation::UploadPart:
    case Operation::UploadPartCopy:
    case Operation::CompleteMultipartUpload:
    case Operation::AbortMultipartUpload:
      return true;
    default:
      return false;
  }
}

}  // namespace

RequestMetrics::RequestMetrics(MetricRegistry& registry)
    : registry_(registry),
      in_flight_(registry.gauge("ostraka_s3_requests_in_flight", "S3 requests being answered now.")),
      bytes_in_(registry.counter("ostraka_s3_received_bytes_total", "Bytes of request bodies received.")),
      bytes_out_(registry.counter("ostraka_s3_sent_bytes_total", "Bytes of response bodies sent.")) {}

void RequestMetrics::record(const Finished& request) {
  const auto operation = static_cast<std::size_t>(request.operation);
  const auto found = std::find(kStatuses.begin(), kStatuses.end() - 1, request.status);
  const auto status = static_cast<std::size_t>(found - kStatuses.begin());
  std::atomic<Counter*>& requests = requests_[operation * kStatuses.size() + status];
  Counter* counter = requests.load(std::memory_order_acquire);
  if (counter == nullptr) {  // two shards that get here at once are given the same cell
    const std::string status_text = *found == 0 ? "other" : std::to_string(*found);
    counter = &registry_.counter(
        "ostraka_s3_requests_total", "S3 requests answered.",
        {{"operation", std::string(to_string(request.operation))}, {"status", status_text}});
    requests.store(counter, std::memory_order_release);
  }
  Histogram* latency = latencies_[operation].load(std::memory_order_acquire);
  if (latency == nullptr) {
    latency = &registry_.histogram("ostraka_s3_request_seconds",
                                   "Time from a request's head to the end of its answer.",
                                   {{"operation", std::string(to_string(request.operation))}});
    latencies_[operation].store(latency, std::memory_order_release);
  }
  counter->add();
  latency->observe_us(request.us);
  (is_write(request.operation) ? writes_ : reads_).observe_us(request.us);
  bytes_in_.add(request.bytes_in);
  bytes_out_.add(request.bytes_out);
}

}  // namespace ostraka::s3api
