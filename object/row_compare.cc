#include "object/row_compare.h"

#include <algorithm>

#include "disk/key_state.h"
#include "disk/version_record.h"

namespace ostraka::object {
namespace {

bool same(const disk::HeldVersion& a, const disk::HeldVersion& b) {
  return a.id == b.id && a.expect == b.expect && a.tombstone == b.tombstone &&
         a.data_shards == b.data_shards && a.write_quorum == b.write_quorum && a.has_inline == b.has_inline &&
         a.has_files == b.has_files && *a.record == *b.record;
}

bool same(const disk::KeyState& a, const disk::KeyState& b) {
  return a.final_id == b.final_id && a.fences == b.fences &&
         std::equal(a.versions.begin(), a.versions.end(), b.versions.begin(), b.versions.end(),
                    [](const auto& x, const auto& y) { return same(x, y); });
}

bool rests(const disk::KeyState& state) {
  return state.versions.size() == 1 && state.fences.empty() && !state.versions.front().tombstone &&
         state.final_id == state.versions.front().id;
}

}  // namespace

RowsVerdict compare_rows(const std::vector<std::optional<std::string_view>>& rows) {
  RowsVerdict out;
  std::optional<disk::KeyState> first;
  VersionId final_id;
  disk::HeldVersion newest;
  bool some_without = false;
  for (const auto& row : rows) {
    if (!row) {
      some_without = true;
      continue;
    }
    auto state = disk::decode_key_row(*row);
    if (!state) {
      out.differ = true;
      ++out.corrupt;
      continue;
    }
    out.at_rest = out.at_rest && rests(*state);
    // begun anew: not readmitted yet, or to go one day
    out.differ = out.differ || state->refilling || (state->birth != 0 && state->says_nothing());
    if (state->final_id > final_id) {
      final_id = state->final_id;
      out.final_at_ms = 0;
    }
    if (state->final_id == final_id) out.final_at_ms = std::max(out.final_at_ms, state->final_at_ms);
    if (!state->versions.empty() && state->versions.front().id > newest.id) newest = state->versions.front();
    if (!first)
      first = std::move(*state);
    else
      out.differ = out.differ || !same(*first, *state);
  }
  out.differ = out.differ || (first && some_without);
  out.newest = newest.id;
  out.tombstone = newest.tombstone;
  out.has_files = newest.has_files;
  out.is_final = !newest.id.is_none() && final_id >= newest.id;
  if (!newest.record || newest.tombstone) return out;
  if (const auto record = disk::decode_version_record(as_bytes(*newest.record))) out.bytes = record->size;
  return out;
}

}  // namespace ostraka::object
