#include "object/heal_pace.h"

#include <algorithm>

namespace ostraka::object {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kQuietAfter = milliseconds(500);     // clients are gone when nothing happened for so long
constexpr Duration kWindow = seconds(1);                // of one judgement, longer when few requests finish,
constexpr Duration kLongestWindow = seconds(3);         // up to this
constexpr Duration kProbe = milliseconds(500);          // a pause to measure latency without healing,
constexpr Duration kLongestProbe = milliseconds(1500);  // longer when few requests finish,
constexpr Duration kProbeEvery = seconds(20);           // once in so long
constexpr Duration kIdleWindow = seconds(1);            // to measure the rate without clients
constexpr std::uint64_t kEnough = 30;                   // finished requests that say something
constexpr double kMeanLimit = 1.5, kP99Limit = 1.7;     // times the latency without healing
constexpr double kShare = 0.20;  // of the rate without clients, that the heal does not fall below: of that of
                                 // a bare program it is a tenth
constexpr double kLeastWidth = 0.05;  // of the time
constexpr double kBlindWidth = 1;     // while it is not known what a share of the rate would be
constexpr double kWorkSurge = 0.3;    // weight of a new measurement of the idle rate

double seconds_of(Duration duration) noexcept {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

using Latencies = ClientLoad::Latencies;

Latencies latencies_of(const Histogram& histogram) noexcept {
  Latencies out;
  out.finished = histogram.count();
  out.sum_us = histogram.sum_us();
  for (std::size_t i = 0; i < out.buckets.size(); ++i) out.buckets[i] = histogram.bucket(i);
  return out;
}

double mean_us(const Latencies& before, const Latencies& after) noexcept {
  const std::uint64_t finished = after.finished - before.finished;
  return finished == 0 ? 0
                       : static_cast<double>(after.sum_us - before.sum_us) / static_cast<double>(finished);
}

double p99_us(const Latencies& before, const Latencies& after) noexcept {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < after.buckets.size(); ++i) count += after.buckets[i] - before.buckets[i];
  if (count == 0) return 0;
  const double wanted = 0.99 * static_cast<double>(count);
  double below = 0;
  for (std::size_t i = 0; i < Histogram::kBoundsUs.size(); ++i) {
    const auto here = static_cast<double>(after.buckets[i] - before.buckets[i]);
    if (below + here >= wanted && here > 0) {
      const double low = i == 0 ? 0 : static_cast<double>(Histogram::kBoundsUs[i - 1]);
      const double high = static_cast<double>(Histogram::kBoundsUs[i]);
      return low + (high - low) * (wanted - below) / here;
    }
    below += here;
  }
  return static_cast<double>(Histogram::kBoundsUs.back());
}

HealPace::HealPace(TimePoint now, double max_width)
    : max_width_(std::max(1.0, max_width)),
      window_{now, {}, 0},
      width_(max_width_),
      shared_width_(std::max(kBlindWidth, max_width_ / 8)),
      last_active_(now - kQuietAfter) {}

void HealPace::enter(Mode mode, TimePoint now, const ClientLoad& load, double work) {
  mode_ = mode;
  window_ = Window{now, load, work};
}

double HealPace::tick(TimePoint now, const ClientLoad& load, double work, bool wanted) {
  if (load.in_flight > 0 || load.finished() != last_finished_) last_active_ = now;
  last_finished_ = load.finished();
  if (now - last_active_ >= kQuietAfter) {
    quiet(now, load, work, wanted);
  } else if (!wanted) {
    if (mode_ != Mode::clean) enter(Mode::clean, now, load, work);
    if (now - window_.since >= kWindow) learn(now, load);
    width_ = shared_width_;
  } else {
    share(now, load, work);
  }
  if (priority_ == HealPriority::high && wanted) width_ = max_width_;
  return width_;
}

void HealPace::quiet(TimePoint now, const ClientLoad& load, double work, bool wanted) {
  if (mode_ != Mode::quiet || !wanted || width_ < max_width_) enter(Mode::quiet, now, load, work);
  width_ = std::min(max_width_, std::max(width_, 1.0) * 1.5);
  const Duration took = now - window_.since;
  if (took < kIdleWindow) return;
  const double rate = (work - window_.work) / seconds_of(took);
  // Not when there was little to do.
  if (rate > idle_rate_ / 4) idle_rate_ += (rate - idle_rate_) * (idle_rate_ > 0 ? kWorkSurge : 1);
  enter(Mode::quiet, now, load, work);
}

void HealPace::learn_kind(Base& base, const Latencies& before, const Latencies& now) {
  if (now.finished - before.finished < kEnough) return;
  const double weight = base.mean_us > 0 ? 0.5 : 1;
  base.mean_us += (mean_us(before, now) - base.mean_us) * weight;
  base.p99_us += (p99_us(before, now) - base.p99_us) * weight;
}

void HealPace::learn(TimePoint now, const ClientLoad& load) {
  learn_kind(reads_, window_.load.reads, load.reads);
  learn_kind(writes_, window_.load.writes, load.writes);
  based_ = true;
  based_at_ = now;
  window_ = Window{now, load, window_.work};
}

// Of each kind that there is.
bool HealPace::enough(const ClientLoad& load) const noexcept {
  const std::uint64_t reads = load.reads.finished - window_.load.reads.finished;
  const std::uint64_t writes = load.writes.finished - window_.load.writes.finished;
  return reads + writes >= kEnough && (reads == 0 || reads >= kEnough) && (writes == 0 || writes >= kEnough);
}

void HealPace::share(TimePoint now, const ClientLoad& load, double work) {
  if (priority_ == HealPriority::idle) {
    if (mode_ != Mode::loaded) enter(Mode::loaded, now, load, work);
    width_ = kLeastWidth;
    return;
  }
  const bool fresh = based_ && now - based_at_ < kProbeEvery;
  if (mode_ == Mode::probe) {
    const Duration took = now - window_.since;
    if (took < kProbe || (!enough(load) && took < kLongestProbe)) return;
    learn(now, load);
    enter(Mode::loaded, now, load, work);
  } else if (!fresh && priority_ == HealPriority::normal) {
    enter(Mode::probe, now, load, work);
    width_ = 0;
    return;
  } else if (mode_ != Mode::loaded) {
    enter(Mode::loaded, now, load, work);
  }
  const Duration took = now - window_.since;
  if (took >= kLongestWindow || (took >= kWindow && enough(load))) {
    judge(took, load, work);
    enter(Mode::loaded, now, load, work);
  }
  width_ = shared_width_;
}

void HealPace::judge(Duration took, const ClientLoad& load, double work) {
  const double rate = (work - window_.work) / seconds_of(took);
  const bool starves = idle_rate_ > 0 ? rate < kShare * idle_rate_ : shared_width_ < kBlindWidth;
  double over = 0;
  const auto compare = [&over](const Base& base, const Latencies& before, const Latencies& after) {
    if (base.mean_us <= 0 || after.finished - before.finished < kEnough) return;
    over = std::max({over, mean_us(before, after) / (kMeanLimit * base.mean_us),
                     p99_us(before, after) / (kP99Limit * base.p99_us)});
  };
  compare(reads_, window_.load.reads, load.reads);
  compare(writes_, window_.load.writes, load.writes);
  if (starves)
    shared_width_ *= 1.3;
  else if (over > 1)
    shared_width_ *= std::clamp(1 / over, 0.5, 0.9);
  else if (over < 0.85)
    shared_width_ += std::max(0.1, 0.1 * shared_width_);
  shared_width_ = std::clamp(shared_width_, kLeastWidth, max_width_);
}

}  // namespace ostraka::object
