// What a reader may conclude from few answers. The simulator notices these too.
#include "tests/sabotage/named_schedule.h"

namespace ostraka::erasure {
namespace {

// Drive 2 has missed an acknowledged write, and is the only one that answers a reader.
void one_answer(Story& story) {
  Node& writer = story.node();
  story.lose(writer, {2}, "commit");
  story.run(writer, put("value"));
  Node& reader = story.node();
  story.lose(reader, {0, 1}, "read");
  story.run(reader, read());
}
TEST(Noticed, Few) {
  expect_noticed(Sabotage::few, {2, 1}, one_answer);
}

// Drives 4 and 5 have missed an acknowledged write, whose writer dies before any drive knows that it is
// final; a reader hears them, and one of the four that hold it.
void three_that_do_not_answer(Story& story) {
  Node& writer = story.node();
  story.lose(writer, {4, 5}, "commit");
  story.lose(writer, {}, "retire");
  story.run(writer, put("value"));
  Node& reader = story.node();
  story.lose(reader, {1, 2, 3}, "read");
  story.run(reader, read());
}
TEST(Noticed, Read) {
  expect_noticed(Sabotage::read, {4, 2}, three_that_do_not_answer);
}

// A reader's answers are of different moments: drive 1 answers before two overwrites, drive 2 between them,
// and drive 0 after both. No version has a quorum among them. That drive 0 knows its own to be final says
// that the others' answers are out of date; whoever ignores that takes the key to be absent, which it never
// was.
void answers_of_three_moments(Story& story) {
  story.run(story.node(), put("first"));
  Node& reader = story.node();
  Held from_2 = story.hold(reader, {2}, "read");
  Held from_0 = story.hold(reader, {0}, "read");
  HistoryOp& seen = story.begin(reader, read());
  story.pass(std::chrono::milliseconds(50));  // drive 2 is asked when drive 0 has not answered for a while
  story.run(story.node(), put("second"));
  from_2.arrive();
  story.run(story.node(), put("third"));
  from_0.arrive();
  story.wait(seen);
}
TEST(Noticed, Final) {
  expect_noticed(Sabotage::final, {2, 1}, answers_of_three_moments);
}

}  // namespace
}  // namespace ostraka::erasure
