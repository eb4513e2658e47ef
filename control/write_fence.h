// WriteFence: keeps writes of nodes that do not know a change apart from what rests on that change, for
// example the listing before a bucket is removed.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "runtime/ctx.h"
#include "runtime/task.h"

namespace ostraka::control {

class WriteFence {
 public:
  virtual ~WriteFence() = default;
  // Whether this node may begin a write: it knows, or asks often enough, what the others know. Cheap.
  virtual bool may_write() const noexcept = 0;
  // Waits until nowhere a write is under way, or may begin, that does not go by the control store's
  // `revision`. Errors: unavailable (a node that is away may still be writing, and will for longer than the
  // deadline; or no majority of the nodes has confirmed), deadline, closed.
  virtual Task<Result<>> wait_until_known(Ctx& ctx, std::uint64_t revision) = 0;
};

}  // namespace ostraka::control
