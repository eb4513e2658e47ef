// Healing many small keys together, where what the drives said leaves nothing to decide: all that is lacking
// is the elected version, and its body, if it has one, lies in the index. It is brought to the drives that
// lack it, for all keys at once. Everything else is a matter for ErasureSet::heal().
#pragma once

#include <optional>
#include <vector>

#include "erasure/erasure_set.h"
#include "runtime/ctx.h"

namespace ostraka::erasure {

struct PlainKey {
  ErasureSet* set = nullptr;  // of the key; it outlives the call
  disk::ObjectRef ref;
  KeyLookPtr look;  // of look_ahead(); may be null. Used up when the key is healed here
};

// As far as can be seen without an election: worth a try.
bool may_be_plain(const KeyLook& look);

// By key: the report of its heal, as ErasureSet::heal() would give it; none: it is to be healed by itself.
// All sets are of one node.
Task<std::vector<std::optional<HealReport>>> heal_plain(Ctx ctx, std::vector<PlainKey> keys);

}  // namespace ostraka::erasure
