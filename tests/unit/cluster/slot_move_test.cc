#include "cluster/slot_move.h"

#include "tests/unit/cluster/move_world.h"

namespace ostraka::cluster {
namespace {

using disk::MoveCaller;

class SlotMoveTest : public MoveWorld {};

TEST_F(SlotMoveTest, GroupsMoveWithAllThatBelongsToThem) {
  const std::string small = moving_key(), large = moving_key(), stays = moving_key();
  for (const std::string& key : {small, stays}) ASSERT_TRUE(write(*from_, key));
  ASSERT_TRUE(write_file(large));
  const MoveSpec spec = spec_of({small, large});
  const auto group_text = [](const std::string& key) { return std::to_string(MoveCaller::ref(key).group); };
  ASSERT_TRUE(from_->wait(a_.drive->put_system(from_->ctx(), "heal/1", group_text(small))));
  ASSERT_TRUE(from_->wait(a_.drive->put_system(from_->ctx(), "heal/2", group_text(stays))));
  const auto end = carry(spec);
  ASSERT_TRUE(end) << end.error().detail;
  EXPECT_EQ(*end, MoveEnd::done);
  for (const std::string& key : {small, large}) {
    EXPECT_TRUE(is_placed_on(key, to_id()));
    EXPECT_FALSE(is_placed_on(key, from_id()));
    EXPECT_FALSE(write(*from_, key)) << "it has left";
  }
  EXPECT_EQ(told_, control_.get(kTable)->revision) << "before anything was dropped";
  EXPECT_TRUE(is_placed_on(stays, from_id()));
  EXPECT_EQ(from_->read(MoveCaller::ref(stays)).state.newest(), written_[stays]);
  written_.erase(stays);
  expect_all_on(*to_);
  EXPECT_TRUE(to_->has_file(2, disk::kBody) || to_->has_file(3, disk::kBody));
  EXPECT_EQ(from_->list({}).size(), 1U);
  EXPECT_EQ(figures_.files.load(), 1U);
  EXPECT_EQ(figures_.rows.load(), 2U);
  EXPECT_GT(figures_.bytes.load(), disk::kBody / 4);
  const auto kept = from_->wait(a_.drive->scan_system(from_->ctx(), "heal/", 10));
  const auto moved = to_->wait(b_.drive->scan_system(to_->ctx(), "heal/", 10));
  ASSERT_TRUE(kept && moved);
  ASSERT_EQ(kept->size(), 1U);
  EXPECT_EQ(kept->front().name, "heal/2");
  ASSERT_EQ(moved->size(), 1U);
  EXPECT_EQ(moved->front().name, "heal/1");
}

// Whoever moves dies at any step, with one of the drives or both of them, and clients go on writing.
TEST_F(SlotMoveTest, EveryStepMayBeTheLastOfAMover) {
  std::vector<std::string> keys;
  for (int i = 0; i < 6; ++i) keys.push_back(moving_key());
  for (std::size_t i = 0; i < keys.size(); ++i)
    ASSERT_TRUE(i % 2 == 0 ? write(*from_, keys[i]) : write_file(keys[i]));
  const MoveSpec spec = spec_of(keys);
  bool done = false;
  int refused = 0;
  for (int n = 0; !done; ++n) {
    ASSERT_LT(n, 100);
    const auto end = carry(spec, n % 7);
    ASSERT_TRUE(end || end.failed_with(Errc::closed)) << end.error().detail;
    done = end.has_value();
    if (n % 3 == 0) crash(a_);
    if (n % 4 == 0) crash(b_);
    if (!done) refused += write(*from_, keys[static_cast<std::size_t>(n) % keys.size()]) ? 0 : 1;
  }
  expect_all_on(*to_);
  EXPECT_TRUE(from_->list({}).empty());
  EXPECT_TRUE(is_placed_on(keys[0], to_id()));
}

TEST_F(SlotMoveTest, AMoveThatIsGivenUpAtAnyStepLosesNothing) {
  const std::string key = moving_key();
  ASSERT_TRUE(write_file(key));
  for (int n = 0; n < 8; ++n) {
    const MoveSpec spec = spec_of({key});
    const std::uint64_t epoch = table().group(MoveCaller::ref(key).group).epoch;
    const auto end = carry(spec, n);
    if (end) {
      EXPECT_GT(n, 2);
      EXPECT_TRUE(back(spec).failed_with(Errc::conflict)) << "too late";
      expect_all_on(*to_);
      return;
    }
    if (n % 2 == 0) crash(a_);
    const auto gone_back = back(spec);
    ASSERT_TRUE(gone_back) << gone_back.error().detail;
    EXPECT_TRUE(back(spec)) << "may be said again";
    EXPECT_TRUE(is_placed_on(key, from_id()));
    expect_all_on(*from_);
    EXPECT_TRUE(write(*from_, key));
    EXPECT_TRUE(to_->list({}).empty());
    const std::uint64_t now = table().group(MoveCaller::ref(key).group).epoch;
    EXPECT_EQ(from_->read(MoveCaller::ref(key)).group.epoch, now);
    EXPECT_LT(epoch, now);
  }
  FAIL() << "it never came to its end";
}

TEST_F(SlotMoveTest, ADriveThatWasEmptiedMeanwhileIsNotMixedWithWhatItWas) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  const MoveSpec spec = spec_of({key});
  ASSERT_TRUE(carry(spec, 2).failed_with(Errc::closed)) << "the rows are copied";
  empty(a_);
  const auto end = carry(spec);
  ASSERT_TRUE(end) << end.error().detail;
  EXPECT_EQ(*end, MoveEnd::hopeless);
  ASSERT_TRUE(back(spec));
  EXPECT_TRUE(to_->list({}).empty());
  EXPECT_TRUE(is_placed_on(key, from_id()));
}

TEST_F(SlotMoveTest, TheDriveThatTakesMayBeEmptiedAndFilledAgain) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  const MoveSpec spec = spec_of({key});
  ASSERT_TRUE(carry(spec, 2).failed_with(Errc::closed));
  empty(b_);
  const auto end = carry(spec);
  ASSERT_TRUE(end) << end.error().detail;
  EXPECT_EQ(*end, MoveEnd::done);
  expect_all_on(*to_);
}

// The drive that takes says that all is its own, and is emptied before the table says so.
TEST_F(SlotMoveTest, TheTableNeverNamesADriveThatHasLostTheGroups) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  const MoveSpec spec = spec_of({key});
  control_.fails = true;
  ASSERT_TRUE(carry(spec).failed_with(Errc::unavailable));
  control_.fails = false;
  EXPECT_FALSE(to_->read(MoveCaller::ref(key)).state.versions.empty()) << "it owns them";
  empty(b_);
  const auto end = carry(spec);
  ASSERT_TRUE(end) << end.error().detail;
  EXPECT_EQ(*end, MoveEnd::done);
  expect_all_on(*to_);
}

// Somebody gives the move up at the moment when it is about to succeed.
TEST_F(SlotMoveTest, AMoverThatComesTooLateFindsTheTableChanged) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  const MoveSpec spec = spec_of({key});
  control_.before_put = [&] {
    Placement now = table();
    now.raise_epoch(MoveCaller::ref(key).group, 0);
    save(now);
  };
  auto end = carry(spec);
  ASSERT_TRUE(end) << end.error().detail;
  EXPECT_EQ(*end, MoveEnd::done) << "an epoch was raised, and the drive is what it was";
  EXPECT_EQ(table().group(MoveCaller::ref(key).group).epoch, 2U);
  expect_all_on(*to_);
}

TEST_F(SlotMoveTest, AnotherMoverTakesOver) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  const MoveSpec spec = spec_of({key});
  ASSERT_TRUE(carry(spec, 2).failed_with(Errc::closed));
  term_ += 5;
  ASSERT_TRUE(carry(spec, 0).failed_with(Errc::closed));
  term_ -= 5;
  EXPECT_TRUE(carry(spec).failed_with(Errc::stale_epoch));
  EXPECT_TRUE(back(spec).failed_with(Errc::stale_epoch));
}

TEST_F(SlotMoveTest, WhatIsOnOtherDrivesInTheTableIsNotTouched) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  MoveSpec spec = spec_of({key});
  spec.slots[0].slot = static_cast<std::uint16_t>((spec.slots[0].slot + 1) % 3);
  const auto end = carry(spec);
  ASSERT_TRUE(end) << end.error().detail;
  EXPECT_EQ(*end, MoveEnd::hopeless);
  EXPECT_TRUE(write(*from_, key));
  spec.to = spec.from;
  EXPECT_TRUE(carry(spec).failed_with(Errc::invalid_argument));
}

}  // namespace
}  // namespace ostraka::cluster
