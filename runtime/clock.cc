#include "runtime/clock.h"

#include <boost/asio/steady_timer.hpp>

#include "runtime/event.h"

namespace ostraka {
namespace {

using SteadyTimer =
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>, IoExecutor>;

class SystemTimer final : public Clock::Timer {
 public:
  SystemTimer(const IoExecutor& executor, TimePoint at, std::function<void()> wake)
      : state_(std::make_shared<State>(executor, std::move(wake))) {
    if (at == kNoDeadline) return;
    state_->timer.expires_at(at);
    // The handler may already be queued when the timer is destroyed: the empty `wake` tells it.
    state_->timer.async_wait([state = state_](const boost::system::error_code& error) {
      if (error || !state->wake) return;
      const auto wake_now = std::exchange(state->wake, nullptr);
      wake_now();
    });
  }
  ~SystemTimer() override {
    state_->wake = nullptr;
    state_->timer.cancel();
  }

 private:
  struct State {
    State(const IoExecutor& executor, std::function<void()> w) : timer(executor), wake(std::move(w)) {}
    SteadyTimer timer;
    std::function<void()> wake;
  };
  std::shared_ptr<State> state_;
};

}  // namespace

TimePoint SystemClock::now() const noexcept {
  return std::chrono::steady_clock::now();
}

std::int64_t SystemClock::unix_ms() const noexcept {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
}

std::unique_ptr<Clock::Timer> SystemClock::arm(IoExecutor executor, TimePoint at,
                                               std::function<void()> wake) {
  return std::make_unique<SystemTimer>(executor, at, std::move(wake));
}

Task<> sleep_for(Clock& clock, Duration duration) {
  Event never;
  const TimePoint until = deadline_after(clock.now(), duration);
  co_await never.wait_until(clock, until);
}

}  // namespace ostraka
