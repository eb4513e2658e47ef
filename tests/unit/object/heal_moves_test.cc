// Entries of the heal queue whose slots move between drives.
#include <gtest/gtest.h>

#include <algorithm>

#include "object/limits.h"
#include "tests/unit/object/heal_world.h"

namespace ostraka::object {
namespace {

using std::chrono::seconds;

TEST(HealMoves, WhatWaitsForADriveGoesToTheOneThatHasItsSlotNow) {
  HealWorld w{{.geometry = {4, 2}, .drives = 8}};
  const std::size_t away = w.drive_at("key", 1), back = w.drive_at("key", 0);
  w.drive(away).set_online(false);
  w.drive(back).set_online(false);
  ASSERT_TRUE(w.world.put("key", "text"));
  w.pass(seconds(3));
  w.drive(back).set_online(true);
  w.pass(seconds(5));
  ASSERT_EQ(w.heal->status().totals.partly, 1U) << "it waits for the other one";

  const std::uint16_t group = w.world.sets->group_of(w.ref("key").bucket, w.ref("key").key);
  auto members = w.world.sets->of_group(group).drives();
  std::size_t spare = 0;
  while (std::find(members.begin(), members.end(), w.world.faulty[spare].get()) != members.end()) ++spare;
  w.drive(away).move_group(group, w.drive(spare));
  members[1] = w.world.faulty[spare].get();
  auto next = std::make_shared<SetTable>(*w.world.sets->table());
  next->sets[group] = erasure::make_erasure_set(w.world.context, group, 1, {4, 2}, members);
  w.world.sets->follow(std::move(next));
  w.pass(kHealRescan + seconds(10));
  EXPECT_TRUE(w.has(spare, "key"));
  EXPECT_EQ(w.queued(), 0U);
  EXPECT_TRUE(w.heal->status().queue.waiting.empty());
}

}  // namespace
}  // namespace ostraka::object
