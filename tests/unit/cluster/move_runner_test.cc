#include "cluster/move_runner.h"

#include <nlohmann/json.hpp>

#include "cluster/limits.h"
#include "tests/unit/cluster/move_world.h"

namespace ostraka::cluster {
namespace {

using disk::MoveCaller;

class MoveRunnerTest : public MoveWorld {
 protected:
  disk::Drive* find(const DriveId& id) {
    for (disk::DriveWorld* world : {&a_, &b_})
      if (world->drive->id() == id) return world->drive.get();
    return nullptr;
  }
  Result<bool> run() {
    std::function<bool()> stop = [] { return false; };
    return from_->wait(runner_.run(from_->ctx(), ++term_, stop));
  }
  Result<std::size_t> add(const std::vector<SlotMove>& slots) {
    return from_->wait(runner_.add(from_->ctx(), slots));
  }

  static Task<Result<>> broken() { co_return fail(Errc::closed, "the connection broke"); }
  static Task<> pause(MoveRunnerTest* self) {
    auto pausing = self->runner_.pause(self->from_->ctx(), true);
    const Result<> paused = co_await std::move(pausing);
    EXPECT_TRUE(paused);
  }

  MoveRunner runner_{deps_, [this](const DriveId& id) { return find(id); }};
};

TEST_F(MoveRunnerTest, MovesAreDecidedCarriedOutAndForgotten) {
  const std::string one = moving_key(), two = moving_key();
  ASSERT_TRUE(write(*from_, one) && write_file(two));
  const std::vector<SlotMove> slots{slot_of(one), slot_of(two)};
  EXPECT_EQ(add(slots).value_or(0), 2U);
  EXPECT_EQ(add(slots).value_or(9), 0U) << "they are on their way";
  EXPECT_EQ(decode_moves(control_.get(kMovesDocument)->content)->moves.size(), 1U) << "one pass for both";
  MoveProgress progress = runner_.progress();
  EXPECT_EQ(progress.slots_left, 2U);
  EXPECT_EQ(progress.slots_done, 0U);
  const auto done = run();
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_TRUE(*done);
  expect_all_on(*to_);
  EXPECT_TRUE(is_placed_on(one, to_id()) && is_placed_on(two, to_id()));
  progress = runner_.progress();
  EXPECT_EQ(progress.slots_left, 0U);
  EXPECT_EQ(progress.slots_done, 2U);
  EXPECT_GT(progress.bytes_per_second, 0);
  EXPECT_TRUE(progress.now.empty() && progress.problem.empty()) << progress.problem;
  EXPECT_TRUE(run().value_or(false)) << "nothing to do";
}

TEST_F(MoveRunnerTest, OneThatFailsWaitsAndOthersGoOn) {
  const std::string key = moving_key(), other = moving_key();
  ASSERT_TRUE(write(*from_, key));
  SlotMove to_nowhere = slot_of(other);
  to_nowhere.to = disk::test_format().drives[4];
  ASSERT_EQ(add({to_nowhere, slot_of(key)}).value_or(0), 2U);
  const auto done = run();
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_FALSE(*done);
  EXPECT_TRUE(is_placed_on(key, to_id()));
  EXPECT_EQ(runner_.progress().slots_left, 1U);
}

TEST_F(MoveRunnerTest, AConnectionThatBreaksIsAFailureAndNoPause) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  ASSERT_EQ(add({slot_of(key)}).value_or(0), 1U);
  deps_.wait_until_known = [](Ctx&, std::uint64_t) { return broken(); };
  const auto done = run();
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_FALSE(*done);
  EXPECT_FALSE(runner_.progress().paused);
  EXPECT_EQ(runner_.progress().problem,
            "1 groups from " + to_string(from_id()) + " to " + to_string(to_id()) + ": the connection broke");
  deps_.wait_until_known = [this](Ctx&, std::uint64_t revision) { return known(this, revision); };
  EXPECT_TRUE(run().value_or(false));
  EXPECT_EQ(runner_.progress().problem, "");
}

TEST_F(MoveRunnerTest, APauseInTheMiddleIsNoFailure) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  ASSERT_EQ(add({slot_of(key)}).value_or(0), 1U);
  deps_.keep_pace = [this](std::uint64_t) { return pause(this); };
  const auto done = run();
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_FALSE(*done);
  EXPECT_TRUE(runner_.progress().paused);
  EXPECT_EQ(runner_.progress().problem, "");
  EXPECT_FALSE(is_placed_on(key, to_id()));
}

TEST_F(MoveRunnerTest, WhatAnswersNowhereComesFirst) {
  const std::string one = moving_key(), two = moving_key();
  ASSERT_TRUE(write(*from_, one) && write(*from_, two));
  ASSERT_EQ(add({slot_of(one)}).value_or(0), 1U);
  ASSERT_EQ(add({slot_of(two)}).value_or(0), 1U);
  const MoveSpec second = decode_moves(control_.get(kMovesDocument)->content)->moves[1].spec;
  control_.fails = true;
  ASSERT_TRUE(carry(second).failed_with(Errc::unavailable)) << "it is sealed";
  control_.fails = false;
  std::vector<bool> of_two;
  control_.on_put = [&](const std::string& name, const std::string& content) {
    if (name != kTable) return;
    const auto drives = Placement::from_json(deployment(), content)->group(second.slots[0].group).drives;
    of_two.push_back(drives[second.slots[0].slot] == to_id());
  };
  ASSERT_TRUE(run().value_or(false));
  EXPECT_EQ(of_two, (std::vector<bool>{true, true}));
  expect_all_on(*to_);
}

TEST_F(MoveRunnerTest, NothingElseIsSealedWhileAHandOverHangs) {
  const std::string one = moving_key(), two = moving_key();
  ASSERT_TRUE(write(*from_, one) && write(*from_, two));
  ASSERT_EQ(add({slot_of(one)}).value_or(0), 1U);
  ASSERT_EQ(add({slot_of(two)}).value_or(0), 1U);
  control_.on_put = [this](const std::string& name, const std::string&) {
    control_.fails = control_.fails || name == kTable;
  };
  ASSERT_TRUE(run().failed_with(Errc::unavailable));
  EXPECT_TRUE(runner_.left_sealed());
  EXPECT_FALSE(write(*from_, one)) << "sealed";
  EXPECT_TRUE(write(*from_, two));
  control_.on_put = nullptr;
  control_.fails = false;
  ASSERT_TRUE(run().value_or(false));
  EXPECT_FALSE(runner_.left_sealed());
  expect_all_on(*to_);
}

// The drive that takes is away for long in the middle of a hand-over, and the groups answer where they were.
TEST_F(MoveRunnerTest, GroupsAreTakenBackFromADriveThatWentInTheirHandOver) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  ASSERT_EQ(add({slot_of(key)}).value_or(0), 1U);
  control_.fails = true;
  ASSERT_TRUE(carry(decode_moves(control_.get(kMovesDocument)->content)->moves[0].spec)
                  .failed_with(Errc::unavailable));
  control_.fails = false;
  ASSERT_FALSE(write(*from_, key)) << "it is sealed";
  go_away(b_);
  ASSERT_FALSE(b_.drive->online());
  ASSERT_TRUE(run().failed_with(Errc::unavailable));
  EXPECT_FALSE(write(*from_, key)) << "it may be back in a moment";
  clock_.advance(kMoveStranded);
  ASSERT_TRUE(run().failed_with(Errc::unavailable)) << "it cannot be told yet";
  EXPECT_TRUE(is_placed_on(key, from_id()));
  EXPECT_TRUE(write(*from_, key));
  crash(b_);
  ASSERT_TRUE(run().value_or(false)) << "what it had is dropped";
  expect_all_on(*from_);
  EXPECT_TRUE(to_->list({}).empty());
}

TEST_F(MoveRunnerTest, WhatIsCancelledIsTakenBack) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  ASSERT_EQ(add({slot_of(key)}).value_or(0), 1U);
  const MoveSpec spec = decode_moves(control_.get(kMovesDocument)->content)->moves[0].spec;
  ASSERT_TRUE(carry(spec, 2).failed_with(Errc::closed)) << "on its way";
  ASSERT_TRUE(from_->wait(runner_.cancel(from_->ctx(), [](const MoveSpec&) { return true; })));
  const auto done = run();
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_TRUE(*done);
  EXPECT_TRUE(is_placed_on(key, from_id()));
  EXPECT_TRUE(write(*from_, key));
  EXPECT_TRUE(to_->list({}).empty());
}

// The drive that gave went before it could be cleaned up, and the one that took is to be drained.
TEST_F(MoveRunnerTest, WhatTheTableSaysHasMovedIsNotCancelled) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  ASSERT_EQ(add({slot_of(key)}).value_or(0), 1U);
  control_.on_put = [this](const std::string& name, const std::string&) {
    if (name == kTable) go_away(a_);
  };
  ASSERT_FALSE(run().value_or(false)) << "what the first drive has is still there";
  ASSERT_TRUE(is_placed_on(key, to_id()));
  control_.on_put = nullptr;
  ASSERT_TRUE(from_->wait(runner_.cancel(from_->ctx(), [](const MoveSpec&) { return true; })));
  crash(a_);
  const auto done = run();
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_TRUE(*done) << runner_.progress().problem;
  expect_all_on(*to_);
}

TEST_F(MoveRunnerTest, AMoveThatIsOfNoUseIsTakenBackByItself) {
  const std::string key = moving_key();
  ASSERT_TRUE(write(*from_, key));
  ASSERT_EQ(add({slot_of(key)}).value_or(0), 1U);
  const MoveSpec spec = decode_moves(control_.get(kMovesDocument)->content)->moves[0].spec;
  ASSERT_TRUE(carry(spec, 2).failed_with(Errc::closed));
  empty(a_);
  const auto done = run();
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_TRUE(*done);
  EXPECT_TRUE(is_placed_on(key, from_id()));
  EXPECT_TRUE(to_->list({}).empty());
  EXPECT_EQ(runner_.progress().slots_done, 0U);
}

TEST(MoveDocument, RoundTripAndWhatIsRefused) {
  MoveDocument document;
  document.since_ms = 5;
  document.slots_done = 2;
  document.bytes_done = 3;
  MoveDocument::Move& move = document.moves.emplace_back();
  move.spec.id.bytes.fill(1);
  move.spec.from.bytes.fill(2);
  move.spec.to.bytes.fill(3);
  move.spec.slots = {{1, 0}, {7, 2}};
  move.bytes = 9;
  move.giving_up = true;
  document.paused = true;
  const std::string text = encode_moves(document);
  const auto read = decode_moves(text);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->moves, document.moves);
  EXPECT_EQ(read->since_ms, 5);
  EXPECT_TRUE(read->paused);
  EXPECT_TRUE(read->is_given_up(move.spec.id));
  EXPECT_EQ(encode_moves(*read), text);
  EXPECT_TRUE(read->moves_group(7));
  EXPECT_FALSE(read->moves_group(2));

  const auto good = nlohmann::json::parse(text);
  const auto refuse = [](const nlohmann::json& bad, Errc code = Errc::malformed) {
    EXPECT_TRUE(decode_moves(bad.dump()).failed_with(code)) << bad.dump();
  };
  EXPECT_TRUE(decode_moves("{").failed_with(Errc::malformed));
  auto bad = good;
  bad["version"] = 2;
  refuse(bad, Errc::unsupported_version);
  for (const char* field : {"version", "since_ms", "slots_done", "bytes_done", "moves"}) {
    bad = good;
    bad.erase(field);
    refuse(bad);
  }
  bad = good;
  bad["paused"] = 1;
  refuse(bad);
  for (const char* field : {"id", "from", "to", "bytes", "slots"}) {
    bad = good;
    bad["moves"][0].erase(field);
    refuse(bad);
  }
  for (const auto& slots : {R"([])", R"([[1]])", R"([[7,0],[1,0]])", R"([[1,0],[1,1]])", R"([[1024,0]])",
                            R"([[1,32]])", R"([[-1,0]])"}) {
    bad = good;
    bad["moves"][0]["slots"] = nlohmann::json::parse(slots);
    refuse(bad);
  }
  bad = good;
  bad["moves"][0]["to"] = bad["moves"][0]["from"];
  refuse(bad);
}

}  // namespace
}  // namespace ostraka::cluster
