// What drives must do so that groups can move between them: DriveWorlds' LocalDrives, directly and through
// RemoteDrives.
#pragma once

#include "tests/unit/disk/move_caller.h"

namespace ostraka::disk {

// Backend: from(), to(), shard(), clock().
template <class Backend>
class MoveSuite : public testing::Test {
 protected:
  using Caller = MoveCaller;
  BucketUsage usage(DriveCaller& caller) {
    const auto all = caller.wait(caller.drive().usage(caller.ctx()));
    EXPECT_TRUE(all) << all.error().detail;
    for (const BucketUsage& usage : all.value_or(std::vector<BucketUsage>{}))
      if (usage.bucket == BucketId{77}) return usage;
    return {};
  }
  bool refuses(DriveCaller& caller, const ObjectRef& ref) {
    return caller.wait(caller.drive().read(caller.ctx(), ref, ReadSpec{})).failed_with(Errc::unavailable) &&
           caller.commit(ref, caller.inline_record(900), kShard).failed_with(Errc::unavailable) &&
           caller.wait(caller.drive().fence(caller.ctx(), ref, caller.id(901)))
               .failed_with(Errc::unavailable) &&
           !caller.drive().try_read(ref, ReadSpec{});
  }
  // What the two know of a key.
  std::string row(DriveCaller& caller, const ObjectRef& ref) {
    return encode_key_row(caller.read(ref, false).state);
  }

  Backend backend_;
  DriveCaller from_{backend_.from(), backend_.shard(), backend_.clock()};
  DriveCaller to_{backend_.to(), backend_.shard(), backend_.clock()};
  MoveCaller move_{from_, to_};
};
TYPED_TEST_SUITE_P(MoveSuite);

TYPED_TEST_P(MoveSuite, ASlotMovesWithAllThatItKnows) {
  auto& from = this->from_;
  auto& to = this->to_;
  auto& move = this->move_;
  const ObjectRef small = MoveCaller::ref("small"), large = MoveCaller::ref("large"),
                  dead = MoveCaller::ref("dead");
  ObjectRef stays = MoveCaller::ref("stays");
  for (const char* key : {"small", "large", "dead"}) move.add(key);
  ASSERT_FALSE(std::binary_search(move.groups.begin(), move.groups.end(), stays.group));
  ASSERT_EQ(from.verdict(stays, from.inline_record(1), kShard), Verdict::ok);
  ObjectRef with_epoch = small;
  with_epoch.epoch = 7;
  ASSERT_EQ(from.verdict(with_epoch, from.inline_record(2), kShard), Verdict::ok);
  from.retire(small, 2);
  ASSERT_TRUE(from.wait(from.drive().fence(from.ctx(), with_epoch, from.id(3))));
  ASSERT_TRUE(from.stage(4, kBody));
  ASSERT_EQ(from.verdict(large, from.file_record(4, {{4, kBody}})), Verdict::ok);
  ASSERT_EQ(from.verdict(dead, from.inline_record(5), kShard), Verdict::ok);
  ASSERT_EQ(from.verdict(dead, from.record(6, RecordKind::tombstone)), Verdict::ok);
  from.retire(dead, 6);
  const std::string before_small = this->row(from, small), before_large = this->row(from, large),
                    before_dead = this->row(from, dead);

  const auto begun = move.begin();
  ASSERT_TRUE(begun) << begun.error().detail;
  EXPECT_TRUE(this->refuses(to, large)) << "it has nothing yet";
  EXPECT_EQ(this->row(from, small), before_small) << "still served";
  const auto copied = move.copy(false);
  ASSERT_TRUE(copied) << copied.error().detail;
  EXPECT_EQ(*copied, 3U);
  EXPECT_EQ(move.files, 1U);
  EXPECT_TRUE(this->refuses(to, small)) << "it is not the owner yet";
  const auto done = move.finish();
  ASSERT_TRUE(done) << done.error().detail;
  for (const ObjectRef& ref : {small, large, dead}) EXPECT_TRUE(this->refuses(from, ref));

  EXPECT_EQ(this->row(to, small), before_small);
  EXPECT_EQ(this->row(to, large), before_large);
  EXPECT_EQ(this->row(to, dead), before_dead);
  const Held held = to.read(small);
  EXPECT_EQ(held.inline_shard, kShard);
  EXPECT_EQ(held.group.epoch, 7U);
  EXPECT_EQ(held.state.fences.size(), 1U);
  EXPECT_TRUE(to.commit(small, to.inline_record(8), kShard).failed_with(Errc::stale_epoch));
  EXPECT_EQ(to.verdict(with_epoch, to.inline_record(3), kShard), Verdict::refused) << "it was fenced";
  auto reader = to.open(4, kBody);
  ASSERT_TRUE(reader);
  EXPECT_EQ(to.read_block(**reader, 0, kStripeBytes / 4).value_or(""),
            DriveCaller::block(4, 0, kStripeBytes / 4));
  EXPECT_EQ(this->usage(to).objects, 2);

  ASSERT_TRUE(move.drop_old());
  EXPECT_TRUE(this->refuses(from, small)) << "for those who have not heard of it";
  EXPECT_TRUE(from.file_goes(4, kBody));
  EXPECT_TRUE(to.has_file(4, kBody));
  EXPECT_EQ(this->usage(from).objects, 1);
  EXPECT_FALSE(from.read(stays).state.versions.empty());
  EXPECT_EQ(from.list({}).size(), 1U);
}

// While a slot is on its way, and for ever on the drive that it has left, a listing says that it knows
// nothing about the group; and it goes on answering for the others.
TYPED_TEST_P(MoveSuite, AListingTellsWhichGroupsAreNotHere) {
  auto& from = this->from_;
  auto& to = this->to_;
  auto& move = this->move_;
  move.add("moves");
  const ObjectRef moves = MoveCaller::ref("moves"), stays = MoveCaller::ref("stays");
  ASSERT_EQ(from.verdict(moves, from.inline_record(1), kShard), Verdict::ok);
  ASSERT_EQ(from.verdict(stays, from.inline_record(2), kShard), Verdict::ok);
  ASSERT_EQ(to.verdict(stays, to.inline_record(2), kShard), Verdict::ok);
  GroupBits moving;
  for (const std::uint16_t group : move.groups) moving.set(group);
  const auto silent = [](DriveCaller& caller, std::optional<GroupBits> groups) {
    ListSpec spec;
    spec.bucket = BucketId{77};
    spec.groups = groups;
    const auto page = caller.wait(caller.drive().list(caller.ctx(), spec));
    EXPECT_TRUE(page) << page.error().detail;
    return page ? page->silent : GroupBits().set();
  };
  using Keys = std::vector<std::string>;
  EXPECT_TRUE(silent(from, {}).none());
  ASSERT_TRUE(move.begin());
  EXPECT_TRUE(silent(from, {}).none()) << "it still answers";
  EXPECT_EQ(silent(to, {}), moving);
  EXPECT_TRUE(silent(to, ~moving).none()) << "nobody has asked about those";
  ASSERT_TRUE(move.copy(false));
  EXPECT_EQ(to.list({}), (Keys{"stays"})) << "the copy may not be whole";
  ASSERT_TRUE(move.finish());
  EXPECT_EQ(silent(from, {}), moving);
  EXPECT_TRUE(silent(to, {}).none());
  EXPECT_EQ(from.list({}), (Keys{"stays"})) << "the row is there, and may be an old one";
  EXPECT_EQ(to.list({}), (Keys{"moves", "stays"}));
  ASSERT_TRUE(move.drop_old());
  EXPECT_EQ(silent(from, {}), moving) << "also when the rows are gone";
  EXPECT_TRUE(silent(from, ~moving).none());
  EXPECT_EQ(from.list({}), (Keys{"stays"}));
}

TYPED_TEST_P(MoveSuite, WhatChangesMeanwhileIsCopiedAgain) {
  auto& from = this->from_;
  auto& to = this->to_;
  auto& move = this->move_;
  const ObjectRef over = MoveCaller::ref("over"), gone = MoveCaller::ref("gone"),
                  fresh = MoveCaller::ref("fresh");
  for (const char* key : {"over", "gone", "fresh"}) move.add(key);
  ASSERT_TRUE(from.stage(1, kBody));
  ASSERT_EQ(from.verdict(over, from.file_record(1, {{1, kBody}})), Verdict::ok);
  ASSERT_EQ(from.verdict(gone, from.inline_record(2), kShard), Verdict::ok);
  ASSERT_TRUE(move.begin());
  ASSERT_TRUE(move.copy(false));
  EXPECT_EQ(move.copy(true).value_or(99), 0U);

  ASSERT_TRUE(from.stage(3, kBody));
  ASSERT_EQ(from.verdict(over, from.file_record(3, {{3, kBody}})), Verdict::ok);
  from.retire(over, 3);
  ASSERT_TRUE(from.wait(from.drive().withdraw(from.ctx(), gone, from.id(2))));
  ASSERT_EQ(from.verdict(fresh, from.inline_record(4), kShard), Verdict::ok);
  EXPECT_EQ(move.copy(true).value_or(99), 3U);
  EXPECT_EQ(move.copy(true).value_or(99), 0U) << "forgotten";
  ASSERT_EQ(from.verdict(fresh, from.inline_record(5), std::string(256, 't')), Verdict::ok);
  const std::string last = this->row(from, fresh);
  const auto done = move.finish();
  ASSERT_TRUE(done) << done.error().detail;

  EXPECT_EQ(to.read(over).state.newest(), to.id(3));
  EXPECT_EQ(to.read(over).state.versions.size(), 1U);
  EXPECT_TRUE(to.file_goes(1, kBody)) << "copied in the first pass";
  EXPECT_TRUE(to.has_file(3, kBody));
  EXPECT_TRUE(to.read(gone).state.versions.empty());
  EXPECT_EQ(to.read(gone).state.fences.size(), 1U);
  EXPECT_EQ(this->row(to, fresh), last);
  EXPECT_EQ(to.read(fresh).inline_shard, std::string(256, 't'));
  EXPECT_EQ(this->usage(to).objects, 2);
  EXPECT_EQ(this->usage(to).object_bytes, static_cast<std::int64_t>(kBody) + 1000);
}

TYPED_TEST_P(MoveSuite, CallsThatComeLateChangeNothing) {
  auto& from = this->from_;
  auto& move = this->move_;
  const ObjectRef ref = MoveCaller::ref("k");
  move.add("k");
  ASSERT_EQ(from.verdict(ref, from.inline_record(1), kShard), Verdict::ok);
  ASSERT_TRUE(move.begin());
  auto page = from.wait(move.out().read_rows(from.ctx(), move.ticket, ""));
  ASSERT_TRUE(page);
  MoveImport early;
  early.step = 1;
  early.cursor = "one";
  early.rows = page->rows;
  MoveImport late = early;
  late.step = 2;
  late.cursor = "two";
  ASSERT_TRUE(from.wait(move.in().import(from.ctx(), move.ticket, late)));
  EXPECT_TRUE(from.wait(move.in().import(from.ctx(), move.ticket, early)).failed_with(Errc::conflict));
  auto status = from.wait(move.in().status(from.ctx(), move.ticket.move));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->step, 2U);
  EXPECT_EQ(status->cursor, "two");
  EXPECT_EQ(status->term, 1U);

  MoveTicket newer = move.ticket;
  newer.term = 2;
  EXPECT_TRUE(from.wait(move.out().begin_leaving(from.ctx(), newer, move.groups))) << "another mover goes on";
  EXPECT_TRUE(from.wait(move.in().begin_arriving(from.ctx(), newer, move.groups, newer.life)));
  late.step = 3;
  EXPECT_TRUE(from.wait(move.in().import(from.ctx(), move.ticket, late)).failed_with(Errc::stale_epoch));
  EXPECT_TRUE(from.wait(move.out().seal(from.ctx(), move.ticket)).failed_with(Errc::stale_epoch));
  EXPECT_TRUE(from.wait(move.in().import(from.ctx(), newer, late)));
  MoveTicket other_life = newer;
  other_life.life = 98;
  EXPECT_TRUE(from.wait(move.in().own(from.ctx(), other_life, {GroupState{}})).failed_with(Errc::not_found));
  EXPECT_TRUE(
      from.wait(move.in().begin_arriving(from.ctx(), newer, move.groups, 98)).failed_with(Errc::conflict))
      << "what was copied is from another life";
  MoveTicket unknown = newer;
  unknown.move.bytes.fill(1);
  EXPECT_TRUE(from.wait(move.out().seal(from.ctx(), unknown)).failed_with(Errc::not_found));
  EXPECT_TRUE(from.wait(move.out().read_rows(from.ctx(), unknown, "")).failed_with(Errc::not_found));
  EXPECT_TRUE(
      from.wait(move.out().begin_leaving(from.ctx(), unknown, move.groups)).failed_with(Errc::conflict))
      << "the groups are on their way already";
}

TYPED_TEST_P(MoveSuite, AMoveThatIsGivenUpLeavesNothingBehind) {
  auto& from = this->from_;
  auto& to = this->to_;
  auto& move = this->move_;
  const ObjectRef ref = MoveCaller::ref("k");
  move.add("k");
  ASSERT_TRUE(from.stage(1, kBody));
  ASSERT_EQ(from.verdict(ref, from.file_record(1, {{1, kBody}})), Verdict::ok);
  ASSERT_TRUE(move.begin());
  ASSERT_TRUE(move.copy(false));
  ASSERT_TRUE(move.seal());
  EXPECT_TRUE(this->refuses(from, ref));
  const std::vector<std::uint64_t> epochs(move.groups.size(), 5);
  ASSERT_TRUE(from.wait(move.out().take_back(from.ctx(), move.ticket, epochs)));
  EXPECT_EQ(from.read(ref).state.newest(), from.id(1));
  EXPECT_EQ(from.read(ref).group.epoch, 5U);
  EXPECT_TRUE(from.wait(move.out().seal(from.ctx(), move.ticket)).failed_with(Errc::not_found))
      << "it has ended";
  ASSERT_TRUE(from.wait(move.in().drop(from.ctx(), move.ticket)));
  EXPECT_TRUE(this->refuses(to, ref));
  EXPECT_TRUE(to.file_goes(1, kBody));
  EXPECT_TRUE(from.has_file(1, kBody));
  EXPECT_EQ(this->usage(to).objects, 0);
  EXPECT_TRUE(from.wait(move.in().own(from.ctx(), move.ticket, {GroupState{}})).failed_with(Errc::not_found));

  move.ticket.move.bytes.fill(0x79);  // another try, that is given up as late as can be
  ASSERT_TRUE(move.begin());
  move.step = 0;
  ASSERT_TRUE(move.copy(false));
  ASSERT_TRUE(move.finish());
  EXPECT_EQ(to.read(ref).state.newest(), to.id(1));
  ASSERT_TRUE(from.wait(move.out().take_back(from.ctx(), move.ticket, epochs)));
  ASSERT_TRUE(from.wait(move.in().drop(from.ctx(), move.ticket)));
  EXPECT_TRUE(this->refuses(to, ref));
  EXPECT_EQ(from.read(ref).state.newest(), from.id(1));
  EXPECT_EQ(this->usage(to).objects, 0);

  move.ticket.move.bytes.fill(0x78);  // and another
  ASSERT_TRUE(move.begin());
  move.step = 0;
  ASSERT_TRUE(move.copy(false));
  const auto done = move.finish();
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(to.read(ref).state.newest(), to.id(1));
  EXPECT_TRUE(to.has_file(1, kBody));
}

TYPED_TEST_P(MoveSuite, AShardFileThatIsLostIsLostOnTheOtherDriveToo) {
  auto& from = this->from_;
  auto& to = this->to_;
  auto& move = this->move_;
  const ObjectRef ref = MoveCaller::ref("k");
  move.add("k");
  ASSERT_TRUE(from.stage(1, kBody));
  ASSERT_EQ(from.verdict(ref, from.file_record(1, {{1, kBody}})), Verdict::ok);
  ASSERT_TRUE(this->backend_.lose_file(1));
  ASSERT_TRUE(move.begin());
  ASSERT_TRUE(move.copy(false));
  ASSERT_TRUE(move.finish());
  EXPECT_EQ(to.read(ref).state.newest(), to.id(1));
  EXPECT_FALSE(to.has_file(1, kBody)) << "found, and healed, as on the drive before";
}

TYPED_TEST_P(MoveSuite, OnlyGroupsThatAreHereCanLeave) {
  auto& from = this->from_;
  auto& to = this->to_;
  auto& move = this->move_;
  move.add("k");
  ObjectRef ref = MoveCaller::ref("k");
  ref.epoch = 1;
  ASSERT_EQ(to.verdict(ref, to.inline_record(1), kShard), Verdict::ok);
  EXPECT_TRUE(from.wait(move.in().begin_arriving(from.ctx(), move.ticket, move.groups, 5))
                  .failed_with(Errc::conflict))
      << "it is one of the group's drives";
  EXPECT_TRUE(
      from.wait(move.out().begin_leaving(from.ctx(), move.ticket, {})).failed_with(Errc::invalid_argument));
  EXPECT_TRUE(from.wait(move.out().begin_leaving(from.ctx(), move.ticket, {7, 7}))
                  .failed_with(Errc::invalid_argument));
  EXPECT_TRUE(from.wait(move.out().begin_leaving(from.ctx(), move.ticket, {kPlacementGroups}))
                  .failed_with(Errc::invalid_argument));
  const auto unknown = from.wait(move.out().status(from.ctx(), move.ticket.move));
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->term, 0U);
  EXPECT_TRUE(unknown->groups.empty());
  EXPECT_TRUE(from.wait(move.out().own(from.ctx(), move.ticket, {})).failed_with(Errc::not_found));
}

REGISTER_TYPED_TEST_SUITE_P(MoveSuite, ASlotMovesWithAllThatItKnows, AListingTellsWhichGroupsAreNotHere,
                            WhatChangesMeanwhileIsCopiedAgain, CallsThatComeLateChangeNothing,
                            AMoveThatIsGivenUpLeavesNothingBehind,
                            AShardFileThatIsLostIsLostOnTheOtherDriveToo, OnlyGroupsThatAreHereCanLeave);

}  // namespace ostraka::disk
