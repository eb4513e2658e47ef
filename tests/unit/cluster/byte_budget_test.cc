#include "cluster/byte_budget.h"

#include <gtest/gtest.h>

#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {
namespace {

using namespace std::chrono_literals;

class ByteBudgetTest : public testing::Test {
 protected:
  // Takes so many bytes, says when it has them or gave up, and gives them back when it is told.
  static Task<> hold(ByteBudgetTest* self, std::string name, std::size_t bytes, Duration patience,
                     Event* until) {
    auto held = co_await self->budget_.take(self->clock_, self->clock_.now() + patience, bytes);
    self->log_.push_back(held ? name : "no " + name);
    if (held) co_await until->wait();
  }
  void start(std::string name, std::size_t bytes, Event& until, Duration patience = 20s) {
    gate_.spawn(shard_.executor(), hold(this, std::move(name), bytes, patience, &until));
    run_what_is_ready();
  }
  void run_what_is_ready() {
    do {
      shard_.io().restart();
    } while (shard_.io().poll() > 0);
  }
  using Log = std::vector<std::string>;

  SystemClock clock_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}};
  ByteBudget budget_{10};
  Gate gate_;
  Log log_;
};

TEST_F(ByteBudgetTest, WhoCameFirstGetsFirst) {
  Event a, large, small, nothing;
  start("a", 8, a);
  start("large", 10, large);
  start("small", 1, small);
  EXPECT_EQ(log_, Log{"a"}) << "a small one does not overtake";
  start("nothing", 0, nothing);
  EXPECT_EQ(log_, (Log{"a", "nothing"}));
  a.set();
  run_what_is_ready();
  EXPECT_EQ(log_, (Log{"a", "nothing", "large"}));
  EXPECT_EQ(budget_.free(), 0U);
  for (Event* event : {&large, &small, &nothing}) event->set();
  run_to_end(shard_, gate_.close());
  EXPECT_EQ(log_, (Log{"a", "nothing", "large", "small"}));
  EXPECT_EQ(budget_.free(), 10U);
}

TEST_F(ByteBudgetTest, WhoGivesUpLetsThoseBehindPass) {
  Event a, large, small;
  start("a", 5, a);
  start("large", 6, large, 20ms);
  start("small", 5, small);
  EXPECT_EQ(log_, Log{"a"});
  while (log_.size() < 3) {
    shard_.io().restart();
    shard_.io().run_one();
  }
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "small"), 1);
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "no large"), 1);
  for (Event* event : {&a, &small}) event->set();
  run_to_end(shard_, gate_.close());
  EXPECT_EQ(budget_.free(), 10U);
}

}  // namespace
}  // namespace ostraka::cluster
