#include "disk/move_pages.h"

#include "base/placement_group.h"
#include "disk/key_state.h"
#include "disk/limits.h"
#include "disk/row_key.h"

namespace ostraka::disk {
namespace {

// The row, and the inline shards that it says it has. One that is missing was replaced since the row was
// read: then the row has changed, and is read again; or it is lost, here and there.
Result<std::size_t> add_row(MetaIndex& index, std::string_view row_key, std::string_view row,
                            MovePage& page) {
  MovedRow& moved = page.rows.emplace_back();
  moved.row_key = row_key;
  moved.row = row;
  std::size_t bytes = row_key.size() + row.size();
  const auto state = decode_key_row(row);
  if (!state) return bytes;
  for (const HeldVersion& version : state->versions) {
    if (!version.has_inline) continue;
    MovedRow::Inline one;
    one.id = version.id;
    TRY(found, index.get(Column::inline_data, inline_key(row_key, version.id), one.value, Tier::all));
    if (found != Lookup::found) continue;
    bytes += one.value.size();
    moved.inline_values.push_back(std::move(one));
  }
  return bytes;
}

}  // namespace

Result<MovePage> read_moving_rows(MetaIndex& index, const DeploymentId& deployment, const GroupBits& groups,
                                  const std::string& after) {
  MovePage page;
  page.last = after;
  const auto cursor = index.scan(Column::rows, after, {});
  cursor->seek(after);
  if (!after.empty() && cursor->valid() && cursor->key() == after) cursor->next();
  std::string key;
  std::size_t bytes = 0;
  for (; cursor->valid() && page.looked_at < kMoveStepRows && page.rows.size() < kMovePageRows &&
         bytes < kMovePageBytes;
       cursor->next()) {
    ++page.looked_at;
    page.last.assign(cursor->key());
    key.clear();
    if (!split_row_key(page.last, key)) continue;  // no call ever leads to it
    if (!groups[placement_group(deployment, bucket_of(page.last), key)]) continue;
    TRY(added, add_row(index, page.last, cursor->value(), page));
    bytes += added;
  }
  TRY_VOID(cursor->status());
  page.end = !cursor->valid();
  return page;
}

Result<MovePage> read_changed_rows(MetaIndex& index, const GroupBits& groups, const std::string& after) {
  MovePage page;
  page.last = after;
  std::size_t bytes = 0;
  std::string row;
  bool full = false;
  for (unsigned group = 0; group < kPlacementGroups && !full; ++group) {
    if (!groups[group]) continue;
    const std::string prefix = change_record_prefix(static_cast<std::uint16_t>(group));
    const std::size_t head = prefix.size() - 2;  // what stands before the group
    const std::string from = std::max(prefix, prefix.substr(0, head) + after);
    const auto cursor = index.scan(Column::system, prefix, after_prefix(prefix));
    for (cursor->seek(from); cursor->valid(); cursor->next()) {
      const std::string_view name = cursor->key().substr(head);
      if (name == after) continue;
      full = page.rows.size() >= kMovePageRows || bytes >= kMovePageBytes;
      if (full) break;
      const std::string_view row_key = name.substr(2);
      TRY(found, index.get(Column::rows, std::string(row_key), row, Tier::all));
      if (found != Lookup::found) row.clear();
      TRY(added, add_row(index, row_key, row, page));
      bytes += added;
      page.last.assign(name);
      ++page.looked_at;
    }
    TRY_VOID(cursor->status());
  }
  page.end = !full;
  return page;
}

}  // namespace ostraka::disk
