// Batch: many small jobs of one request, a few at a time.
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/ctx.h"
#include "runtime/gate.h"
#include "runtime/task.h"

namespace ostraka::object {

// Owns all that its jobs use, since they run as tasks of their own. All of it runs on one shard.
class Batch {
 public:
  virtual ~Batch() = default;
  virtual std::size_t size() const noexcept = 0;
  virtual Task<> run(std::size_t index) = 0;
};

// Runs all jobs, at most `width` at a time, and waits for them. False when the gate is closed; then some jobs
// did not run.
Task<bool> run_batch(Ctx& ctx, Gate& gate, std::shared_ptr<Batch> batch, std::size_t width);

}  // namespace ostraka::object
