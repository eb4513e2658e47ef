// The rows that the committer works on, and those of its last batches: the retire of a version follows its
// commit within moments, and then needs no look-up. Used by the committer's thread only; true as long as
// nobody else writes the index.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "disk/key_state.h"
#include "disk/meta_index.h"
#include "disk/usage_table.h"

namespace ostraka::disk {

class RowCache {
 public:
  struct Row {
    KeyState state;
    RowCount count;         // of the row as encoded last
    std::size_t bytes = 0;  // of the same
    bool dirty = false;     // changed by the batch that is being built
  };
  using Map = std::unordered_map<std::string, Row>;

  // The row, loaded when it is not remembered; an empty state when there is none. The reference stays valid
  // until shrink() or clear().
  Result<Map::value_type*> load(MetaIndex& index, const std::string& key);
  // Whether the row can be read; one that is not there can, one in a corrupt block of the index cannot.
  // Errors: of the index, not of the row.
  Result<bool> readable(MetaIndex& index, const std::string& key);
  // Takes a row that cannot be read for an empty one: the batch that is being built writes it anew, and it is
  // found before what could not be read. The
  // reference stays valid as that of load().
  Map::value_type* begin_anew(const std::string& key);
  // The row for a look only, without remembering it.
  Result<KeyState> peek(MetaIndex& index, const std::string& key);
  void forget(const std::string& key);  // no reference to it may be left
  void grew(std::size_t bytes) noexcept { young_bytes_ += bytes; }
  void shrink();  // after a batch
  void clear();   // after a batch that failed

 private:
  Map young_, old_;
  std::size_t young_bytes_ = 0;
  std::string scratch_;
};

}  // namespace ostraka::disk
