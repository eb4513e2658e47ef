// BucketGate: keeps the deletion of a bucket apart from the commits inside it. A commit passes through the
// gate; the deletion closes it, waits until nobody is inside, and only then looks whether the bucket is
// empty. So no acknowledged object is lost with its bucket.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "base/result.h"
#include "runtime/task.h"

namespace ostraka::object {

// Thread safe.
class BucketGate : public std::enable_shared_from_this<BucketGate> {
 public:
  // Held from before a commit until it is done. Released by its destructor, on any thread.
  class Pass {
   public:
    explicit Pass(std::shared_ptr<BucketGate> gate) noexcept : gate_(std::move(gate)) {}
    Pass(Pass&&) noexcept = default;
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_) gate_->leave();
    }

   private:
    std::shared_ptr<BucketGate> gate_;
  };

  // Errors: conflict (the bucket is being deleted), unavailable (its deletion is in doubt), no_such_bucket
  // (it is deleted).
  Result<Pass> enter();
  // Closes the gate and waits until nobody is inside. conflict when another deletion has it closed;
  // no_such_bucket.
  Task<Result<>> close();
  void reopen();     // the deletion did not happen
  void set_doubt();  // the deletion may have happened; close() may be tried again
  void set_gone();   // it has happened

 private:
  enum class State : std::uint8_t { open, closing, doubt, gone };
  void leave() noexcept;

  std::mutex mutex_;
  State state_ = State::open;
  std::size_t inside_ = 0;
  Completion<bool> drained_;
};

}  // namespace ostraka::object
