// Healing one key (`healer` of the protocol model): ask all drives, elect, settle what is newer and must be
// dead, roll forward, bring version and shards to drives that lack them, retire, purge.
#pragma once

#include "erasure/erasure_set.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

// Whoever brings ctx.deadline forward meanwhile ends it soon. ahead: what the drives said about the key a
// moment ago, if that is known.
Task<Result<HealReport>> heal_key(CorePtr core, Ctx& ctx, disk::ObjectRef ref, HealSpec spec,
                                  KeyLookPtr ahead = {});

}  // namespace ostraka::erasure
