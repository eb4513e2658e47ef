// The cases of `resolve` in the protocol model, one by one. 4+2 has w = 4, r = 3; 2+2 has w = 3, r = 2.
#include "erasure/version_election.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace ostraka::erasure {
namespace {

constexpr VersionId kOld{100, 1};
constexpr VersionId kNew{200, 1};

struct Table {
  std::uint8_t k;
  std::uint8_t w;
  unsigned r;
  std::vector<Vote> votes;
  std::deque<disk::KeyState> states;
  std::deque<disk::GroupState> groups;

  Table(unsigned n, unsigned data, unsigned quorum)
      : k(static_cast<std::uint8_t>(data)),
        w(static_cast<std::uint8_t>(quorum)),
        r(n - quorum + 1),
        votes(n) {}

  struct Has {
    std::vector<VersionId> ids;  // newest first
    VersionId final_id;
    bool tombstone = false;
    std::uint64_t epoch = 0;
    bool bodiless = false;
  };
  Table& answer(unsigned slot, Has has, disk::GroupState group = {}) {
    disk::KeyState state;
    state.final_id = has.final_id;
    for (const VersionId id : has.ids) {
      disk::HeldVersion version;
      version.id = id;
      version.data_shards = k;
      version.write_quorum = w;
      version.tombstone = has.tombstone;
      version.has_inline = !has.tombstone && !has.bodiless;
      version.epoch = has.epoch;
      state.versions.push_back(version);
    }
    states.push_back(state);
    groups.push_back(group);
    votes[slot] = Vote{&states.back(), &groups.back()};
    return *this;
  }
  Election elect(Purpose purpose = Purpose::data) const { return resolve(votes, r, purpose); }
};

TEST(Election, NobodyHasAnythingIsAbsent) {
  Table table(6, 4, 4);
  for (unsigned slot = 0; slot < 3; ++slot) table.answer(slot, {});
  EXPECT_EQ(table.elect().outcome, Outcome::none);
}

TEST(Election, TooFewAnswersDecideNothing) {
  Table table(6, 4, 4);
  table.answer(0, {{kNew}, kNew}).answer(1, {{kNew}, kNew});
  EXPECT_EQ(table.elect(Purpose::metadata).outcome, Outcome::unknown);
}

TEST(Election, WriteQuorumOfHoldersIsAValue) {
  Table table(6, 4, 4);
  for (unsigned slot = 0; slot < 4; ++slot) table.answer(slot, {{kNew, kOld}, kOld});
  const Election election = table.elect();
  EXPECT_EQ(election.outcome, Outcome::value);
  EXPECT_EQ(election.version->id, kNew);
  EXPECT_FALSE(election.is_final);
  EXPECT_EQ(election.holders, 4U);
}

TEST(Election, OneHolderOfAFinalVersionWithoutABodyIsEnough) {
  Table table(6, 4, 4);
  table.answer(0, {.ids = {kNew}, .final_id = kNew, .bodiless = true}).answer(1, {}).answer(2, {});
  EXPECT_EQ(table.elect().outcome, Outcome::value);
}

TEST(Election, OneHolderOfAFinalVersionVouchesForItsMetadata) {
  Table table(6, 4, 4);
  table.answer(0, {{kNew}, kNew}).answer(1, {{kOld}, kOld}).answer(2, {});
  EXPECT_EQ(table.elect(Purpose::metadata).outcome, Outcome::value);
  EXPECT_EQ(table.elect(Purpose::metadata).version->id, kNew);
  EXPECT_TRUE(table.elect(Purpose::metadata).is_final);
  EXPECT_EQ(table.elect(Purpose::data).outcome, Outcome::unknown) << "its data needs k holders";
}

TEST(Election, OneHolderOfAFinalTombstoneIsEnough) {
  Table table(6, 4, 4);
  table.answer(0, {{kNew}, kNew, true}).answer(1, {{kOld}, kOld}).answer(2, {{kOld}, kOld});
  EXPECT_EQ(table.elect().outcome, Outcome::value);
  EXPECT_TRUE(table.elect().version->tombstone);
}

TEST(Election, FinalAndKHoldersIsAValue) {
  Table table(4, 2, 3);
  table.answer(0, {{kNew}, kNew}).answer(1, {{kNew}, {}}).answer(2, {{kOld}, kOld});
  EXPECT_EQ(table.elect().outcome, Outcome::value);
  EXPECT_EQ(table.elect().version->id, kNew);
}

TEST(Election, WhatCannotHaveReachedItsQuorumIsPassedOver) {
  Table table(6, 4, 4);
  table.answer(0, {{kNew, kOld}, kOld});
  for (unsigned slot = 1; slot < 5; ++slot) table.answer(slot, {{kOld}, kOld});
  // one holder and one drive that did not answer: two at most
  const Election election = table.elect();
  EXPECT_EQ(election.outcome, Outcome::value);
  EXPECT_EQ(election.version->id, kOld);
}

TEST(Election, WhatMayHaveReachedItsQuorumIsNeverSkipped) {
  Table table(6, 4, 4);
  table.answer(0, {{kNew, kOld}, kOld}).answer(1, {{kOld}, kOld}).answer(2, {{kOld}, kOld});
  EXPECT_EQ(table.elect().outcome, Outcome::unknown) << "the other three may have it";
}

TEST(Election, KHoldersBelowTheQuorumAreRolledForward) {
  Table table(4, 2, 3);
  table.answer(0, {{kNew, kOld}, kOld}).answer(1, {{kNew, kOld}, kOld}).answer(2, {{kOld}, kOld});
  const Election election = table.elect();
  EXPECT_EQ(election.outcome, Outcome::roll_forward);
  EXPECT_EQ(election.version->id, kNew);
  table.answer(3, {{kOld}, kOld});
  EXPECT_EQ(table.elect().version->id, kOld) << "all four have answered: it never got there";
}

TEST(Election, AFinalTimeNewerThanAllVersionsMeansReadAgain) {
  Table table(6, 4, 4);
  table.answer(0, {{}, kNew});
  for (unsigned slot = 1; slot < 5; ++slot) table.answer(slot, {{kOld}, kOld});
  EXPECT_EQ(table.elect().outcome, Outcome::unknown);
  EXPECT_EQ(table.elect(Purpose::metadata).outcome, Outcome::unknown);
}

TEST(Election, AFinalTimeWithoutAVersionIsNotAbsence) {
  Table table(6, 4, 4);
  for (unsigned slot = 0; slot < 6; ++slot) table.answer(slot, {{}, kNew});
  EXPECT_EQ(table.elect().outcome, Outcome::unknown);
}

TEST(Election, ARefillingDriveNeverHelpsToProveAbsence) {
  Table table(6, 4, 4);
  const disk::GroupState refilling{5, 5, true};
  table.answer(0, {}).answer(1, {}).answer(2, {}, refilling);
  EXPECT_EQ(table.elect().outcome, Outcome::unknown);
  EXPECT_EQ(table.elect().full, 2U);
}

TEST(Election, ARefillingDriveVouchesForLackingOnlyWhatIsYounger) {
  const disk::GroupState refilling{5, 5, true};
  for (const std::uint64_t epoch : {4U, 5U}) {
    Table table(4, 2, 3);
    table.answer(0, {{kNew}, {}, false, epoch}).answer(1, {}).answer(2, {}).answer(3, {}, refilling);
    EXPECT_EQ(table.elect().outcome, Outcome::none)
        << "one holder and one unknown drive are fewer than three";
    Table two(4, 2, 3);
    two.answer(0, {{kNew}, {}, false, epoch})
        .answer(1, {{kNew}, {}, false, epoch})
        .answer(2, {})
        .answer(3, {}, refilling);
    EXPECT_EQ(two.elect().outcome, epoch < 5 ? Outcome::roll_forward : Outcome::none);
  }
}

TEST(Election, EachVersionIsJudgedByItsOwnQuorum) {
  Table table(6, 4, 4);
  for (unsigned slot = 0; slot < 4; ++slot) table.answer(slot, {{kNew, kOld}, kOld});
  for (unsigned slot = 4; slot < 6; ++slot) table.answer(slot, {{kOld}, kOld});
  // the newer one is of a storage class with less parity: 5+1, w = 5
  for (unsigned slot = 0; slot < 4; ++slot) {
    table.states[slot].versions[0].data_shards = 5;
    table.states[slot].versions[0].write_quorum = 5;
  }
  EXPECT_EQ(table.elect().version->id, kOld);
}

TEST(Election, NewestMentionedCountsFinalTimes) {
  Table table(6, 4, 4);
  table.answer(0, {{kOld}, kOld}).answer(1, {{}, kNew});
  EXPECT_EQ(newest_mentioned(table.votes), kNew);
}

}  // namespace
}  // namespace ostraka::erasure
