#include "object/heal_lanes.h"

#include <algorithm>

#include "base/check.h"

namespace ostraka::object {
namespace {

constexpr Duration kLongestPause = std::chrono::seconds(2);  // between two heals, with the smallest width

}  // namespace

void HealStop::stop() {
  stopping_ = true;
  wake_all();
}

void HealStop::wake_all() {
  for (Event* event : waiting_) event->set();
}

Task<> HealStop::wait(TimePoint until) {
  if (stopping_) co_return;
  Event event;
  const auto place = waiting_.insert(waiting_.end(), &event);
  co_await event.wait_until(clock_, until);
  waiting_.erase(place);
}

void HealLanes::set_width(double width) {
  const bool wider = width > width_;
  width_ = width;
  if (wider) wake_.wake_all();
}

unsigned HealLanes::in_flight() const noexcept {
  unsigned sum = 0;
  for (const unsigned count : inside_) sum += count;
  return sum;
}

bool HealLanes::wanted() const noexcept {
  return in_flight() > 0 ||
         std::any_of(ticket_.begin(), ticket_.end(), [](std::uint64_t ticket) { return ticket > 0; });
}

bool HealLanes::may_enter(std::size_t kind) const {
  unsigned others = 0;
  bool first = true;  // of those that wait
  for (std::size_t i = 0; i < kKinds; ++i) {
    if (i == kind) continue;
    others += inside_[i] > 0 || ticket_[i] > 0 ? 1 : 0;
    first = first && (ticket_[i] == 0 || ticket_[i] > ticket_[kind]);
  }
  if (width_ < 1) return width_ > 0 && first && in_flight() == 0 && clock_.now() >= not_before_;
  const auto width = static_cast<unsigned>(width_);
  if (in_flight() >= width) return false;
  const unsigned share = width / (others + 1);       // everybody who has something to do gets a part,
  return share > 0 ? inside_[kind] < share : first;  // or takes turns
}

Task<bool> HealLanes::enter(HealWork work) {
  const auto kind = static_cast<std::size_t>(work);
  CHECK(ticket_[kind] == 0);
  ticket_[kind] = ++tickets_;
  while (!stop_.stopping() && !may_enter(kind)) {
    const TimePoint now = clock_.now();
    TimePoint until = now + kLongestPause;
    if (not_before_ > now) until = std::min(until, not_before_);
    co_await wake_.wait(until);
  }
  ticket_[kind] = 0;
  if (stop_.stopping()) co_return false;
  ++inside_[kind];
  co_return true;
}

void HealLanes::leave(HealWork work, Duration took) {
  --inside_[static_cast<std::size_t>(work)];
  if (width_ > 0 && width_ < 1) {
    const std::chrono::duration<double> pause = took * (1 / width_ - 1);
    not_before_ = clock_.now() + std::min(kLongestPause, std::chrono::duration_cast<Duration>(pause));
  }
  wake_.wake_all();
}

HealCrew::~HealCrew() {
  CHECK(running_ == 0);
}

Task<bool> HealCrew::start(Task<> job) {
  const bool in_lane = co_await lanes_.enter(work_);
  if (!in_lane) co_return false;
  ++running_;
  if (gate_.spawn(shard_.executor(), run(this, std::move(job)))) co_return true;
  --running_;
  lanes_.leave(work_, Duration::zero());
  co_return false;
}

Task<> HealCrew::run(HealCrew* crew, Task<> job) {
  const TimePoint began = crew->shard_.clock().now();
  co_await std::move(job);
  crew->lanes_.leave(crew->work_, crew->shard_.clock().now() - began);
  --crew->running_;
  crew->ended_.set();
}

Task<> HealCrew::drain() {
  while (running_ > 0) {
    ended_.reset();
    co_await ended_.wait();
  }
}

}  // namespace ostraka::object
