// GroupEpochs: the epochs of the placement groups (rule 8 of the commit protocol). A drive that lost
// something is reborn in a newer one.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "runtime/ctx.h"
#include "runtime/task.h"

namespace ostraka::control {

class GroupEpochs {
 public:
  virtual ~GroupEpochs() = default;
  // Gives the group an epoch newer than all it ever had, and than `known`. Durable when it returns. Errors:
  // those of ControlStore::put; malformed, unsupported_version, unavailable (there is no table of them).
  virtual Task<Result<std::uint64_t>> raise(Ctx& ctx, std::uint16_t group, std::uint64_t known) = 0;
};

}  // namespace ostraka::control
