#include "object/scan_board.h"

#include <algorithm>

#include "disk/row_key.h"
#include "object/limits.h"

namespace ostraka::object {

std::string_view to_string(ScanPass::State state) noexcept {
  switch (state) {
    case ScanPass::State::none:
      return "none";
    case ScanPass::State::running:
      return "running";
    case ScanPass::State::done:
      return "done";
    case ScanPass::State::cancelled:
      return "cancelled";
  }
  return "none";
}

ScanMetrics::ScanMetrics(MetricRegistry& registry)
    : keys(registry.counter("ostraka_scanner_keys_total", "Keys that the scanner looked at")),
      bytes_verified(registry.counter("ostraka_scanner_verified_bytes_total",
                                      "Bytes of shards that the scanner verified, on all drives")),
      damaged(registry.counter("ostraka_scanner_damaged_keys_total",
                               "Keys found with a wrong or missing part on some drive")),
      repaired(registry.counter("ostraka_scanner_repaired_keys_total", "Of these, made whole again")),
      lost(registry.counter("ostraka_scanner_lost_keys_total",
                            "Keys found with too few good shards to be read")),
      corrupt_rows(registry.counter("ostraka_scanner_corrupt_rows_total",
                                    "Index rows that failed their checksum in a scan")),
      orphan_files(
          registry.counter("ostraka_scanner_orphan_files_total", "Shard files removed that no record named")),
      orphan_bytes(registry.counter("ostraka_scanner_orphan_bytes_total", "Bytes of these files")),
      usage_corrections(registry.counter("ostraka_scanner_usage_corrections_total",
                                         "Usage numbers of a bucket on a drive that a recount changed")),
      pass_running(registry.gauge("ostraka_scanner_pass_running", "1 while a pass is under way")),
      last_pass_end(registry.gauge("ostraka_scanner_last_pass_end_seconds",
                                   "When the last complete pass ended, unix time")),
      last_pass_seconds(registry.gauge("ostraka_scanner_last_pass_duration_seconds",
                                       "How long the last complete pass took")),
      progress(std::make_shared<std::atomic<double>>(0.0)) {
  const auto read = progress;
  registry.gauge_callback("ostraka_scanner_pass_progress", "How much of the pass is done, 0 to 1", {},
                          [read] { return read->load(std::memory_order_relaxed); });
}

void ScanBoard::count(const ScanTotals& before, const ScanTotals& now) {
  metrics_.keys.add(now.keys - before.keys);
  metrics_.bytes_verified.add(now.bytes_verified - before.bytes_verified);
  metrics_.damaged.add(now.damaged - before.damaged);
  metrics_.repaired.add(now.repaired - before.repaired);
  metrics_.lost.add(now.lost - before.lost);
  metrics_.corrupt_rows.add(now.corrupt_rows - before.corrupt_rows);
  metrics_.orphan_files.add(now.orphan_files - before.orphan_files);
  metrics_.orphan_bytes.add(now.orphan_bytes - before.orphan_bytes);
  metrics_.usage_corrections.add(now.usage_corrections - before.usage_corrections);
}

void ScanBoard::begin(const PassState& pass) {
  const std::lock_guard lock(mutex_);
  ScanReport& report = of(pass.on_demand);
  if (report.pass.number != pass.number) report = {};
  report.pass.state = ScanPass::State::running;
  report.pass.number = pass.number;
  report.pass.deep = pass.deep;
  report.pass.on_demand = pass.on_demand;
  report.pass.started_ms = pass.started_ms;
  report.pass.totals = pass.totals;
  current_ = pass.on_demand ? 1 : 0;
  metrics_.pass_running.set(1);
}

void ScanBoard::update(const PassState& pass, double progress, bool waiting) {
  // The row key is what a pass goes by; people read the key in it.
  std::string key;
  BucketId bucket{};
  if (pass.phase == PassState::Phase::keys && pass.after.size() >= disk::kRowKeyHead) {
    std::uint64_t id = 0;
    for (std::size_t i = 0; i < sizeof id; ++i) id = id << 8 | static_cast<std::uint8_t>(pass.after[i]);
    bucket = BucketId{id};
    if (!disk::split_row_key(pass.after, key)) key.clear();
  }
  const std::lock_guard lock(mutex_);
  ScanPass& told = of(pass.on_demand).pass;
  count(told.totals, pass.totals);
  told.totals = pass.totals;
  told.progress = std::clamp(progress, told.progress, 1.0);
  told.waiting = waiting;
  told.bucket = bucket;
  told.key = std::move(key);
  metrics_.progress->store(told.progress, std::memory_order_relaxed);
}

void ScanBoard::add(bool on_demand, HealedKey finding) {
  const std::lock_guard lock(mutex_);
  ScanReport& report = of(on_demand);
  if (report.findings.size() < kScanFindings)
    report.findings.push_back(std::move(finding));
  else
    ++report.left_off;
}

void ScanBoard::end(const PassState& pass, ScanPass::State state, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  ScanPass& told = of(pass.on_demand).pass;
  count(told.totals, pass.totals);
  told.totals = pass.totals;
  told.state = state;
  told.waiting = false;
  told.ended_ms = now_ms;
  told.key.clear();
  told.bucket = {};
  metrics_.pass_running.set(0);
  if (state != ScanPass::State::done) return;
  told.progress = 1;
  metrics_.progress->store(1, std::memory_order_relaxed);
  metrics_.last_pass_end.set(now_ms / 1000);
  metrics_.last_pass_seconds.set((now_ms - pass.started_ms) / 1000);
}

ScanPass ScanBoard::status() const {
  const std::lock_guard lock(mutex_);
  return reports_[current_].pass;
}

const ScanReport* ScanBoard::find(std::uint64_t number) const {
  if (number == 0) number = reports_[current_].pass.number;
  for (const ScanReport& report : reports_)
    if (number != 0 && report.pass.number == number) return &report;
  return nullptr;
}

std::optional<ScanReport> ScanBoard::report(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  const ScanReport* found = find(number);
  if (found == nullptr) return std::nullopt;
  return *found;
}

std::optional<ScanPass> ScanBoard::pass(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  const ScanReport* found = find(number);
  if (found == nullptr) return std::nullopt;
  return found->pass;
}

}  // namespace ostraka::object
