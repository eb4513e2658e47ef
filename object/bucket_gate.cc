#include "object/bucket_gate.h"

#include "base/sabotage.h"

namespace ostraka::object {

Result<BucketGate::Pass> BucketGate::enter() {
  if (fence_ != nullptr && !fence_->may_write() && !sabotaged(Sabotage::permit))
    return fail(Errc::unavailable, "this node is cut off, and may not write");
  const std::lock_guard lock(mutex_);
  switch (state_) {
    case State::open:
      if (marked_) return fail(Errc::unavailable, "the bucket is being deleted");
      ++inside_;
      return Pass(shared_from_this());
    case State::closing:  // which may not come about: clients are to try again
      return fail(Errc::unavailable, "the bucket is being deleted");
    case State::doubt:
      return fail(Errc::unavailable, "the bucket's deletion is in doubt");
    case State::gone:
      break;
  }
  return fail(Errc::no_such_bucket);
}

Task<Result<>> BucketGate::close() {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::gone) co_return fail(Errc::no_such_bucket);
    if (state_ == State::closing) co_return fail(Errc::conflict, "the bucket is being deleted");
    state_ = State::closing;
  }
  const auto start = [this](Completion<bool> drained) {
    {
      const std::lock_guard lock(mutex_);
      if (inside_ > 0) {
        drained_ = std::move(drained);
        return;
      }
    }
    drained(true);
  };
  co_await suspend<bool>(start);
  co_return Result<>{};
}

void BucketGate::leave() noexcept {
  Completion<bool> drained;
  control::Membership::Hold told;  // let go of outside of the lock
  {
    const std::lock_guard lock(mutex_);
    if (--inside_ > 0) return;
    drained = std::move(drained_);
    told = std::move(told_);
  }
  if (drained) drained(true);
}

void BucketGate::mark(control::Membership::Hold told) {
  const std::lock_guard lock(mutex_);
  marked_ = true;
  if (inside_ > 0 && !told_) told_.swap(told);  // the first one is of the lowest revision
}

void BucketGate::unmark() {
  const std::lock_guard lock(mutex_);
  marked_ = false;
  if (state_ == State::doubt) state_ = State::open;
}

void BucketGate::reopen() {
  const std::lock_guard lock(mutex_);
  state_ = State::open;
}

void BucketGate::set_doubt() {
  const std::lock_guard lock(mutex_);
  state_ = State::doubt;
}

void BucketGate::set_gone() {
  const std::lock_guard lock(mutex_);
  state_ = State::gone;
}

}  // namespace ostraka::object
