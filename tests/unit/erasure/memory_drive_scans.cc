// What a MemoryDrive tells of many rows.
#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "disk/row_key.h"
#include "tests/unit/erasure/memory_drive.h"

namespace ostraka::erasure {

using disk::ListPage;
using disk::ListSpec;

Task<Result<ListPage>> MemoryDrive::list(Ctx&, ListSpec spec) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  ++lists;
  struct Stored {
    std::string key, sub, row;
  };
  auto storage = std::make_shared<std::vector<std::unique_ptr<Stored>>>();
  ListPage page;
  page.end = true;
  page.silent = away_;
  for (const auto& [group, state] : groups_)
    if (state.refilling) page.silent.set(group);
  if (spec.groups) page.silent &= *spec.groups;
  std::string seen_prefix;
  std::size_t looked = 0;
  for (const auto& [row_key, state] : rows_) {
    const auto& [bucket, space, key, sub] = row_key;
    if (bucket != static_cast<std::uint64_t>(spec.bucket) || space != static_cast<char>(spec.space)) continue;
    if (!key.starts_with(spec.prefix)) continue;
    const auto here = std::tie(key, sub);
    const auto start = std::tie(spec.start, spec.start_sub);
    if (here < start || (spec.after_start && here == start)) continue;
    if (!seen_prefix.empty() && key.starts_with(seen_prefix)) continue;
    if (page.rows.size() == spec.max_rows || (spec.max_looked > 0 && looked == spec.max_looked)) {
      page.end = false;
      page.next_key = key;
      page.next_sub = sub;
      break;
    }
    ++looked;
    const std::uint16_t group = group_of_[row_key];
    if (page.silent[group] || (spec.groups && !(*spec.groups)[group])) continue;
    const bool tells = !state.refilling && !lost_rows_.contains(row_key);
    if (tells && state.versions.empty()) continue;
    if (tells && state.versions.front().tombstone && state.final_id == state.newest()) continue;
    const std::size_t found =
        spec.delimiter.empty() ? std::string::npos : key.find(spec.delimiter, spec.prefix.size());
    if (found != std::string::npos) seen_prefix = key.substr(0, found + spec.delimiter.size());
    storage->push_back(std::make_unique<Stored>(Stored{key, sub, row_bytes(row_key)}));
    const Stored& stored = *storage->back();
    page.rows.push_back(disk::ListRow{stored.key, stored.sub, stored.row});
  }
  looked_rows += looked;
  listed_rows += page.rows.size();
  page.storage = std::move(storage);
  co_return page;
}

Task<Result<disk::RowPage>> MemoryDrive::scan(Ctx&, disk::RowScanSpec spec) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  struct Stored {
    std::string row_key, key, sub, row;
  };
  std::map<std::string, const RowKey*> ordered;
  for (const auto& [key, state] : rows_) {
    const auto& [bucket, space, name, sub] = key;
    ordered[disk::row_key(BucketId{bucket}, static_cast<disk::KeySpace>(space), name, sub)] = &key;
  }
  auto storage = std::make_shared<std::vector<std::unique_ptr<Stored>>>();
  disk::RowPage page;
  page.end = true;
  for (auto at = ordered.upper_bound(spec.after); at != ordered.end(); ++at) {
    if (!spec.until.empty() && at->first >= spec.until) break;
    if (page.rows.size() == spec.max_rows) {
      page.end = false;
      break;
    }
    const auto& [bucket, space, name, sub] = *at->second;
    storage->push_back(std::make_unique<Stored>(Stored{at->first, name, sub, row_bytes(*at->second)}));
    const Stored& stored = *storage->back();
    page.rows.push_back(disk::ScannedRow{stored.row_key, BucketId{bucket}, static_cast<disk::KeySpace>(space),
                                         stored.key, stored.sub, stored.row});
    page.last = stored.row_key;
  }
  page.nameless_rows = nameless_rows;
  page.storage = std::move(storage);
  co_return page;
}

Task<Result<std::vector<disk::BucketUsage>>> MemoryDrive::usage(Ctx&) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  std::map<std::uint64_t, disk::BucketUsage> found;
  for (const auto& [key, state] : rows_) {
    if (state.versions.empty() || state.versions.front().tombstone) continue;
    const auto record = disk::decode_version_record(as_bytes(*state.versions.front().record));
    CHECK(record.has_value());
    disk::BucketUsage& usage = found[std::get<0>(key)];
    usage.bucket = BucketId{std::get<0>(key)};
    const auto size = static_cast<std::int64_t>(record->size);
    switch (static_cast<disk::KeySpace>(std::get<1>(key))) {
      case disk::KeySpace::object:
        ++usage.objects;
        usage.object_bytes += size;
        break;
      case disk::KeySpace::upload:
        ++usage.uploads;
        break;
      case disk::KeySpace::part:
        usage.part_bytes += size;
        break;
    }
  }
  std::vector<disk::BucketUsage> out;
  for (const auto& [bucket, usage] : found) out.push_back(usage);
  co_return out;
}

}  // namespace ostraka::erasure
