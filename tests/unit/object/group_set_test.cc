// A slot of a group is on its way from one drive to another: what requests see that find no quorum meanwhile.
#include "object/group_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "erasure/set_core.h"
#include "tests/unit/object/object_world.h"

namespace ostraka::object {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A slot that leaves a drive of a set for one that is not in it.
class MovingSlot : public ::testing::Test {
 protected:
  explicit MovingSlot(ObjectWorldSpec spec) : w(spec), geometry(spec.geometry) {
    EXPECT_TRUE(w.put("key", "first").has_value());
    group = w.sets->group_of((*w.buckets->find(BucketName("bucket")))->info.id, "key");
    const auto drives = w.sets->of_group(group).drives();
    const auto in_set = [&](std::size_t drive) {
      return std::find(drives.begin(), drives.end(), w.faulty[drive].get()) != drives.end();
    };
    while (w.faulty[from].get() != drives[0]) ++from;
    while (w.faulty[other].get() != drives[1]) ++other;
    while (in_set(to)) ++to;
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
    w.memory[to]->set_away(group, false);
    auto table = *w.sets->table()->placement;
    ASSERT_TRUE(table.move_slot(group, 0, w.memory[from]->id(), w.memory[to]->id()));
    auto next = std::make_shared<SetTable>(*w.sets->table());
    next->placement = std::make_shared<const cluster::Placement>(std::move(table));
    auto drives = w.sets->of_group(group).drives();
    drives[0] = w.faulty[to].get();
    next->sets[group] = erasure::make_erasure_set(w.context, group, 1, geometry, std::move(drives));
    w.sets->follow(std::move(next));
  }
  // The move begins and seals when the next version comes, which is too late for it, and ends 3 s later.
  void seal_before_commit() {
    w.faulty[from]->follow([this](std::string_view call) {
      if (call == "commit" && !w.sets->any_moving()) {
        tell_moving(true);
        seal();
        w.gate.spawn(w.shard.executor(), arrive_later(this, seconds(3)));
      }
      return erasure::Fate{};
    });
  }
  static Task<> arrive_later(MovingSlot* self, Duration after) {
    co_await sleep_for(self->w.clock, after);
    self->arrive();
  }
  // For calls that are begun before the slot has arrived.
  template <class T>
  T while_it_moves(Task<T> call, Duration after) {
    w.gate.spawn(w.shard.executor(), arrive_later(this, after));
    return w.run(std::move(call));
  }

  // Shard files were copied before the groups are sealed.
  void copy_files() {
    const auto& files = w.memory[from]->files();
    w.memory[to]->files().insert(files.begin(), files.end());
  }
  // From now on the drive that gave the slot away has no shard of it for anybody.
  void drop_files() {
    w.faulty[from]->follow([](std::string_view) {
      erasure::Fate fate;
      fate.request_lost = true;
      return fate;
    });
  }
  // Reads a body, and `then` is called after its first piece.
  Result<std::string> read_and(const std::function<void()>& then) { return w.run(read_task(&w, then)); }
  static Task<Result<std::string>> read_task(ObjectWorld* world, std::function<void()> then) {
    Ctx ctx = world->ctx();
    BucketName bucket("bucket");
    ObjectKey key("key");
    CO_TRY(object, co_await world->layer->get(ctx, std::move(bucket), std::move(key), true));
    ByteRange range;
    range.end = object->record().size;
    CO_TRY(reader, object->read(range));
    std::string out;
    for (bool first = true;; first = false) {
      CO_TRY(chain, co_await reader->next(ctx));
      if (chain.empty()) break;
      for (const Slice& slice : chain) out.append(as_text(slice.bytes));
      if (first) then();
    }
    co_return out;
  }

  ObjectWorld w;
  const erasure::Geometry geometry;
  std::uint16_t group = 0;
  std::size_t from = 0, other = 0, to = 0;
};

// Without parity, on two drives of four.
class GroupSetTest : public MovingSlot {
 protected:
  GroupSetTest() : MovingSlot({.geometry = {2, 0}, .drives = 4}) {}
};

// With parity for one drive.
class GroupSetWithParity : public MovingSlot {
 protected:
  GroupSetWithParity() : MovingSlot({.geometry = {2, 1}, .drives = 5}) {}
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

// They began when nothing moved, and the slot is sealed before their version comes.
TEST_F(GroupSetTest, AWriteThatBeganBeforeTheMoveWaitsAsWell) {
  seal_before_commit();
  const TimePoint began = w.clock.now();
  const auto put = w.put("key", "second");
  EXPECT_TRUE(put.has_value()) << put.error().detail;
  EXPECT_GE(w.clock.now() - began, seconds(3));
  EXPECT_EQ(*w.get("key"), "second");
}

TEST_F(GroupSetTest, ADeleteThatBeganBeforeTheMoveWaitsAsWell) {
  seal_before_commit();
  const TimePoint began = w.clock.now();
  EXPECT_TRUE(w.erase("key").has_value());
  EXPECT_GE(w.clock.now() - began, seconds(3));
  EXPECT_TRUE(w.get("key").failed_with(Errc::no_such_key));
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
  copy_files();
  tell_moving(true);
  seal();
  const TimePoint began = w.clock.now();
  const auto got = while_it_moves(ObjectWorld::get_task(&w, "bucket", "key", {}), seconds(3));
  ASSERT_TRUE(got.has_value()) << got.error().detail;
  EXPECT_EQ(*got, large);
  EXPECT_GE(w.clock.now() - began, seconds(3));
}

TEST_F(GroupSetTest, ABodyIsReadOnWhereTheSlotHasGone) {
  const std::string large = w.text(9 << 20);
  ASSERT_TRUE(w.put("key", large).has_value());
  tell_moving(true);
  const auto got = read_and([this] {
    copy_files();
    arrive();
    tell_moving(false);
    drop_files();
  });
  ASSERT_TRUE(got.has_value()) << got.error().detail;
  EXPECT_EQ(*got, large);
}

TEST_F(GroupSetTest, ABodyThatIsReadWaitsForASlotThatMoves) {
  const std::string large = w.text(9 << 20);
  ASSERT_TRUE(w.put("key", large).has_value());
  copy_files();
  tell_moving(true);
  const TimePoint began = w.clock.now();
  const auto got = read_and([this] {
    seal();
    drop_files();
    w.gate.spawn(w.shard.executor(), arrive_later(this, seconds(3)));
  });
  ASSERT_TRUE(got.has_value()) << got.error().detail;
  EXPECT_EQ(*got, large);
  EXPECT_GE(w.clock.now() - began, seconds(3));
}

TEST_F(GroupSetTest, ABodyThatCannotBeReadOnIsBrokenOff) {
  ASSERT_TRUE(w.put("key", w.text(9 << 20)).has_value());
  tell_moving(true);
  const TimePoint began = w.clock.now();
  const auto got = read_and([this] { drop_files(); });
  EXPECT_TRUE(got.failed_with(Errc::unavailable));
  EXPECT_GE(w.clock.now() - began, kMovePatience - seconds(1));
  EXPECT_LT(w.clock.now() - began, kMovePatience + seconds(5));
}

// The others would be a quorum; but then no further drive could be done without until it is healed.
TEST_F(GroupSetWithParity, AWriteWaitsForASlotSoThatParityIsThereForOthers) {
  for (const std::string& text : {std::string("second"), w.text(5 << 20)}) {
    tell_moving(true);
    seal();
    const TimePoint began = w.clock.now();
    const auto put = while_it_moves(ObjectWorld::put_task(&w, "bucket", "key", text, {}), milliseconds(1500));
    ASSERT_TRUE(put.has_value()) << put.error().detail;
    EXPECT_GE(w.clock.now() - began, milliseconds(1500));
    tell_moving(false);
    w.memory[other]->set_online(false);
    const auto got = w.get("key");
    ASSERT_TRUE(got.has_value()) << got.error().detail;
    EXPECT_EQ(*got, text);
    w.memory[other]->set_online(true);
    std::swap(from, to);  // and back again
  }
}

TEST_F(GroupSetWithParity, AWriteGoesWithoutASlotThatStaysAway) {
  tell_moving(true);
  seal();
  const TimePoint began = w.clock.now();
  EXPECT_TRUE(w.put("key", "second").has_value());
  EXPECT_GE(w.clock.now() - began, kMoveSpare);
  EXPECT_LT(w.clock.now() - began, kMoveSpare + seconds(2));
  const TimePoint next = w.clock.now();
  EXPECT_TRUE(w.put("key", w.text(5 << 20)).has_value());
  EXPECT_LT(w.clock.now() - next, seconds(1)) << "the first has waited for all";
}

TEST_F(GroupSetWithParity, AWriteDoesNotWaitForADriveThatIsAway) {
  tell_moving(true);
  w.memory[other]->set_online(false);
  const TimePoint began = w.clock.now();
  EXPECT_TRUE(w.put("key", "second").has_value());
  EXPECT_TRUE(w.erase("key").has_value());
  EXPECT_LT(w.clock.now() - began, seconds(1));
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
