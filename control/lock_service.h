// LockService: the commit lease of a key. It serves progress, safety does not rest on it (the drives refuse
// stale commits).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/ctx.h"
#include "runtime/task.h"

namespace ostraka::control {

// Released by its destructor, on any thread.
class Lease {
 public:
  virtual ~Lease() = default;
};

class LockService {
 public:
  virtual ~LockService() = default;
  // Waits in order of arrival until ctx.deadline (Errc::deadline). `name` is any bytes.
  virtual Task<Result<std::unique_ptr<Lease>>> acquire(Ctx& ctx, std::string name) = 0;
};

}  // namespace ostraka::control
