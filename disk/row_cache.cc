#include "disk/row_cache.h"

#include "disk/limits.h"
#include "disk/row_key.h"

namespace ostraka::disk {
namespace {

constexpr int kLooksAtCorrupt = 2;  // the device may have erred once only

}  // namespace

Result<RowCache::Map::value_type*> RowCache::load(MetaIndex& index, const std::string& key) {
  auto at = young_.find(key);
  if (at != young_.end()) return &*at;
  if (auto node = old_.extract(key)) {
    young_bytes_ += node.key().size() + node.mapped().bytes;
    return &*young_.insert(std::move(node)).position;
  }
  TRY(found, index.get(Column::rows, key, scratch_, Tier::all));
  Row row;
  if (found == Lookup::found) {
    TRY(state, decode_key_row(scratch_));
    row.state = std::move(state);
    row.count = count_row(space_of(key), row.state);
    row.bytes = scratch_.size();
  }
  young_bytes_ += key.size() + row.bytes;
  return &*young_.emplace(key, std::move(row)).first;
}

void RowCache::forget(const std::string& key) {
  young_.erase(key);
  old_.erase(key);
}

Result<bool> RowCache::readable(MetaIndex& index, const std::string& key) {
  if (young_.contains(key) || old_.contains(key)) return true;
  for (int looks = 0; looks < kLooksAtCorrupt; ++looks) {
    const auto found = index.get(Column::rows, key, scratch_, Tier::all);
    if (found) return *found != Lookup::found || !decode_key_row(scratch_).failed_with(Errc::corrupt);
    if (!found.failed_with(Errc::corrupt)) return fail(found.code(), found.error().detail);
  }
  return false;
}

RowCache::Map::value_type* RowCache::begin_anew(const std::string& key) {
  young_bytes_ += key.size();
  return &*young_.emplace(key, Row()).first;
}

Result<KeyState> RowCache::peek(MetaIndex& index, const std::string& key) {
  for (const Map* map : {&young_, &old_}) {
    const auto at = map->find(key);
    if (at != map->end()) return at->second.state;
  }
  TRY(found, index.get(Column::rows, key, scratch_, Tier::all));
  if (found != Lookup::found) return KeyState{};
  return decode_key_row(scratch_);
}

void RowCache::shrink() {
  if (young_bytes_ < kRecentRowBytes) return;
  old_ = std::move(young_);
  young_.clear();
  young_bytes_ = 0;
}

void RowCache::clear() {
  young_.clear();
  old_.clear();
  young_bytes_ = 0;
}

}  // namespace ostraka::disk
