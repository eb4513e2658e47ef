#include "object/refill_batch.h"

#include <algorithm>
#include <utility>

#include "erasure/plain_heal.h"
#include "object/limits.h"

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

std::vector<std::vector<RefillRow>> RefillBatch::take_plain(std::size_t parts) {
  const auto alone = [](const RefillRow& row) { return !row.look || !erasure::may_be_plain(*row.look); };
  const auto first = std::stable_partition(rows.begin(), rows.end(), alone);
  const auto plain = static_cast<std::size_t>(rows.end() - first);
  const std::size_t of_part = std::max(kRefillLeastBatch, (plain + parts - 1) / parts);
  std::vector<std::vector<RefillRow>> out;
  for (auto row = first; row != rows.end(); ++row) {
    if (out.empty() || out.back().size() == of_part) out.emplace_back().reserve(of_part);
    out.back().push_back(std::move(*row));
  }
  rows.erase(first, rows.end());
  return out;
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
