// Asking the drives about many keys at once, before these are healed: one call a drive, instead of one a key
// and drive.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "disk/drive.h"
#include "erasure/erasure_set.h"

namespace ostraka::erasure {

struct KeyAhead {
  ErasureSet* set = nullptr;  // of the key; it outlives the call
  disk::ObjectRef ref;
  std::uint32_t inline_of = 0;  // by bit of the slot: whose inline shards are wanted
};

// As many drives as are needed for rebuilding the newest version that this row knows of, if its body lies in
// the index. row: of one of the drives; holders: bit by slot, those that have a row of the key.
std::uint32_t inline_sources(const ErasureSet& set, std::string_view row, std::uint32_t holders);

// By key: what the drives said, for ErasureSet::heal(). It is worth as much as a look at the key alone, since
// each drive's answer is what it says to a read that carries the group's epoch. Null: it has to be looked at
// by itself, since some drive of its set that is in service did not answer for it, or has been slow lately.
// All sets are of one node; at most kMaxKeyReads keys.
Task<std::vector<KeyLookPtr>> look_ahead(Ctx ctx, std::vector<KeyAhead> keys);

}  // namespace ostraka::erasure
