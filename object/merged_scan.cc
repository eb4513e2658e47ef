#include "object/merged_scan.h"

#include <algorithm>

#include "base/log.h"
#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::object {
namespace {

constexpr Duration kAskAgainAfter = std::chrono::seconds(30);

Task<Result<disk::RowPage>> scan_one(disk::Drive* drive, Ctx ctx, disk::RowScanSpec spec) {
  co_return co_await drive->scan(ctx, std::move(spec));
}

// A page that would not lead on is taken for damage, not followed for ever.
bool sound(const disk::RowPage& page, std::string_view after) {
  if (!page.end && page.last <= after) return false;
  std::string_view before = after;
  for (const disk::ScannedRow& row : page.rows) {
    if (row.row_key <= before || (!page.end && row.row_key > page.last)) return false;
    before = row.row_key;
  }
  return true;
}

}  // namespace

MergedScan::MergedScan(std::vector<disk::Drive*> drives, Gate& gate, std::string after, std::string until,
                       std::size_t rows)
    : gate_(gate), after_(std::move(after)), until_(std::move(until)), rows_(rows) {
  for (disk::Drive* drive : drives) sources_.emplace_back().drive = drive;
}

Task<> MergedScan::fetch(Ctx& ctx, MergedPage& out) {
  auto fan = std::make_shared<FanOut<Result<disk::RowPage>>>(sources_.size());
  const TimePoint now = ctx.shard.clock().now();
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    Source& source = sources_[i];
    if (source.page && (source.at < source.page->rows.size() || source.page->end)) continue;
    // What the pages before have given lies behind after_, and after_ may lie far behind their last row.
    std::string after = source.page ? std::max(after_, source.page->last) : after_;
    source.page.reset();
    if (now < source.retry_at || !source.drive->online()) continue;
    disk::RowScanSpec spec;
    spec.after = std::move(after);
    spec.until = until_;
    spec.max_rows = rows_;
    fan->start(ctx.shard.executor(), gate_, i, scan_one(source.drive, ctx, std::move(spec)));
  }
  co_await fan->wait_all(ctx.shard.clock(), ctx.deadline);
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    Source& source = sources_[i];
    auto& answer = fan->answers()[i];
    if (source.page) continue;
    if (answer && answer->has_value() && sound(**answer, after_)) {
      out.nameless_rows += (**answer).nameless_rows;
      source.page = std::move(**answer);
      source.at = 0;
      continue;
    }
    source.retry_at = ctx.shard.clock().now() + kAskAgainAfter;
    if (answer && !answer->has_value())
      log::warn("the scan goes on without a drive drive={} reason={}", to_string(source.drive->id()),
                answer->error().detail);
  }
}

void MergedScan::merge(MergedPage& out) {
  // Up to here all drives that answered have given their rows.
  std::optional<std::string> bound;
  out.end = true;
  for (const Source& source : sources_) {
    out.answered.push_back(source.page.has_value());
    if (!source.page) continue;
    out.storage.push_back(source.page->storage);
    if (source.page->end) continue;
    out.end = false;
    if (!bound || source.page->last < *bound) bound = source.page->last;
  }
  for (;;) {
    const disk::ScannedRow* first = nullptr;
    for (const Source& source : sources_) {
      if (!source.page || source.at == source.page->rows.size()) continue;
      const disk::ScannedRow& row = source.page->rows[source.at];
      if (bound && row.row_key > *bound) continue;
      if (first == nullptr || row.row_key < first->row_key) first = &row;
    }
    if (first == nullptr) break;
    MergedKey key{first->row_key, first->bucket, first->space, first->key, first->sub, {}};
    for (Source& source : sources_) {
      auto& row = key.rows.emplace_back();
      if (!source.page || source.at == source.page->rows.size()) continue;
      const disk::ScannedRow& here = source.page->rows[source.at];
      if (here.row_key != key.row_key) continue;
      row = here.row;
      ++source.at;
    }
    out.keys.push_back(std::move(key));
  }
  if (bound)
    out.last = *bound;
  else
    out.last = out.keys.empty() ? after_ : std::string(out.keys.back().row_key);
  after_ = out.last;
}

Task<Result<MergedPage>> MergedScan::next(Ctx& ctx) {
  MergedPage out;
  co_await fetch(ctx, out);
  const bool some = std::any_of(sources_.begin(), sources_.end(),
                                [](const Source& source) { return source.page.has_value(); });
  if (!some) co_return fail(Errc::unavailable, "no drive answers a scan");
  merge(out);
  co_return out;
}

}  // namespace ostraka::object
