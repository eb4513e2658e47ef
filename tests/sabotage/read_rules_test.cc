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

}  // namespace
}  // namespace ostraka::erasure
