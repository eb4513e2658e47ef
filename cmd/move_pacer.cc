#include "cmd/move_pacer.h"

#include <algorithm>
#include <utility>

namespace ostraka::cmd {
namespace {

constexpr Duration kLongestRest = std::chrono::seconds(2);  // after one piece of work

}  // namespace

MovePacer::MovePacer(Clock& clock, Clients clients)
    : clock_(clock), clients_(std::move(clients)), pace_(clock.now(), 1), went_on_(clock.now()) {}

double MovePacer::tick(bool wanted) {
  const TimePoint now = clock_.now();
  if (wanted && now - ticked_ < object::kPaceTick) return pace_.width();
  ticked_ = now;
  return pace_.tick(now, clients_(), work_, wanted);
}

Task<> MovePacer::keep(std::uint64_t bytes) {
  if (bytes == 0) {
    tick(false);
    went_on_ = clock_.now();
    co_return;
  }
  work_ += static_cast<double>(bytes) + object::kPaceKeyWork;
  const TimePoint paused = clock_.now();
  const auto worked = std::chrono::duration<double>(paused - went_on_);
  for (;;) {
    const double width = std::min(tick(true), 1.0);
    // That share of the time is for work.
    const auto due =
        width <= 0 ? kLongestRest
                   : std::min(kLongestRest, std::chrono::duration_cast<Duration>(worked * (1 / width - 1)));
    const Duration rested = clock_.now() - paused;
    if (rested >= due) break;
    const Duration nap = std::min(object::kPaceTick, due - rested);
    co_await sleep_for(clock_, nap);
  }
  went_on_ = clock_.now();
}

}  // namespace ostraka::cmd
