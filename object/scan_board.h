// ScanBoard: what the scanner's loop tells of its passes, for whoever asks. Thread safe.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/metrics.h"
#include "object/scan_state.h"

namespace ostraka::object {

struct ScanMetrics {
  explicit ScanMetrics(MetricRegistry& registry);
  Counter &keys, &bytes_verified, &damaged, &repaired, &lost, &corrupt_rows, &orphan_files, &orphan_bytes,
      &usage_corrections;
  Gauge &pass_running, &last_pass_end, &last_pass_seconds;
  const std::shared_ptr<std::atomic<double>> progress;  // outlives the scanner, as the registry does
};

class ScanBoard {
 public:
  explicit ScanBoard(MetricRegistry& registry) : metrics_(registry) {}

  // From now on status() tells of this pass. One that was put aside goes on with its findings.
  void begin(const PassState& pass);
  void update(const PassState& pass, double progress, bool waiting);
  void add(bool on_demand, HealedKey finding);
  void end(const PassState& pass, ScanPass::State state, std::int64_t now_ms);

  ScanPass status() const;
  std::optional<ScanReport> report(std::uint64_t number) const;  // 0: of status()
  std::optional<ScanPass> pass(std::uint64_t number) const;

 private:
  ScanReport& of(bool on_demand) { return reports_[on_demand ? 1 : 0]; }
  const ScanReport* find(std::uint64_t number) const;
  void count(const ScanTotals& before, const ScanTotals& now);

  ScanMetrics metrics_;
  mutable std::mutex mutex_;
  std::array<ScanReport, 2> reports_;  // of the background, on demand
  std::size_t current_ = 0;
};

}  // namespace ostraka::object
