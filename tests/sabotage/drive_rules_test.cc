// The rules that a drive keeps, each broken in the story in which it alone prevents the worst.
#include "tests/sabotage/named_schedule.h"

namespace ostraka::erasure {
namespace {

using std::chrono::seconds;

// Two clients create the key. The second has read that it is absent before the first one's version is
// anywhere, and its commits, of a newer version, arrive when the first is acknowledged. Only that they expect
// no predecessor keeps the drives from taking them: else both are told that they created it.
void two_creates(Story& story) {
  Node& second = story.node(5);
  Held commits = story.hold(second, {0, 1, 2}, "commit");
  HistoryOp& late = story.begin(second, create("second"));
  story.run(story.node(), create("first"));
  commits.arrive();
  story.wait(late);
}
TEST(Noticed, Expect) {
  expect_noticed(Sabotage::expect, {2, 1}, two_creates);
}

// A write reaches drives 0 and 1 alone. A reader sees it there, does not hear drive 3, and rolls it forward
// to drive 2; that message is late. Meanwhile the writer fences its version everywhere, withdraws it, fails
// with every further attempt, and tells its client that the write never happened. A drive that takes the roll
// forward over its fence makes the reader count three holders and show that write.
void a_roll_forward_after_the_fence(Story& story) {
  Node& writer = story.node();
  story.lose(writer, {2, 3}, "commit");
  Held fences = story.hold(writer, {0, 1, 2, 3}, "fence");
  HistoryOp& write = story.begin(writer, put("gone"));
  Node& reader = story.node();
  story.lose(reader, {3}, "read");
  Held roll_forward = story.hold(reader, {2}, "commit");
  HistoryOp& seen = story.begin(reader, read());
  story.lose(writer, {}, "commit");
  fences.arrive();
  story.wait(write);
  roll_forward.arrive();
  story.wait(seen);
}
TEST(Noticed, Fence) {
  expect_noticed(Sabotage::fence, {2, 2}, a_roll_forward_after_the_fence);
}

// Two clients create the key and die half way: the older version is on drives 2 and 3, the newer one on 0 and
// 1, and either may yet be rolled forward by readers who do not hear all drives. One does so with the older
// one, to drive 1, another with the newer one, to drive 2. Had the drives not looked at the expected
// predecessor, both values would be seen, one after the other, though each was to be written to an absent
// key.
void two_halves(Story& story) {
  Node& first = story.node();
  Held to_2_3 = story.hold(first, {2, 3}, "commit");
  story.hold(first, {0, 1}, "commit");
  story.begin(first, create("first"));
  Node& second = story.node(5);
  story.hold(second, {2, 3}, "commit");
  story.begin(second, create("second"));
  to_2_3.arrive();
  story.die(first);
  story.die(second);
  Node& one = story.node();
  story.lose(one, {0}, "read");
  story.run(one, read());
  Node& other = story.node();
  story.lose(other, {3}, "read");
  story.run(other, read());
}
TEST(Noticed, Split) {
  expect_noticed(Sabotage::split, {2, 2}, two_halves);
}

// A delete reaches drive 0; drive 1 has promised not to take it, and the eraser is about to withdraw it when
// drive 1 loses all it has, that promise too. A reader finds the tombstone on drive 0, and drive 1 cannot say
// that it lacks it. An emptied drive that took what is older than its birth would make it two, and the reader
// would say that the key is absent, while the eraser's client is told that nothing was deleted.
// (It takes a version without a body: to rebuild a shard the reader asks the holders once more, and so tells
// them of the new epoch, in which the withdrawal is refused.)
void a_promise_that_was_lost(Story& story) {
  story.run(story.node(), put("value"));
  Node& eraser = story.node();
  story.lose(eraser, {1}, "commit");
  Held withdrawal = story.hold(eraser, {0}, "withdraw");
  HistoryOp& deletion = story.begin(eraser, erase());
  story.empty(1);
  Node& reader = story.node();
  story.lose(reader, {}, "retire");
  story.run(reader, read());
  story.lose(eraser, {}, "commit");
  withdrawal.arrive();
  story.wait(deletion);
}
TEST(Noticed, Birth) {
  expect_noticed(Sabotage::birth, {1, 1}, a_promise_that_was_lost);
}

// A write is taken by drive 1, and on its way to drive 0. Drive 1 is emptied, refilled with nothing, since
// nothing else is there, and readmitted. If drive 0, which has been told of the new epoch by then, took the
// commit of the old one, the writer would count both drives, and nobody would find two holders ever after.
void a_commit_of_the_old_epoch(Story& story) {
  Node& writer = story.node();
  story.lose(writer, {}, "retire");
  Held commit = story.hold(writer, {0}, "commit");
  HistoryOp& write = story.begin(writer, put("value"));
  story.empty(1);
  story.heal(story.node());
  commit.arrive();
  story.wait(write);
  story.run(story.node(), read());
}
TEST(Noticed, Epoch) {
  expect_noticed(Sabotage::epoch, {1, 1}, a_commit_of_the_old_epoch);
}

// A key is deleted, and one drive is told late that the tombstone is final: so late that a heal has told it
// too and the tombstone is purged (nobody waits for a retire, so it has no deadline). A drive that took the
// time as final all the same would say for ever that something newer is committed than anybody can show.
void a_retire_after_the_purge(Story& story) {
  story.run(story.node(), put("value"));
  Node& eraser = story.node();
  Held retire = story.hold(eraser, {0}, "retire");
  story.run(eraser, erase());
  story.heal(story.node());
  story.pass(seconds(150));
  story.heal(story.node());
  retire.arrive();
  story.run(story.node(), read());
}
// The same of the value that was there before: whoever wrote it has stopped for long.
void a_retire_of_the_value_after_the_purge(Story& story) {
  Node& writer = story.node();
  Held retire = story.hold(writer, {0}, "retire");
  story.run(writer, put("value"));
  story.run(story.node(), erase());
  story.heal(story.node());
  story.pass(seconds(150));
  story.heal(story.node());
  retire.arrive();
  story.run(story.node(), read());
}
TEST(Noticed, Bare) {
  expect_noticed(Sabotage::bare, {2, 1}, a_retire_after_the_purge);
  expect_noticed(Sabotage::bare, {2, 1}, a_retire_of_the_value_after_the_purge);
}

}  // namespace
}  // namespace ostraka::erasure
