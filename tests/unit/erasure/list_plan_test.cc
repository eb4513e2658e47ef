// Which drives a listing asks, and about which groups.
#include <gtest/gtest.h>

#include <algorithm>

#include "erasure/list_field.h"
#include "tests/unit/erasure/world.h"

namespace ostraka::erasure {
namespace {

// Many drives, each group on some of them by chance.
struct Field {
  Field(unsigned drive_count, unsigned set_drives, unsigned quorum, std::uint64_t seed) : random(seed) {
    auto made = std::make_shared<ListField>(context);
    made->read_quorum = quorum;
    made->groups.set();
    for (unsigned i = 0; i < drive_count; ++i) {
      memory.push_back(std::make_unique<MemoryDrive>(clock, static_cast<std::uint8_t>(i)));
      made->drives.push_back(memory.back().get());
      made->stalled.push_back(std::make_shared<StalledCalls>());
      made->holds.emplace_back();
    }
    for (unsigned group = 0; group < kPlacementGroups; ++group) {
      std::vector<unsigned> order(drive_count);
      for (unsigned i = 0; i < drive_count; ++i) order[i] = i;
      for (unsigned i = 0; i < set_drives; ++i) {
        std::swap(order[i], order[i + random.below(drive_count - i)]);
        made->holds[order[i]].set(group);
      }
    }
    field = made;
  }
  // By how many drives the group is told of.
  unsigned told(const ListPlan& plan, unsigned group) const {
    unsigned count = 0;
    for (unsigned drive = 0; drive < memory.size(); ++drive) {
      if (!plan.asked(drive)[group]) continue;
      EXPECT_TRUE(field->holds[drive][group]);
      ++count;
    }
    return count;
  }
  unsigned asked(const ListPlan& plan) const {
    unsigned count = 0;
    for (unsigned drive = 0; drive < memory.size(); ++drive) count += plan.asked(drive).any() ? 1U : 0U;
    return count;
  }

  SeededRandom random;
  ManualClock clock;
  Hlc hlc{1};
  NoLocks locks;
  Gate gate;
  MetricRegistry metrics;
  SetContext context{
      .clock = clock, .random = random, .hlc = hlc, .locks = locks, .background = gate, .metrics = metrics};
  std::vector<std::unique_ptr<MemoryDrive>> memory;
  ListFieldPtr field;
};

TEST(ListPlan, EveryGroupIsToldByExactlyAReadQuorum) {
  for (const unsigned drives : {8U, 9U, 10U, 16U, 40U, 200U}) {
    Field world(drives, 8, 3, drives);
    ListPlan plan(world.field);
    ASSERT_TRUE(plan.fill());
    for (unsigned group = 0; group < kPlacementGroups; ++group) ASSERT_EQ(world.told(plan, group), 3U);
    if (drives == 8) {
      EXPECT_EQ(world.asked(plan), 3U);
    }
    if (drives == 10) {
      EXPECT_EQ(world.asked(plan), 5U) << "any three of ten may be in a set of eight";
    }
    if (drives == 40) {
      EXPECT_LT(world.asked(plan), 36U);
    }
  }
}

TEST(ListPlan, HealthyDrivesComeFirst) {
  Field world(10, 8, 3, 1);
  world.memory[0]->set_online(false);
  world.field->stalled[1]->given_up(world.clock.now());
  ListPlan plan(world.field);
  ASSERT_TRUE(plan.fill());
  EXPECT_TRUE(plan.asked(0).none());
  EXPECT_TRUE(plan.asked(1).none());
}

TEST(ListPlan, OthersTakeOverWhatADriveCannotTell) {
  Field world(10, 8, 3, 2);
  ListPlan plan(world.field);
  ASSERT_TRUE(plan.fill());
  unsigned some = 0;
  while (plan.asked(some).count() < 100) ++some;
  GroupBits gone;
  for (unsigned group = 0; group < kPlacementGroups; group += 2) gone.set(group);
  plan.leave_out(some, gone);
  ASSERT_TRUE(plan.fill());
  EXPECT_TRUE((plan.asked(some) & gone).none());
  EXPECT_TRUE(plan.asked(some).any());
  for (unsigned group = 0; group < kPlacementGroups; ++group) ASSERT_EQ(world.told(plan, group), 3U);
  unsigned failed = 0;
  for (unsigned drive = 0; drive < 10 && failed < 5; ++drive) {
    plan.leave_out(drive);
    const bool enough = plan.fill();
    ++failed;
    for (unsigned group = 0; enough && group < kPlacementGroups; ++group)
      ASSERT_EQ(world.told(plan, group), 3U);
  }
  plan.leave_out(5);
  EXPECT_FALSE(plan.fill()) << "six of ten have failed, and some group has only two of the others";
}

}  // namespace
}  // namespace ostraka::erasure
