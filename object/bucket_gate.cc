#include "object/bucket_gate.h"

namespace ostraka::object {

Result<BucketGate::Pass> BucketGate::enter() {
  const std::lock_guard lock(mutex_);
  switch (state_) {
    case State::open:
      ++inside_;
      return Pass(shared_from_this());
    case State::closing:
      return fail(Errc::conflict, "the bucket is being deleted");
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
  {
    const std::lock_guard lock(mutex_);
    if (--inside_ > 0) return;
    drained = std::move(drained_);
  }
  if (drained) drained(true);
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
