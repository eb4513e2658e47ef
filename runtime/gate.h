// A Gate owns spawned tasks: it refuses new ones once closed, and close() waits until the last has ended.
// Thread safe; the gate must outlive close(). Destroying a gate with tasks inside is a CHECK failure.
#pragma once

#include <cstddef>
#include <mutex>

#include "runtime/task.h"

namespace ostraka {

class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate();

  // Runs the task on the executor (at once, up to its first suspension, when called on its thread). False,
  // and the task is dropped unstarted, when the gate is closed. An exception that leaves the task ends the
  // process: nothing in this project throws on purpose.
  bool spawn(IoExecutor executor, Task<> task);
  // Closes and waits until empty. At most one caller, from any shard.
  Task<> close();
  // Refuses new tasks from now on, without waiting for those inside.
  void shut() noexcept;
  std::size_t inside() const noexcept;

 private:
  void leave() noexcept;
  mutable std::mutex mutex_;
  std::size_t inside_ = 0;
  bool closed_ = false;
  Completion<bool> closer_;
};

}  // namespace ostraka
