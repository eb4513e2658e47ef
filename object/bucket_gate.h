// BucketGate: keeps the deletion of a bucket apart from the commits inside it. A commit passes through the
// gate; the deletion closes it, waits until nobody is inside, and only then looks whether the bucket is
// empty. So no acknowledged object is lost with its bucket. A deletion on another node marks the bucket's
// document: that closes the gate, too, and this node does not say that it knows the mark as long as somebody
// is inside (control::Membership::Hold).
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "base/result.h"
#include "control/membership.h"
#include "control/write_fence.h"
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

  // fence: of this node, outlives the gate; null: there is only this node.
  explicit BucketGate(const control::WriteFence* fence = nullptr) noexcept : fence_(fence) {}
  // Errors: unavailable (the bucket is being deleted, or its deletion is in doubt; or this node may not
  // write), no_such_bucket (it is deleted).
  Result<Pass> enter();
  // Closes the gate and waits until nobody is inside. conflict when another deletion has it closed;
  // no_such_bucket.
  Task<Result<>> close();
  void reopen();     // the deletion did not happen
  void set_doubt();  // the deletion may have happened; close() may be tried again
  void set_gone();   // it has happened
  // The bucket's document says so. told: kept until nobody is inside.
  void mark(control::Membership::Hold told);
  void unmark();  // it says so no more: a deletion in doubt did not happen, either

 private:
  enum class State : std::uint8_t { open, closing, doubt, gone };
  void leave() noexcept;

  const control::WriteFence* const fence_;
  std::mutex mutex_;
  State state_ = State::open;
  bool marked_ = false;
  control::Membership::Hold told_;
  std::size_t inside_ = 0;
  Completion<bool> drained_;
};

}  // namespace ostraka::object
