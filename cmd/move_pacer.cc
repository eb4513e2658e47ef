#include "cmd/move_pacer.h"

#include <algorithm>
#include <utility>

namespace ostraka::cmd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLongestRest = seconds(2);  // after one piece of work
// To see clients without moves: HealPace learns from a second of it, and the others hear of it a little
// later.
constexpr Duration kPause = milliseconds(1400);
constexpr Duration kPauseAgain = seconds(10);  // after the end of one; until then
constexpr double kBlindShare = 0.05;           // is left while somebody still wants one
constexpr Duration kAsked = seconds(3);        // then nobody else moves any more

}  // namespace

MovePacer::MovePacer(Clock& clock, Clients clients, cluster::OtherPaces* others)
    : clock_(clock),
      clients_(std::move(clients)),
      others_(others),
      went_on_(clock.now()),
      pace_(clock.now(), 1) {}

double MovePacer::tick(double work, bool wanted) {
  const std::lock_guard lock(mutex_);
  const object::ClientLoad load = clients_();  // here, so that it never runs backwards
  const TimePoint now = clock_.now();
  work_ += work;
  if (wanted && ticked_ && now - *ticked_ < object::kPaceTick) return std::min(pace_.width(), 1.0);
  ticked_ = now;
  return std::min(pace_.tick(now, load, work_, wanted), 1.0);
}

double MovePacer::asked(std::uint64_t work, bool resting) {
  {
    const std::lock_guard lock(mutex_);
    asked_at_ = clock_.now();
  }
  return tick(static_cast<double>(work), !resting);
}

double MovePacer::share_now(TimePoint now) {
  const bool pausing = pause_until_ && now < *pause_until_;
  double share = tick(0, !pausing);
  if (others_ != nullptr) {
    others_->ask(copied_, pausing);
    share = std::min(share, others_->share());
  }
  if (pausing) return 0;
  if (share > 0) return share;
  if (pause_until_ && now - *pause_until_ < kPauseAgain) return kBlindShare;
  pause_until_ = now + kPause;
  return 0;
}

Task<> MovePacer::keep(std::uint64_t bytes) {
  const TimePoint paused = clock_.now();
  if (bytes == 0) {
    bool others_move = false;
    {
      const std::lock_guard lock(mutex_);
      others_move = asked_at_ && paused - *asked_at_ < kAsked;
    }
    if (!others_move) tick(0, false);
    went_on_ = paused;
    co_return;
  }
  const double work = static_cast<double>(bytes) + object::kPaceKeyWork;
  copied_ += work;
  tick(work, !pause_until_ || paused >= *pause_until_);
  const auto worked = std::chrono::duration<double>(paused - went_on_);
  for (;;) {
    const TimePoint now = clock_.now();
    const double share = share_now(now);
    // That share of the time is for work.
    const auto due =
        share <= 0 ? kLongestRest
                   : std::min(kLongestRest, std::chrono::duration_cast<Duration>(worked * (1 / share - 1)));
    const Duration rested = now - paused;
    if (rested >= due) break;
    const Duration nap = std::min(object::kPaceTick, due - rested);
    co_await sleep_for(clock_, nap);
  }
  went_on_ = clock_.now();
}

}  // namespace ostraka::cmd
