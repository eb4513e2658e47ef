// Deciding a version whose writer may be dead, or our own when too few drives took it (rule 7 of the
// protocol).
#pragma once

#include "disk/drive.h"
#include "erasure/set_core.h"
#include "erasure/version_push.h"

namespace ostraka::erasure {

enum class Settled : std::uint8_t {
  kept,   // it is committed
  gone,   // it never was, and never will be
  doubt,  // nobody can tell
};

// Fences first, then counts. version: as one holder has it, record included. ref.epoch: as newly read. bring:
// how drives get a version that is to be kept.
Task<Settled> settle(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref, disk::HeldVersion version,
                     BringVersion bring = push_version);

}  // namespace ostraka::erasure
