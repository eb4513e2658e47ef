// A slot of a group is on its way from one drive to another: what requests see that find no quorum meanwhile.
#include "object/group_set.h"

#include <gtest/gtest.h>

#include "erasure/set_core.h"
#include "tests/unit/object/object_world.h"

namespace ostraka::object {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Sets of two drives without parity, spread over four.
class GroupSetTest : public ::testing::Test {
 protected:
  GroupSetTest() {
    EXPECT_TRUE(w.put("key", "first").has_value());
    group = w.sets->group_of((*w.buckets->find(BucketName("bucket")))->info.id, "key");
    const auto drives = w.sets->of_group(group).drives();
    while (w.faulty[from].get() != drives[0]) ++from;
    while (w.faulty[to].get() == drives[0] || w.faulty[to].get() == drives[1]) ++to;
  }
  void tell_moving(bool moving) {
    std::vector<bool> groups(kPlacementGroups, false);
    groups[group] = moving;
    w.sets->set_moving(groups);
  }
  void seal() { w.memory[from]->set_away(group); }
  // The state of the slot is on the other drive, and the table says so.
  void arrive() {
    w.memory[from]->move_group(group, *w.memory[to]);
    auto table = *w.sets->table()->placement;
    ASSERT_TRUE(table.move_slot(group, 0, w.memory[from]->id(), w.memory[to]->id()));
    auto next = std::make_shared<SetTable>(*w.sets->table());
    next->placement = std::make_shared<const cluster::Placement>(std::move(table));
    auto drives = w.sets->of_group(group).drives();
    drives[0] = w.faulty[to].get();
    next->sets[group] = erasure::make_erasure_set(w.context, group, 1, {2, 0}, std::move(drives));
    w.sets->follow(std::move(next));
  }
  static Task<> arrive_later(GroupSetTest* self, Duration after) {
    co_await sleep_for(self->w.clock, after);
    self->arrive();
  }
  // For calls that are begun before the slot has arrived.
  template <class T>
  T while_it_moves(Task<T> call, Duration after) {
    w.gate.spawn(w.shard.executor(), arrive_later(this, after));
    return w.run(std::move(call));
  }

  ObjectWorld w{{.geometry = {2, 0}, .drives = 4}};
  std::uint16_t group = 0;
  std::size_t from = 0, to = 0;
};

TEST_F(GroupSetTest, AWriteWaitsForASlotThatMoves) {
  tell_moving(true);
  seal();
  const TimePoint began = w.clock.now();
  const auto put = while_it_moves(ObjectWorld::put_task(&w, "bucket", "key", "second", {}), seconds(3));
  EXPECT_TRUE(put.has_value()) << put.error().detail;
  EXPECT_GE(w.clock.now() - began, seconds(3));
  EXPECT_EQ(*w.get("key"), "second");
}

// Its shards lie on the drives before it is known where they belong.
TEST_F(GroupSetTest, AStagedBodyFollowsASlotThatMoves) {
  tell_moving(true);
  seal();
  const std::string large = w.text(5 << 20);
  const TimePoint began = w.clock.now();
  const auto put = while_it_moves(ObjectWorld::put_task(&w, "bucket", "key", large, {}), seconds(3));
  ASSERT_TRUE(put.has_value()) << put.error().detail;
  EXPECT_GE(w.clock.now() - began, seconds(3));
  EXPECT_EQ(*w.get("key"), large);
  const DataId data = (*put)->parts.at(0).data;
  EXPECT_TRUE(w.memory[to]->files().contains(data));
  EXPECT_FALSE(w.memory[from]->files().contains(data)) << "nobody needs it there";
}

TEST_F(GroupSetTest, AStagedBodyFollowsASlotThatHasMovedMeanwhile) {
  tell_moving(true);
  const std::string large = w.text(5 << 20);
  w.faulty[from]->follow([this](std::string_view call) {
    if (call == "finish") arrive();
    return erasure::Fate{};
  });
  const auto put = w.run(ObjectWorld::put_task(&w, "bucket", "key", large, {}));
  ASSERT_TRUE(put.has_value()) << put.error().detail;
  EXPECT_EQ(*w.get("key"), large);
  EXPECT_TRUE(w.memory[to]->files().contains((*put)->parts.at(0).data));
}

TEST_F(GroupSetTest, AStagedBodyOfASlotThatNeverArrivesIsDiscarded) {
  tell_moving(true);
  seal();
  const TimePoint began = w.clock.now();
  const auto put = w.put("key", w.text(5 << 20));
  EXPECT_TRUE(put.failed_with(Errc::unavailable)) << "and it is known that nothing was written";
  EXPECT_GE(w.clock.now() - began, kMovePatience - seconds(1));
  w.run(sleep_for(w.clock, seconds(60)));
  for (const auto& drive : w.memory) EXPECT_TRUE(drive->files().empty());
  arrive();
  EXPECT_EQ(*w.get("key"), "first");
}

// The others know of the object, and have too few of its shards.
TEST_F(GroupSetTest, AReadOfABodyWaitsForASlotThatMoves) {
  const std::string large = w.text(5 << 20);
  ASSERT_TRUE(w.put("key", large).has_value());
  const auto& files = w.memory[from]->files();
  w.memory[to]->files().insert(files.begin(), files.end());  // copied before the groups are sealed
  tell_moving(true);
  seal();
  const TimePoint began = w.clock.now();
  const auto got = while_it_moves(ObjectWorld::get_task(&w, "bucket", "key", {}), seconds(3));
  ASSERT_TRUE(got.has_value()) << got.error().detail;
  EXPECT_EQ(*got, large);
  EXPECT_GE(w.clock.now() - began, seconds(3));
}

TEST_F(GroupSetTest, ADeleteWaitsForASlotThatMoves) {
  tell_moving(true);
  seal();
  Ctx ctx = w.ctx();
  DeleteSpec spec{BucketName("bucket"), ObjectKey("key"), {}};
  const auto erased = while_it_moves(w.layer->erase(ctx, std::move(spec)), seconds(3));
  EXPECT_TRUE(erased.has_value());
  EXPECT_TRUE(w.get("key").failed_with(Errc::no_such_key));
}

TEST_F(GroupSetTest, AWriteThatEndedInDoubtSaysSoWhenTheSlotNeverArrives) {
  tell_moving(true);
  seal();
  EXPECT_TRUE(w.put("key", "second").failed_with(Errc::in_doubt));
  arrive();
  EXPECT_EQ(*w.get("key"), "first") << "what one of two drives took is withdrawn";
}

TEST_F(GroupSetTest, ACallThatBeganWithTheSetBeforeIsTriedWithTheNewOne) {
  tell_moving(true);
  seal();
  w.faulty[from]->follow([](std::string_view) {  // it says so only when the slot has arrived
    erasure::Fate fate;
    fate.delay = milliseconds(50);
    return fate;
  });
  const auto put = while_it_moves(ObjectWorld::put_task(&w, "bucket", "key", "second", {}), milliseconds(10));
  EXPECT_TRUE(put.has_value());
  EXPECT_EQ(*w.get("key"), "second");
}

TEST_F(GroupSetTest, WithoutAMoveItIsSaidAtOnce) {
  seal();
  const TimePoint began = w.clock.now();
  EXPECT_TRUE(w.get("key").failed_with(Errc::unavailable));
  EXPECT_TRUE(w.put("key", "second").failed_with(Errc::in_doubt)) << "the other drive has taken it";
  EXPECT_LT(w.clock.now() - began, seconds(5));
}

TEST_F(GroupSetTest, PatienceHasAnEnd) {
  tell_moving(true);
  seal();
  const TimePoint began = w.clock.now();
  EXPECT_TRUE(w.get("key").failed_with(Errc::unavailable));
  EXPECT_GE(w.clock.now() - began, kMovePatience - seconds(1));
  EXPECT_LT(w.clock.now() - began, kMovePatience + seconds(5));
}

TEST_F(GroupSetTest, NobodyWaitsForASlotWhenADriveIsAway) {
  tell_moving(true);
  w.memory[from]->set_online(false);
  const TimePoint began = w.clock.now();
  EXPECT_TRUE(w.get("key").failed_with(Errc::unavailable));
  EXPECT_TRUE(w.put("key", "second").failed_with(Errc::unavailable));
  EXPECT_LT(w.clock.now() - began, seconds(5));
}

TEST_F(GroupSetTest, AReplacedSetLivesAsLongAsItIsUsed) {
  const std::weak_ptr<erasure::ErasureSet> before = w.sets->table()->sets[group];
  w.table.sets.clear();  // the world's own
  SetTablePtr held = w.sets->table();
  arrive();
  EXPECT_FALSE(before.expired());
  held.reset();
  EXPECT_TRUE(before.expired());
}

TEST_F(GroupSetTest, TheNewSetKnowsTheEpochThatTheOneBeforeKnew) {
  w.sets->of_group(group).raise_epoch(7);
  arrive();
  EXPECT_EQ(w.sets->of_group(group).core()->epoch, 7U);
}

}  // namespace
}  // namespace ostraka::object
