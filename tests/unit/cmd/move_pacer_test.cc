#include "cmd/move_pacer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "cluster/move_message.h"
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

// A node that has clients, and moves nothing itself.
struct NodeWithClients {
  explicit NodeWithClients(erasure::ManualClock& with) : clock(with), served(with.now()) {}
  // copying: something was copied since the last look.
  void serve() {
    const std::chrono::duration<double> passed = clock.now() - served;
    served = clock.now();
    carry += passed.count() * requests;
    const auto finished = static_cast<std::uint64_t>(carry);
    carry -= static_cast<double>(finished);
    const std::uint64_t us = copying ? loaded_us : quiet_us;
    const auto& bounds = Histogram::kBoundsUs;
    const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), us) - bounds.begin();
    load.in_flight = requests > 0 ? 4 : 0;
    load.reads.finished += finished;
    load.reads.sum_us += finished * us;
    load.reads.buckets[static_cast<std::size_t>(bucket)] += finished;
  }
  erasure::ManualClock& clock;
  TimePoint served;
  object::ClientLoad load;
  double requests = 0, carry = 0;  // a second
  std::uint64_t quiet_us = 1000, loaded_us = 1000;
  bool copying = false;
  MovePacer pacer{clock, [this] {
                    serve();
                    return load;
                  }};
};

// Carries the question for the pace, and nothing else.
class Network final : public cluster::Transport {
 public:
  Task<Result<cluster::PeerAnswer>> call(Ctx& /*ctx*/, const cluster::NodeName& node, cluster::PeerCall call,
                                         std::vector<disk::BlockTarget> /*into*/) override {
    if (!nodes.contains(node)) co_return fail(Errc::unavailable, "it is away");
    CO_TRY(question, cluster::take_pace_question(call.head));
    work += question.work;
    cluster::PeerAnswer answer;
    answer.head = cluster::put_pace_answer(nodes.at(node)->pacer.asked(question.work, question.resting));
    co_return answer;
  }
  std::map<cluster::NodeName, NodeWithClients*> nodes;
  std::uint64_t work = 0;
};

class MovePacerOfManyTest : public ::testing::Test {
 protected:
  static constexpr Duration kPiece = milliseconds(50);
  MovePacerOfManyTest() {
    names_ = {"gone"};
    for (NodeWithClients* node : all_) {
      if (node == all_[0]) continue;
      names_.push_back("n" + std::to_string(names_.size() + 1));
      network_.nodes.emplace(names_.back(), node);
    }
    others_.start(shard_);
  }
  ~MovePacerOfManyTest() override { cluster::wait_stepping(clock_, shard_, cluster::done(others_.close())); }
  void set_copying(bool copying) {
    for (NodeWithClients* node : all_) {
      node->serve();
      node->copying = copying;
    }
  }
  // The share of the time in which something was copied.
  double copy_for(Duration time) {
    const TimePoint begin = clock_.now();
    Duration copied{0};
    while (clock_.now() < begin + time) {
      set_copying(true);
      clock_.advance(kPiece);
      set_copying(false);
      copied += kPiece;
      const TimePoint before = clock_.now();
      cluster::wait_stepping(clock_, shard_, cluster::done(mover_.keep(1U << 20)));
      longest_rest_ = std::max(longest_rest_, Duration(clock_.now() - before));
      // The rounds of those that do not lead.
      for (NodeWithClients* node : all_)
        if (node != all_[0]) cluster::wait_stepping(clock_, shard_, cluster::done(node->pacer.keep(0)));
    }
    return std::chrono::duration<double>(copied) / std::chrono::duration<double>(clock_.now() - begin);
  }

  erasure::ManualClock clock_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}};
  NodeWithClients one_{clock_}, two_{clock_}, three_{clock_}, four_{clock_};
  const std::vector<NodeWithClients*> all_{&one_, &two_, &three_, &four_};  // the first one leads
  Network network_;
  std::vector<cluster::NodeName> names_;
  cluster::OtherPaces others_{network_, clock_, [this] { return names_; }};
  MovePacer mover_{clock_,
                   [this] {
                     one_.serve();
                     return one_.load;
                   },
                   &others_};
  Duration longest_rest_{0};
};

TEST_F(MovePacerOfManyTest, RestsForNobody) {
  EXPECT_EQ(copy_for(seconds(10)), 1);
  EXPECT_GT(network_.work, 0U) << "they were asked all the same";
}

TEST_F(MovePacerOfManyTest, RestsForTheClientsOfAnyNodeAsForItsOwn) {
  std::vector<double> shares;
  for (NodeWithClients* node : {&one_, &three_}) {
    copy_for(seconds(5));
    node->requests = 200;
    node->loaded_us = 20'000;
    copy_for(seconds(30));
    shares.push_back(copy_for(seconds(60)));
    EXPECT_LT(shares.back(), 0.4);
    EXPECT_GT(shares.back(), 0.15) << "and it gets on";
    node->requests = 0;
    copy_for(seconds(2));
    EXPECT_EQ(copy_for(seconds(5)), 1) << "they are gone";
  }
  EXPECT_NEAR(shares[0], shares[1], 0.08);
  EXPECT_LE(longest_rest_, seconds(2) + object::kPaceTick);
}

TEST_F(MovePacerOfManyTest, AllLookAtTheirClientsAtTheSameTime) {
  copy_for(seconds(5));
  for (NodeWithClients* node : all_) node->requests = 200;
  EXPECT_GT(copy_for(seconds(120)), 0.85) << "a pause of a second and a half in twenty, not one for each";
}

TEST_F(MovePacerOfManyTest, GetsOnWhereEverybodySuffers) {
  copy_for(seconds(5));
  for (NodeWithClients* node : all_) {
    node->requests = 200;
    node->loaded_us = 20'000;
  }
  copy_for(seconds(30));
  const double share = copy_for(seconds(60));
  EXPECT_LT(share, 0.4);
  EXPECT_GT(share, 0.1);
}

TEST_F(MovePacerOfManyTest, OneThatWantsToSeeItsClientsForEverDoesNotStopIt) {
  // It answers as if nobody rested: the question is lost on it.
  class Deaf final : public cluster::Transport {
    Task<Result<cluster::PeerAnswer>> call(Ctx& /*ctx*/, const cluster::NodeName& /*node*/,
                                           cluster::PeerCall /*call*/,
                                           std::vector<disk::BlockTarget> /*into*/) override {
      cluster::PeerAnswer answer;
      answer.head = cluster::put_pace_answer(0);
      co_return answer;
    }
  } deaf;
  cluster::OtherPaces others(deaf, clock_, [this] { return names_; });
  others.start(shard_);
  MovePacer mover(clock_, [] { return object::ClientLoad(); }, &others);
  const TimePoint begin = clock_.now();
  for (int pieces = 0; pieces < 100; ++pieces) {
    clock_.advance(kPiece);
    cluster::wait_stepping(clock_, shard_, cluster::done(mover.keep(1U << 20)));
  }
  EXPECT_LT(clock_.now() - begin, seconds(120)) << "a twentieth of the time is left in any case";
  cluster::wait_stepping(clock_, shard_, cluster::done(others.close()));
}

}  // namespace
}  // namespace ostraka::cmd
