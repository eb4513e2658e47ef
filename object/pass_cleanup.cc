// The ends of a pass: files that no record names, and the usage counted anew.
#include <algorithm>

#include "base/log.h"
#include "erasure/limits.h"
#include "object/limits.h"
#include "object/pass_runner.h"

namespace ostraka::object {
namespace {

constexpr Duration kUsageCall = std::chrono::seconds(30);
constexpr Duration kLongCall = std::chrono::hours(6);  // over all rows of a drive; ended early when need be

// Files younger than this may belong to a writer that lives.
std::int64_t oldest_writer_ms(const ScannerConfig& config, std::int64_t now_ms) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  const std::int64_t longest = 2 * duration_cast<milliseconds>(erasure::kLongestCall).count();
  const std::int64_t aged =
      now_ms - std::max(longest, duration_cast<milliseconds>(config.orphan_age).count());
  return config.no_writer_before_ms > 0 ? std::max(aged, config.no_writer_before_ms) : aged;
}

}  // namespace

// One step a drive: the drive compares its files with all of its rows at once.
Task<bool> PassRunner::remove_orphans() {
  const std::vector<disk::Drive*> drives = deps_.scanner.drives->all();
  for (; state_.step < drives.size(); ++state_.step) {
    if (told_to_end()) co_return false;
    disk::Drive& drive = *drives[state_.step];
    if (!drive.online()) continue;
    disk::OrphanSpec spec;
    spec.older_than_ms = oldest_writer_ms(deps_.config, deps_.scanner.clock.unix_ms());
    spec.remove = true;
    spec.max = 1;
    const auto call = begin_call(kLongCall);
    const auto found = co_await drive.find_orphans(*call, spec);
    running_.clear();
    if (found) {
      note_orphans(drive, *found);
    } else {
      if (told_to_end()) co_return false;
      log::warn("the scan could not look for orphans drive={} reason={}", to_string(drive.id()),
                found.error().detail);
    }
    const double rows = state_.step < rows_on_.size() ? rows_on_[state_.step] : 1;
    const bool going_on = co_await rest(rows * kScanRowCost);
    if (!going_on) co_return false;
  }
  co_return true;
}

void PassRunner::note_orphans(const disk::Drive& drive, const disk::OrphanReport& found) {
  state_.totals.orphan_files += found.files;
  state_.totals.orphan_bytes += found.file_bytes;
  state_.totals.orphan_inline += found.inline_shards;
  if (found.files + found.inline_shards == 0) return;
  log::info("the scan removed what no record named drive={} files={} bytes={} inline={} such_as={}",
            to_string(drive.id()), found.files, found.file_bytes, found.inline_shards,
            found.some.empty() ? std::string("-") : to_string(found.some.front()));
}

Task<> PassRunner::recount_bucket(disk::Drive& drive, BucketId bucket) {
  const auto call = begin_call(kLongCall);
  const auto differed = co_await drive.recount_usage(*call, bucket);
  running_.clear();
  if (!differed) {
    // A bucket that changes all the time is counted right, or else found wrong by another pass.
    if (!differed.failed_with(Errc::unavailable) && !told_to_end())
      log::warn("the scan could not count a bucket drive={} bucket={:016x} reason={}", to_string(drive.id()),
                static_cast<std::uint64_t>(bucket), differed.error().detail);
    co_return;
  }
  if (!*differed) co_return;
  ++state_.totals.usage_corrections;
  const std::string* name = name_of(bucket);
  log::warn("the scan corrected the usage of a bucket drive={} bucket={}", to_string(drive.id()),
            name != nullptr ? *name : fmt::format("{:016x}", static_cast<std::uint64_t>(bucket)));
}

// One step a drive: after a restart the drive is counted again.
Task<bool> PassRunner::recount_usage() {
  const std::vector<disk::Drive*> drives = deps_.scanner.drives->all();
  for (; state_.step < drives.size(); ++state_.step) {
    disk::Drive& drive = *drives[state_.step];
    if (!drive.online()) continue;
    Ctx call = ctx(kUsageCall);
    const auto usage = co_await drive.usage(call);
    std::map<BucketId, double> rows;
    for (const BucketInfo& info : deps_.scanner.buckets.list()) rows[info.id] = 0;
    if (usage)
      for (const disk::BucketUsage& bucket : *usage)
        rows[bucket.bucket] = static_cast<double>(bucket.objects + bucket.uploads);
    while (!rows.empty()) {
      if (told_to_end()) co_return false;
      const auto [bucket, count] = *rows.begin();
      rows.erase(rows.begin());
      co_await recount_bucket(drive, bucket);
      const bool going_on = co_await rest((1 + count) * kScanRowCost);
      if (!going_on) co_return false;
    }
  }
  co_return true;
}

}  // namespace ostraka::object
