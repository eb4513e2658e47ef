// What the rows of one key on the drives of its group say about it, before anybody is asked. A pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace ostraka::object {

struct RowsVerdict {
  bool differ = false;           // the drives do not agree, or a row does not decode
  unsigned corrupt = 0;          // rows that do not decode
  bool at_rest = true;           // on every drive: one version, final, no tombstone, no fences
  bool tombstone = false;        // the newest version is one
  VersionId newest;              // on any drive
  bool is_final = false;         // on some drive
  std::int64_t final_at_ms = 0;  // the latest time at which a drive learnt so
  std::uint64_t bytes = 0;  // of object data of the newest version; 0 when it has none or does not decode
  bool has_files = false;
};

// One element for each drive that was asked and has a say: its encoded key row, none when it has none. Equal
// rows differ at most in the index of the shard and in the time of being final.
RowsVerdict compare_rows(const std::vector<std::optional<std::string_view>>& rows);

}  // namespace ostraka::object
