// A drive is refilled while slots of its groups move between other drives.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/object/heal_world.h"

namespace ostraka::object {
namespace {

using std::chrono::seconds;

// Sets of six drives on eight, of which one is emptied.
class RefillMoves : public ::testing::Test {
 protected:
  static constexpr std::size_t kLost = 5;

  std::size_t index_of(const disk::Drive* drive) const {
    std::size_t i = 0;
    while (w.world.faulty[i].get() != drive) ++i;
    return i;
  }
  std::vector<std::uint16_t> own_groups() const {
    std::vector<std::uint16_t> out;
    for (std::uint16_t group = 0; group < kPlacementGroups; ++group) {
      const auto members = w.world.sets->of_group(group).drives();
      const disk::Drive* const lost = w.world.faulty[kLost].get();
      if (std::find(members.begin(), members.end(), lost) != members.end()) out.push_back(group);
    }
    return out;
  }
  // One of the other slots goes to a drive that has none of the group.
  void move_a_slot(std::uint16_t group) {
    auto members = w.world.sets->of_group(group).drives();
    const std::size_t slot = index_of(members[0]) == kLost ? 1 : 0;
    std::size_t to = 0;
    while (std::find(members.begin(), members.end(), w.world.faulty[to].get()) != members.end()) ++to;
    w.drive(index_of(members[slot])).move_group(group, w.drive(to));
    members[slot] = w.world.faulty[to].get();
    auto next = std::make_shared<SetTable>(*w.world.sets->table());
    next->sets[group] = erasure::make_erasure_set(w.world.context, group, 1, {4, 2}, members);
    w.world.sets->follow(std::move(next));
  }

  HealWorld w{{.geometry = {4, 2}, .drives = 8}};
};

TEST_F(RefillMoves, OnlyTheGroupsThatMovedAreWalkedAgain) {
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(w.world.put("key" + std::to_string(i), "small"));
  w.pass(seconds(1));
  const std::vector<std::uint16_t> own = own_groups();
  std::size_t moved = 0;
  w.world.faulty[0]->follow([&](std::string_view call) {
    if (call == "scan" && moved < 3) move_a_slot(own[moved++]);  // while a page is on its way
    return erasure::Fate();
  });
  w.drive(kLost).lose_everything(2, own);
  w.pass(seconds(8));
  EXPECT_EQ(moved, 1U);
  EXPECT_EQ(w.refilling(kLost), 1U);
  EXPECT_TRUE(w.drive(kLost).refilling(own[0]));
  w.pass(seconds(20));
  EXPECT_GT(moved, 1U);
  EXPECT_EQ(w.refilling(kLost), 0U);
}

}  // namespace
}  // namespace ostraka::object
