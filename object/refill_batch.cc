#include "object/refill_batch.h"

#include <utility>

namespace ostraka::object {

void RefillBatch::ask_ahead(erasure::ErasureSet& set, std::uint32_t inline_of) {
  asked_.push_back(rows.size() - 1);
  keys_.push_back({&set, rows.back().ref, inline_of});
}

Task<> RefillBatch::look(Ctx ctx) {
  auto looking = erasure::look_ahead(std::move(ctx), std::move(keys_));
  std::vector<erasure::KeyLookPtr> looks = co_await std::move(looking);
  for (std::size_t i = 0; i < looks.size(); ++i) rows[asked_[i]].look = std::move(looks[i]);
  looked.set();
}

std::uint32_t inline_sources_of(const MergedKey& key, const erasure::ErasureSet& set,
                                const std::vector<std::uint16_t>& members, std::size_t filled) {
  std::uint32_t holders = 0;
  std::string_view row;
  for (std::size_t slot = 0; slot < members.size(); ++slot) {
    const std::size_t drive = members[slot];
    if (drive == filled || drive == GroupMembers::kElsewhere) continue;
    const auto& here = key.rows[drive < filled ? drive : drive - 1];
    if (!here) continue;
    holders |= std::uint32_t{1} << slot;
    row = *here;
  }
  return row.empty() ? 0 : erasure::inline_sources(set, row, holders);
}

}  // namespace ostraka::object
