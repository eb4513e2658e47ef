// Groups that move between LocalDrives, with crashes between the steps.
#include <gtest/gtest.h>

#include <filesystem>

#include "disk/drive_format.h"
#include "disk/row_key.h"
#include "tests/unit/disk/move_suite.h"

namespace ostraka::disk {
namespace {

class LocalPair {
 public:
  LocalPair() {
    for (DriveWorld* world : {&from_, &to_}) {
      EXPECT_TRUE(world->format());
      EXPECT_TRUE(world->start());
    }
  }
  Drive& from() { return *from_.drive; }
  Drive& to() { return *to_.drive; }
  Shard& shard() { return from_.shard; }
  Clock& clock() { return from_.clock; }
  bool lose_file(std::uint8_t data) {
    return std::filesystem::remove(data_path(from_.folder(), data_id(data)));
  }

  DriveWorld from_{true}, to_{true};
};

INSTANTIATE_TYPED_TEST_SUITE_P(MemoryIndex, MoveSuite, LocalPair);

class MoveCrashTest : public testing::Test {
 protected:
  MoveCrashTest() {
    for (DriveWorld* world : {&a_, &b_}) {
      EXPECT_TRUE(world->format());
      EXPECT_TRUE(world->start());
    }
    meet();
    for (const char* key : {"k", "l", "m"}) {
      move_->add(key);
      EXPECT_TRUE(from_->stage(static_cast<std::uint8_t>(key[0]), kBody));
      EXPECT_EQ(from_->verdict(MoveCaller::ref(key),
                               from_->file_record(static_cast<unsigned>(key[0]), {{key[0], kBody}})),
                Verdict::ok);
    }
  }
  void meet() {
    from_.emplace(*a_.drive, a_.shard, a_.clock);
    to_.emplace(*b_.drive, a_.shard, a_.clock);
    const MoveTicket ticket = move_ ? move_->ticket : MoveTicket{};
    const std::uint64_t step = move_ ? move_->step : 0;
    const auto groups = move_ ? move_->groups : std::vector<std::uint16_t>{};
    move_.emplace(*from_, *to_);
    if (ticket.term > 0) {
      move_->ticket = ticket;
      ++move_->ticket.term;  // another mover takes over
      move_->step = step;
      move_->groups = groups;
    }
  }
  // Both processes die, and what was not synced is lost.
  void crash() {
    from_.reset();
    to_.reset();
    for (DriveWorld* world : {&a_, &b_}) {
      world->stop();
      world->memory.store(index_folder(world->folder()))->lose_unsynced(1000);
      const auto started = world->start();
      ASSERT_TRUE(started) << started.error().detail;
    }
    meet();
  }

  DriveWorld a_{true}, b_{true};
  std::optional<DriveCaller> from_, to_;
  std::optional<MoveCaller> move_;
};

TEST_F(MoveCrashTest, EveryStepIsRememberedAndMayBeDoneAgain) {
  ASSERT_TRUE(move_->begin());
  crash();
  ASSERT_TRUE(move_->begin()) << "said again";
  auto page = from_->wait(move_->out().read_rows(from_->ctx(), move_->ticket, ""));
  ASSERT_TRUE(page);
  MoveImport first;
  first.cursor = page->rows[0].row_key;
  first.rows = {page->rows[0]};
  ASSERT_TRUE(move_->bring(first));
  crash();
  ASSERT_TRUE(move_->begin());
  const auto status = from_->wait(move_->in().status(from_->ctx(), move_->ticket.move));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->cursor, page->rows[0].row_key) << "where to go on";
  EXPECT_EQ(status->term, move_->ticket.term);
  auto rest = from_->wait(move_->out().read_rows(from_->ctx(), move_->ticket, status->cursor));
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->rows.size(), 2U);
  MoveImport second;
  second.rows = rest->rows;
  ASSERT_TRUE(move_->bring(second));

  ASSERT_EQ(from_->verdict(MoveCaller::ref("l"), from_->inline_record(900), kShard), Verdict::ok);
  crash();
  EXPECT_EQ(move_->copy(true).value_or(99), 1U) << "changes are remembered";
  ASSERT_EQ(from_->verdict(MoveCaller::ref("k"), from_->inline_record(901), kShard), Verdict::ok);
  auto states = move_->seal();
  ASSERT_TRUE(states);
  crash();
  EXPECT_TRUE(from_->wait(a_.drive->read(from_->ctx(), MoveCaller::ref("k"), ReadSpec{}))
                  .failed_with(Errc::unavailable));
  states = move_->seal();
  ASSERT_TRUE(states) << "said again";
  EXPECT_EQ(move_->copy(true).value_or(99), 1U);
  ASSERT_TRUE(move_->own(*states));
  crash();
  ASSERT_TRUE(move_->own(*states));
  for (const auto& [key, n] : {std::pair{"k", 901U}, {"l", 900U}, {"m", unsigned{'m'}}})
    EXPECT_EQ(to_->read(MoveCaller::ref(key)).state.newest().time & 0xffff, n) << key;
  EXPECT_TRUE(from_->wait(a_.drive->read(from_->ctx(), MoveCaller::ref("k"), ReadSpec{}))
                  .failed_with(Errc::unavailable));
  ASSERT_TRUE(move_->drop_old());
  crash();
  EXPECT_TRUE(from_->list({}).empty());
  EXPECT_TRUE(from_->wait(a_.drive->read(from_->ctx(), MoveCaller::ref("k"), ReadSpec{}))
                  .failed_with(Errc::unavailable));
  EXPECT_EQ(to_->list({}).size(), 3U);
}

TEST_F(MoveCrashTest, ARowThatCannotBeReadStaysOne) {
  const ObjectRef ref = MoveCaller::ref("l");
  from_->flush();
  a_.stop();
  std::string* row = a_.memory.store(index_folder(a_.folder()))->find(Column::rows, row_key(ref));
  ASSERT_NE(row, nullptr);
  (*row)[3] = static_cast<char>((*row)[3] + 1);
  ASSERT_TRUE(a_.start());
  meet();
  ASSERT_TRUE(move_->begin());
  ASSERT_TRUE(move_->copy(false));
  ASSERT_TRUE(move_->finish());
  EXPECT_TRUE(to_->wait(b_.drive->read(to_->ctx(), ref, ReadSpec{})).failed_with(Errc::corrupt));
  ObjectRef anew = ref;
  anew.epoch = 2;
  const auto begun = to_->wait(b_.drive->begin_anew(to_->ctx(), anew));
  ASSERT_TRUE(begun);
  EXPECT_TRUE(*begun);
  ASSERT_TRUE(move_->drop_old());
  EXPECT_TRUE(from_->list({}).empty()) << "and goes with the others";
}

TEST_F(MoveCrashTest, ADriveThatWasEmptiedKnowsOfNoMove) {
  ASSERT_TRUE(move_->begin());
  ASSERT_TRUE(move_->copy(false));
  b_.stop();
  ASSERT_NE(b_.memory.exchange(index_folder(b_.folder()), nullptr), nullptr);
  std::filesystem::remove_all(b_.folder());
  ASSERT_TRUE(b_.format());
  ASSERT_TRUE(b_.start());
  meet();
  EXPECT_TRUE(move_->copy(true).failed_with(Errc::not_found));
  EXPECT_TRUE(move_->own({}).failed_with(Errc::not_found));
}

TEST_F(MoveCrashTest, AGroupThatIsBeingRefilledStays) {
  a_.stop();
  ASSERT_NE(a_.memory.exchange(index_folder(a_.folder()), nullptr), nullptr);
  std::filesystem::remove_all(a_.folder());
  const auto started = a_.start();
  EXPECT_FALSE(started);
  meet();
  std::vector<GroupState> groups(kPlacementGroups);
  for (const std::uint16_t group : move_->groups) groups[group] = {2, 2, true};
  Uuid incarnation;
  incarnation.bytes.fill(9);
  a_.drive->require_incarnation(incarnation);
  ASSERT_TRUE(from_->wait(a_.drive->format_anew(from_->ctx(), incarnation, groups, {})));
  a_.stop();
  ASSERT_TRUE(a_.start());
  meet();
  EXPECT_TRUE(move_->begin().failed_with(Errc::unavailable));
  for (const std::uint16_t group : move_->groups)
    ASSERT_TRUE(from_->wait(a_.drive->readmit(from_->ctx(), group, 2)));
  ASSERT_TRUE(move_->begin());
  ASSERT_TRUE(move_->finish());
  EXPECT_EQ(to_->read(MoveCaller::ref("k")).group.birth, 2U);
}

}  // namespace
}  // namespace ostraka::disk
