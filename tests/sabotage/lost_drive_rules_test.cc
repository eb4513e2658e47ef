// Rule 8: what a drive that has lost its data may say, and when it is a full one again.
#include <utility>

#include "tests/sabotage/named_schedule.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;

// Drive 1 is emptied. A reader asks drive 0, which is slow for once, and then drive 1. That one lacks the
// key, and says so; were it a full one, its word would be enough, and an acknowledged value would be absent.
void an_emptied_drive_answers_first(Story& story) {
  story.run(story.node(), put("value"));
  story.empty(1);
  Node& reader = story.node();
  Held slow = story.hold(reader, {0}, "read");
  HistoryOp& seen = story.begin(reader, read());
  story.pass(milliseconds(50));
  slow.arrive();
  story.wait(seen);
}
TEST(Noticed, Amnesia) {
  expect_noticed(Sabotage::amnesia, {1, 1}, an_emptied_drive_answers_first);
}

// A writer dies when drive 0 alone has its version, and drive 1 loses all it has. For all that drives 0 and 2
// know the version may have been on drive 1 too, and committed, and drive 1 will never say. Unless a heal
// decides, when all have answered, that what cannot be rebuilt never was, the key, whose old value is whole
// on drives 0 and 2, has no answer for ever, and drive 1 is never readmitted.
void only_the_lost_drive_knew(Story& story) {
  story.run(story.node(), put("old"));
  Node& writer = story.node();
  story.hold(writer, {1, 2}, "commit");
  story.begin(writer, put("new"));
  story.die(writer);
  story.empty(1);
  story.heal(story.node());
  story.run(story.node(), read());
}
TEST(Noticed, Decree) {
  expect_noticed(Sabotage::decree, {2, 1}, only_the_lost_drive_knew);
}

// A write is acknowledged by both drives, and its process dies before they learn that it is final. Drive 1 is
// emptied. The heal that refills it cannot decide whether the newest version, on drive 0 alone now, was
// committed, since drive 1 does not hear its fences. Readmitted all the same, drive 1 vouches that it lacks
// the version, which makes it one that was never committed: the acknowledged value is lost to the old one.
void a_heal_that_cannot_decide(Story& story) {
  story.run(story.node(), put("old"));
  Node& writer = story.node();
  story.lose(writer, {}, "retire");
  story.run(writer, put("new"));
  story.empty(1);
  Node& healer = story.node();
  story.lose(healer, {1}, "fence");
  story.heal(healer);
  story.run(story.node(), read());
}
TEST(Noticed, Readmit) {
  expect_noticed(Sabotage::readmit, {1, 1}, a_heal_that_cannot_decide);
}

// A write is taken by drive 1 and on its way to drive 0 when drive 1 is emptied. A process that has not been
// told of the new epoch heals the key: it finds the old value on drive 0, brings it to drive 1 and has that
// readmitted. Unless it looked again, with the epoch that drive 1 told it, drive 0 does not know of the new
// epoch and takes the commit of the old one. The writer counts both drives and acknowledges what one drive
// holds and the other, a full one, lacks; it is lost. (The refiller in object/refill_walk.cc has r full
// drives told before it heals the first key, so this takes a heal by somebody else to be noticed.)
void a_heal_that_tells_nobody(Story& story) {
  story.run(story.node(), put("old"));
  Node& writer = story.node();
  story.lose(writer, {}, "retire");
  Held commit = story.hold(writer, {0}, "commit");
  HistoryOp& write = story.begin(writer, put("new"));
  story.empty(1);
  const std::uint64_t raised = std::exchange(story.key().epoch, 1);  // word of it has not got around yet
  story.heal(story.node());
  story.key().epoch = raised;
  commit.arrive();
  story.wait(write);
  story.run(story.node(), read());
}
TEST(Noticed, Untold) {
  expect_noticed(Sabotage::untold, {1, 1}, a_heal_that_tells_nobody);
}

// Drive 1 cannot read its row of the key. A healer makes it begin the row anew, and dies. A reader asks drive
// 0, which is slow for once, and then drive 1, whose row says nothing: it is not to be believed.
void a_row_begun_anew_answers_first(Story& story) {
  story.run(story.node(), put("value"));
  story.key().lose_row(1);
  Node& healer = story.node();
  story.lose(healer, {}, "commit");
  story.heal(healer);
  Node& reader = story.node();
  Held slow = story.hold(reader, {0}, "read");
  HistoryOp& seen = story.begin(reader, read());
  story.pass(milliseconds(50));
  slow.arrive();
  story.wait(seen);
}
TEST(Noticed, Oblivion) {
  expect_noticed(Sabotage::oblivion, {1, 1}, a_row_begun_anew_answers_first);
}

// A write is acknowledged by both drives, and its process dies before they learn that it is final. Drive 1
// loses its row. Begun anew in the epoch that both knew before, the row would vouch that the drive never had
// the version, which is of that epoch: one of two never was the write quorum, and the value is lost.
void acknowledged_in_the_epoch_of_the_loss(Story& story) {
  story.run(story.node(), put("old"));
  Node& writer = story.node();
  story.lose(writer, {}, "retire");
  story.run(writer, put("new"));
  story.key().lose_row(1);
  story.heal(story.node());
  story.run(story.node(), read());
}
TEST(Noticed, Newborn) {
  expect_noticed(Sabotage::newborn, {1, 1}, acknowledged_in_the_epoch_of_the_loss);
}

}  // namespace
}  // namespace ostraka::erasure
