#include "runtime/event.h"

#include "base/check.h"

namespace ostraka {

void Event::set() {
  set_ = true;
  wake();
}

void Event::wake() {
  if (!waiter_) return;
  Completion<bool> waiter = std::move(waiter_);
  waiter(true);
}

Task<> Event::wait() {
  if (set_) co_return;
  CHECK(!waiter_);
  auto park = [this](Completion<bool> done) { waiter_ = std::move(done); };
  co_await suspend<bool>(park);
}

Task<bool> Event::wait_until(Clock& clock, TimePoint deadline) {
  if (set_) co_return true;
  if (deadline == kNoDeadline) {
    co_await wait();
    co_return true;
  }
  const IoExecutor executor = co_await boost::asio::this_coro::executor;
  const auto timer = clock.arm(executor, deadline, [this] { wake(); });
  co_await wait();
  co_return set_;
}

}  // namespace ostraka
