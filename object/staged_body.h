// A staged body follows the slots of its group.
#pragma once

#include <memory>

#include "erasure/erasure_set.h"

namespace ostraka::object {

// Slots of the group have moved since the body was staged: its shards are copied from the drives that had
// them to those that have them now, which is the set `core`. Where that fails the body lacks a shard.
Task<> follow_slots(Ctx& ctx, erasure::StagedBody& body, std::shared_ptr<erasure::SetCore> core);

}  // namespace ostraka::object
