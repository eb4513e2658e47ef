// What becomes of writes when the system clock is ahead for a while and is set right again.
#include <gtest/gtest.h>

#include "tests/unit/erasure/world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

VersionId put(World& world, const std::string& key, const std::string& body) {
  disk::ObjectRef ref = world.ref;
  ref.key = key;
  const auto done = world.run(put_small(&world, ref, body));
  EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().detail);
  return done ? done->record.id : kNoVersion;
}

std::uint64_t counted(World& world, const char* name) {
  return world.metrics.counter(name, "").value();
}

TEST(WallClock, ThatWasAheadDatesAheadOnlyWhatWasWrittenMeanwhile) {
  World world({2, 1});
  const VersionId before = put(world, "before", "1");
  world.clock.set_wall(minutes(10));
  const VersionId meanwhile = put(world, "meanwhile", "1");
  EXPECT_GE(meanwhile.unix_ms(), world.clock.unix_ms());
  world.clock.set_wall(-minutes(10));
  EXPECT_EQ(counted(world, "ostraka_clock_steps_total"), 1U) << "forward";

  const VersionId again = put(world, "before", "2");
  EXPECT_GT(again, before);
  EXPECT_LE(again.unix_ms(), world.clock.unix_ms()) << "or the drives would refuse it until that time";
  EXPECT_EQ(counted(world, "ostraka_clock_steps_total"), 2U) << "and back";
  EXPECT_EQ(counted(world, "ostraka_versions_dated_ahead_total"), 0U);

  const VersionId after = put(world, "meanwhile", "2");
  EXPECT_GT(after, meanwhile);
  EXPECT_LE(after.unix_ms(), meanwhile.unix_ms() + 1) << "just after the one that it replaces";
  EXPECT_EQ(counted(world, "ostraka_versions_dated_ahead_total"), 1U);
  EXPECT_LE(put(world, "other", "1").unix_ms(), world.clock.unix_ms()) << "and no other is dated by it";
  disk::ObjectRef ref = world.ref;
  ref.key = "meanwhile";
  EXPECT_EQ(world.run(get(&world, ref)).value_or(""), "2");
}

TEST(WallClock, ThatIsSetForwardDoesNotLoseTheTombstonesThatWait) {
  World world({2, 1});
  put(world, "deleted", "1");
  disk::ObjectRef ref = world.ref;
  ref.key = "deleted";
  Ctx ctx = world.ctx();
  ASSERT_TRUE(world.run(world.set->erase(ctx, ref, false, nullptr)).has_value());
  world.pass(seconds(10));
  world.clock.set_wall(minutes(10));
  put(world, "another", "1");
  world.pass(seconds(2));
  for (const auto& drive : world.memory) EXPECT_EQ(drive->rows(), 2U) << "it may be younger than it looks";
  world.pass(seconds(130));
  put(world, "another", "2");
  world.pass(seconds(2));
  for (const auto& drive : world.memory) EXPECT_EQ(drive->rows(), 1U);
}

TEST(WallClock, ThatIsKeptRightIsNotTakenForSet) {
  World world({2, 1});
  world.clock.set_wall(std::chrono::milliseconds(900));
  put(world, "a", "1");
  world.clock.set_wall(-std::chrono::milliseconds(900));
  world.pass(seconds(5));
  put(world, "a", "2");
  EXPECT_EQ(counted(world, "ostraka_clock_steps_total"), 0U);
}

}  // namespace
}  // namespace ostraka::erasure
