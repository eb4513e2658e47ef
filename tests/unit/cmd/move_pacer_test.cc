#include "cmd/move_pacer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/cluster/stepping.h"

namespace ostraka::cmd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A machine that copies pieces of a MiB, one after the other, and clients whose requests take longer
// meanwhile.
class MovePacerTest : public ::testing::Test {
 protected:
  static constexpr Duration kPiece = milliseconds(50);
  static constexpr std::uint64_t kQuietUs = 1000;

  void serve() {
    const std::chrono::duration<double> passed = clock_.now() - served_;
    served_ = clock_.now();
    carry_ += passed.count() * requests_;
    const auto finished = static_cast<std::uint64_t>(carry_);
    carry_ -= static_cast<double>(finished);
    const std::uint64_t us = copying_ ? loaded_us_ : kQuietUs;
    const auto& bounds = Histogram::kBoundsUs;
    load_.in_flight = requests_ > 0 ? 4 : 0;
    load_.reads.finished += finished;
    load_.reads.sum_us += finished * us;
    load_.reads.buckets[static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), us) -
                                                 bounds.begin())] += finished;
  }
  Duration keep(std::uint64_t bytes) {
    const TimePoint before = clock_.now();
    cluster::wait_stepping(clock_, shard_, cluster::done(pacer_.keep(bytes)));
    return clock_.now() - before;
  }
  // The share of the time in which something was copied.
  double copy_for(Duration time) {
    const TimePoint begin = clock_.now();
    Duration copied{0};
    while (clock_.now() < begin + time) {
      copying_ = true;
      clock_.advance(kPiece);
      serve();
      copying_ = false;
      copied += kPiece;
      longest_rest_ = std::max(longest_rest_, keep(1U << 20));
    }
    return std::chrono::duration<double>(copied) / std::chrono::duration<double>(clock_.now() - begin);
  }

  erasure::ManualClock clock_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}};
  object::ClientLoad load_;
  TimePoint served_ = clock_.now();
  double requests_ = 0, carry_ = 0;  // a second
  std::uint64_t loaded_us_ = kQuietUs;
  bool copying_ = false;
  Duration longest_rest_{0};
  MovePacer pacer_{clock_, [this] {
                     serve();
                     return load_;
                   }};
};

TEST_F(MovePacerTest, RestsForNobody) {
  EXPECT_EQ(copy_for(seconds(10)), 1);
  EXPECT_EQ(keep(0), Duration{0});
}

TEST_F(MovePacerTest, RestsLittleForClientsThatDoNotNotice) {
  copy_for(seconds(5));
  requests_ = 200;
  EXPECT_GT(copy_for(seconds(60)), 0.9) << "but for the pauses in which their latency is measured";
}

TEST_F(MovePacerTest, LeavesMostOfTheTimeToClientsThatSufferAndStillGetsOn) {
  copy_for(seconds(5));
  requests_ = 200;
  loaded_us_ = 20 * kQuietUs;
  copy_for(seconds(30));
  const double share = copy_for(seconds(60));
  EXPECT_LT(share, 0.4);
  EXPECT_GT(share, 0.15);
  EXPECT_LE(longest_rest_, seconds(2) + object::kPaceTick) << "so that a call's deadline is no matter";
  requests_ = 0;
  copy_for(seconds(2));
  EXPECT_EQ(copy_for(seconds(5)), 1) << "they are gone";
}

}  // namespace
}  // namespace ostraka::cmd
