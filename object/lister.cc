#include "object/lister.h"

#include <algorithm>
#include <deque>
#include <map>

#include "object/limits.h"

namespace ostraka::object {

namespace {

bool starts_with(std::string_view text, std::string_view prefix) noexcept {
  return text.substr(0, prefix.size()) == prefix;
}

disk::ListSpec to_list_spec(const ScanQuery& query) {
  disk::ListSpec spec;
  spec.bucket = query.bucket;
  spec.space = query.space;
  spec.prefix = query.prefix;
  spec.start = query.start;
  spec.start_sub = query.start_sub;
  spec.after_start = query.after_start;
  return spec;
}

Task<Result<std::shared_ptr<const disk::VersionRecord>>> absent() {
  co_return nullptr;
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
  auto next = after_prefix(page.resume_key);
  if (!next) return false;
  spec.start = std::move(*next);
  spec.start_sub.clear();
  spec.after_start = false;
  return true;
}

}  // namespace

// What one set has still to give.
struct Lister::Cursor {
  std::size_t cover = 0;
  disk::ListSpec spec;
  std::deque<erasure::ListEntry> entries;
  bool end = false;
};

std::optional<std::string> after_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<std::uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return std::nullopt;
  prefix.back() = static_cast<char>(static_cast<std::uint8_t>(prefix.back()) + 1);
  return prefix;
}

std::string_view common_prefix_of(std::string_view key, std::string_view prefix,
                                  std::string_view delimiter) noexcept {
  if (delimiter.empty() || !starts_with(key, prefix)) return {};
  const std::size_t at = key.find(delimiter, prefix.size());
  return at == std::string_view::npos ? std::string_view() : key.substr(0, at + delimiter.size());
}

bool begin_after(ScanQuery& query, const std::string& marker) {
  query.start = marker;
  query.start_sub.clear();
  query.after_start = !marker.empty();
  if (marker.empty() || common_prefix_of(marker, query.prefix, query.delimiter) != marker) return true;
  auto next = after_prefix(marker);
  if (!next) return false;
  query.start = std::move(*next);
  query.after_start = false;
  return true;
}

Lister::Lister(const ObjectSets& sets) : sets_(sets) {
  std::map<std::vector<DriveId>, std::uint16_t> known;
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    const auto group = static_cast<std::uint16_t>(g);
    std::vector<DriveId> drives = sets.placement().group(group).drives;
    std::sort(drives.begin(), drives.end());
    const auto [at, fresh] = known.emplace(std::move(drives), static_cast<std::uint16_t>(covers_.size()));
    if (fresh) covers_.push_back(&sets.of_group(group));
    cover_of_group_.push_back(at->second);
  }
}

Task<Result<ScanPage>> Lister::scan(Ctx& ctx, ScanQuery query) const {
  if (covers_.size() == 1) co_return co_await scan_one(ctx, query);
  co_return co_await scan_merged(ctx, query);
}

Task<Result<ScanPage>> Lister::scan_one(Ctx& ctx, const ScanQuery& query) const {
  ScanPage out;
  disk::ListSpec spec = to_list_spec(query);
  spec.delimiter = query.delimiter;
  const erasure::KeyReader reader = sets_.reader();
  // One entry more than asked for tells whether there is more.
  while (out.entries.size() <= query.max) {
    spec.max_rows = query.max + 1 - out.entries.size();
    CO_TRY(page, co_await covers_.front()->list(ctx, spec, reader));
    std::move(page.entries.begin(), page.entries.end(), std::back_inserter(out.entries));
    if (!resume(spec, page)) break;
  }
  out.more = out.entries.size() > query.max;
  if (out.more) out.entries.resize(query.max);
  co_return out;
}

bool Lister::belongs(const ScanQuery& query, std::string_view key, std::size_t cover) const noexcept {
  return cover_of_group_[sets_.placement().group_of(query.bucket, key)] == cover;
}

Task<Result<>> Lister::refill(Ctx& ctx, const ScanQuery& query, Cursor& cursor) const {
  const erasure::KeyReader reader = [&](Ctx& read_ctx, disk::ObjectRef ref) {
    return belongs(query, ref.key, cursor.cover) ? sets_.read(read_ctx, std::move(ref)) : absent();
  };
  while (cursor.entries.empty() && !cursor.end) {
    cursor.spec.max_rows = std::min(query.max + 1, kMergeRows);
    CO_TRY(page, co_await covers_[cursor.cover]->list(ctx, cursor.spec, reader));
    for (auto& entry : page.entries) {
      if (belongs(query, entry.key, cursor.cover)) cursor.entries.push_back(std::move(entry));
    }
    cursor.end = !resume(cursor.spec, page);
  }
  co_return Result<>{};
}

Task<Result<ScanPage>> Lister::scan_merged(Ctx& ctx, const ScanQuery& query) const {
  std::vector<Cursor> cursors(covers_.size());
  for (std::size_t i = 0; i < cursors.size(); ++i) {
    cursors[i].cover = i;
    cursors[i].spec = to_list_spec(query);
  }
  ScanPage out;
  while (out.entries.size() <= query.max) {
    Cursor* least = nullptr;
    for (Cursor& cursor : cursors) {
      CO_TRY_VOID(co_await refill(ctx, query, cursor));
      if (cursor.entries.empty()) continue;
      const auto& entry = cursor.entries.front();
      if (least == nullptr ||
          std::tie(entry.key, entry.sub) < std::tie(least->entries.front().key, least->entries.front().sub))
        least = &cursor;
    }
    if (least == nullptr) break;
    const std::string common(common_prefix_of(least->entries.front().key, query.prefix, query.delimiter));
    if (common.empty()) {
      out.entries.push_back(std::move(least->entries.front()));
      least->entries.pop_front();
      continue;
    }
    erasure::ListEntry entry;
    entry.key = common;
    entry.common_prefix = true;
    out.entries.push_back(std::move(entry));
    const auto next = after_prefix(common);
    for (Cursor& cursor : cursors) {
      while (!cursor.entries.empty() && starts_with(cursor.entries.front().key, common))
        cursor.entries.pop_front();
      if (!cursor.entries.empty()) continue;
      if (!next)
        cursor.end = true;
      else if (cursor.spec.start < *next) {
        cursor.spec.start = *next;
        cursor.spec.start_sub.clear();
        cursor.spec.after_start = false;
      }
    }
  }
  out.more = out.entries.size() > query.max;
  if (out.more) out.entries.resize(query.max);
  co_return out;
}

}  // namespace ostraka::object
