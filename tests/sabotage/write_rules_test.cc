// The rules that whoever writes keeps: when a write is acknowledged, what may be dropped then, and when
// somebody may be told that a write never happened.
#include "tests/sabotage/named_schedule.h"

namespace ostraka::erasure {
namespace {

using std::chrono::seconds;

// The first attempt of a write reaches drive 0 alone, and the process dies once it has answered its client,
// before the drives learn that anything is final. It must not answer before a second attempt has reached the
// others: nobody takes one holder for a committed version, and readers go on to see what was there before.
void one_holder(Story& story) {
  story.run(story.node(), put("old"));
  Node& writer = story.node();
  story.lose(writer, {1, 2}, "commit", 1);
  story.lose(writer, {}, "retire");
  story.run(writer, put("new"));
  story.run(story.node(), read());
}
TEST(Noticed, Early) {
  expect_noticed(Sabotage::early, {2, 1}, one_holder);
}

// A writer dies when drive 0 alone has its version. Had that drive dropped the old version for it, as
// replaced by something final, neither could ever be read again: of the new one there is one shard, and the
// other drives' old ones are history.
void a_crash_in_the_middle_of_an_overwrite(Story& story) {
  story.run(story.node(), put("old"));
  Node& writer = story.node();
  story.hold(writer, {1, 2}, "commit");
  story.begin(writer, put("new"));
  story.die(writer);
  story.run(story.node(), read());
}
TEST(Noticed, Retire) {
  expect_noticed(Sabotage::retire, {2, 1}, a_crash_in_the_middle_of_an_overwrite);
}

// A write has reached drive 0 and is on its way to drive 1 when a conditional writer finds it, at too few
// drives to be committed, and sets out to settle it. It arrives at drive 1 and is acknowledged. The other
// client's fences reach drives 0, which has it, and 2, which promises never to take it; drive 1 is not heard.
// It may be committed, so it may not be withdrawn from drive 0: an acknowledged value would be lost.
void a_leftover_that_was_none(Story& story) {
  story.run(story.node(), put("old"));
  Node& writer = story.node();
  story.lose(writer, {2}, "commit");
  story.lose(writer, {}, "retire");
  Held commit = story.hold(writer, {1}, "commit");
  HistoryOp& write = story.begin(writer, put("new"));
  Node& other = story.node();
  story.lose(other, {1}, "fence");
  story.lose(other, {1}, "withdraw");
  Held fence = story.hold(other, {0}, "fence");
  HistoryOp& conditional = story.begin(other, match("old", "other"));
  commit.arrive();
  story.wait(write);
  fence.arrive();
  story.wait(conditional);
  story.run(story.node(), read());
}
TEST(Noticed, Withdraw) {
  expect_noticed(Sabotage::withdraw, {2, 1}, a_leftover_that_was_none);
}

// A writer dies with its version on drives 2 and 3. A conditional one, which has read only drives 0 and 1,
// gets its version there and is refused by the others, which know the first; they fence it, but its
// withdrawals never reach 0 and 1. As long as those two, which are k, can have it, it is not gone. Taken for
// gone it is tried again, and the client is told 412, since the second look rolls the first writer's version
// forward. Then drive 3 loses all it has, its promise too. Nobody can tell any more that the second version
// never reached w drives, so whoever heals the key has to keep it, and what was refused is the key's value.
void two_that_may_still_hold_it(Story& story) {
  story.run(story.node(), put("old"));
  Node& first = story.node();
  story.hold(first, {0, 1}, "commit");
  story.begin(first, put("first"));
  story.die(first);
  Node& second = story.node(5);
  Held withdrawals = story.hold(second, {0, 1}, "withdraw");
  HistoryOp& conditional = story.begin(second, match("old", "second"));
  story.lose(second, {1}, "read");
  withdrawals.lose();
  story.wait(conditional);
  story.empty(3);
  story.heal(story.node());
  story.run(story.node(), read());
}
TEST(Noticed, Certain) {
  expect_noticed(Sabotage::certain, {2, 2}, two_that_may_still_hold_it);
}

// Whatever a process is asked, it looks whether tombstones of its own are to be purged by now.
void ask_for_another_key(Story& story, Node& node) {
  World& world = story.key().world;
  disk::ObjectRef other = world.ref;
  other.key = "another key";
  Ctx ctx = world.ctx();
  EXPECT_TRUE(world.run(node.set->read(ctx, other, false)).failed_with(Errc::not_found));
  story.pass(seconds(1));
}

// Both drives have the tombstone of a deleted key, but drive 0 has not heard that it is final, and keeps the
// old value. When the time of purging has come the tombstone must stay, since drive 0 would refuse to drop
// its own: purged from drive 1 alone it is on too few drives to be committed, and the deleted value is back.
// (A heal looks by itself whether every drive has it as final, before it purges anything.)
void a_drive_that_has_not_heard(Story& story) {
  story.run(story.node(), put("value"));
  Node& eraser = story.node();
  story.lose(eraser, {0}, "retire");
  story.run(eraser, erase());
  story.pass(seconds(130));
  ask_for_another_key(story, eraser);
  story.run(story.node(), read());
}
TEST(Noticed, Purge) {
  expect_noticed(Sabotage::purge, {1, 1}, a_drive_that_has_not_heard);
}

}  // namespace
}  // namespace ostraka::erasure
