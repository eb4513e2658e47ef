#include "object/lister.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "disk/row_key.h"
#include "object/limits.h"

namespace ostraka::object {

namespace {

disk::ListSpec to_list_spec(const ScanQuery& query) {
  disk::ListSpec spec;
  spec.bucket = query.bucket;
  spec.space = query.space;
  spec.prefix = query.prefix;
  spec.start = query.start;
  spec.start_sub = query.start_sub;
  spec.after_start = query.after_start;
  spec.delimiter = query.delimiter;
  return spec;
}

// Moves the spec behind the page. False: nothing can follow.
bool resume(disk::ListSpec& spec, const erasure::SetListPage& page) {
  if (page.end) return false;
  if (!page.resume_skips_prefix) {
    spec.start = page.resume_key;
    spec.start_sub = page.resume_sub;
    spec.after_start = true;
    return true;
  }
  spec.start = disk::after_prefix(page.resume_key);
  if (spec.start.empty()) return false;
  spec.start_sub.clear();
  spec.after_start = false;
  return true;
}

}  // namespace

std::string_view common_prefix_of(std::string_view key, std::string_view prefix,
                                  std::string_view delimiter) noexcept {
  if (delimiter.empty() || !key.starts_with(prefix)) return {};
  const std::size_t at = key.find(delimiter, prefix.size());
  return at == std::string_view::npos ? std::string_view() : key.substr(0, at + delimiter.size());
}

bool begin_after(ScanQuery& query, const std::string& marker) {
  query.start = marker;
  query.start_sub.clear();
  query.after_start = !marker.empty();
  if (marker.empty() || common_prefix_of(marker, query.prefix, query.delimiter) != marker) return true;
  query.start = disk::after_prefix(marker);
  query.after_start = false;
  return !query.start.empty();
}

Lister::Lister(const ObjectSets& sets) : sets_(sets) {}

Lister::View Lister::view() const {
  View now;
  now.table = sets_.table();
  {
    const std::lock_guard lock(mutex_);
    if (view_.table == now.table) return view_;
  }
  std::vector<erasure::CorePtr> cores;
  cores.reserve(kPlacementGroups);
  for (const SetPtr& set : now.table->sets) cores.push_back(set->core());
  const auto group_of = [placement = now.table->placement](BucketId bucket, std::string_view key) {
    return placement->group_of(bucket, key);
  };
  now.field = erasure::make_list_field(cores, group_of);
  const std::lock_guard lock(mutex_);
  view_ = now;
  return now;
}

// Where too few drives can tell about a group, one of its slots may have moved since the table was looked at;
// or it is just on its way, and nobody answers for it. That is waited for, if all drives are there.
Task<Result<erasure::SetListPage>> Lister::list(Ctx& ctx, const disk::ListSpec& spec) const {
  const erasure::KeyReader reader = sets_.reader();
  std::optional<TimePoint> until;
  for (;;) {
    View now = view();
    Result<erasure::SetListPage> page = co_await erasure::list_keys(now.field, ctx, spec, reader);
    if (!page.failed_with(Errc::unavailable)) co_return page;
    if (sets_.table() != now.table) continue;
    const auto& drives = now.field->drives;
    const bool all_there =
        std::all_of(drives.begin(), drives.end(), [](const disk::Drive* drive) { return drive->online(); });
    if (!all_there || !sets_.any_moving()) co_return page;
    Clock& clock = now.field->context.clock;
    const TimePoint time = clock.now();
    if (!until) until = std::min(ctx.deadline, time + kMovePatience);
    if (time + kMovePause >= *until) co_return page;
    co_await sleep_for(clock, kMovePause);
  }
}

Task<Result<ScanPage>> Lister::scan(Ctx& ctx, ScanQuery query) const {
  ScanPage out;
  disk::ListSpec spec = to_list_spec(query);
  // One entry more than asked for tells whether there is more.
  while (out.entries.size() <= query.max) {
    spec.max_rows = query.max + 1 - out.entries.size();
    CO_TRY(page, co_await list(ctx, spec));
    std::move(page.entries.begin(), page.entries.end(), std::back_inserter(out.entries));
    if (!resume(spec, page)) break;
  }
  out.more = out.entries.size() > query.max;
  if (out.more) out.entries.resize(query.max);
  co_return out;
}

}  // namespace ostraka::object
