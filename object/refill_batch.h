// Keys that a refill heals one after the other, and asks the drives about together.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "erasure/look_ahead.h"
#include "object/merged_scan.h"
#include "object/refill_plan.h"
#include "runtime/event.h"

namespace ostraka::object {

struct RefillRow {
  disk::ObjectRef ref;
  std::string row_key;       // empty: tried again, out of order
  erasure::KeyLookPtr look;  // what the drives said, when that has been asked
};

// Belongs to one shard.
class RefillBatch {
 public:
  void add(RefillRow row) { rows.push_back(std::move(row)); }
  // The row that was added last is to be looked at with the others. inline_of: see KeyAhead.
  void ask_ahead(erasure::ErasureSet& set, std::uint32_t inline_of);
  // Worth a call of its own.
  bool worth_asking() const noexcept { return asked_.size() > 1; }
  Task<> look(Ctx ctx);
  // Once it was looked at: takes out what can be healed together (erasure::heal_plain), in up to so many
  // parts, of at least kRefillLeastBatch rows if there are as many.
  std::vector<std::vector<RefillRow>> take_plain(std::size_t parts);

  std::vector<RefillRow> rows;
  Event looked;

 private:
  std::vector<erasure::KeyAhead> keys_;
  std::vector<std::size_t> asked_;  // index of their rows
};

// From whom a key's inline shards are to be read: see erasure::inline_sources(). filled: index of the drive
// that is refilled, which is none of the page's sources.
std::uint32_t inline_sources_of(const MergedKey& key, const erasure::ErasureSet& set,
                                const std::vector<std::uint16_t>& members, std::size_t filled);

}  // namespace ostraka::object
