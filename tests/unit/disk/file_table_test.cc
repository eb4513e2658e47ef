#include "disk/file_table.h"

#include <gtest/gtest.h>

namespace ostraka::disk {
namespace {

using Claim = FileTable::Claim;

class FileTableTest : public testing::Test {
 protected:
  static DataId file(std::uint8_t n) {
    DataId id;
    id.bytes.fill(n);
    return id;
  }
  // Removes what was handed over; gives how many files went.
  std::size_t unlink() {
    std::size_t gone = 0;
    for (const DataId& data : std::exchange(handed_over_, {}))
      table_->remove_file(data, [&](const DataId&) { ++gone; });
    return gone;
  }
  void stage(const DataId& data) {
    table_->begin_write(data);
    table_->staged(data, false);
  }

  std::vector<DataId> handed_over_;
  std::shared_ptr<FileTable> table_ = std::make_shared<FileTable>([this](std::vector<DataId> files) {
    handed_over_.insert(handed_over_.end(), files.begin(), files.end());
  });
  const DataId a_ = file(1);
  const std::vector<DataId> only_a_ = {a_};
};

TEST_F(FileTableTest, AFileFoundOnDiskIsTakenOnlyWhileTheLookLasts) {
  EXPECT_EQ(table_->claim(a_, false), Claim::unknown);
  table_->begin_look(only_a_);
  EXPECT_EQ(table_->claim(a_, false), Claim::unknown) << "not found yet";
  EXPECT_EQ(table_->claim(a_, true), Claim::taken);
  table_->settle_claims(only_a_, true);
  table_->end_look(only_a_);
  EXPECT_EQ(table_->claim(a_, true), Claim::unknown);
}

TEST_F(FileTableTest, AFileUnlinkedSinceItWasFoundIsNotTaken) {
  table_->begin_look(only_a_);
  table_->drop(VersionId{1, 1}, only_a_);
  EXPECT_EQ(table_->claim(a_, true), Claim::going);
  EXPECT_EQ(unlink(), 1U);
  EXPECT_EQ(table_->claim(a_, true), Claim::going) << "it is gone by now";
  table_->end_look(only_a_);
  EXPECT_EQ(table_->claim(a_, false), Claim::unknown) << "to be looked up again";
}

TEST_F(FileTableTest, WhatACommitFoundIsNotUnlinkedByALaggard) {
  table_->begin_write(a_);  // a slow writer, whose file is there with its footer already
  table_->begin_look(only_a_);
  ASSERT_EQ(table_->claim(a_, true), Claim::taken);
  table_->staged(a_, false);
  table_->discard(a_);
  EXPECT_EQ(unlink(), 0U) << "a commit has it";
  table_->settle_claims(only_a_, true);
  table_->end_look(only_a_);
  EXPECT_EQ(unlink(), 0U);
  table_->discard(a_);
  EXPECT_EQ(unlink(), 0U);
}

TEST_F(FileTableTest, ACommittedFileSurvivesTheEndOfAWriterThatWasSlow) {
  table_->begin_write(a_);
  table_->begin_look(only_a_);
  ASSERT_EQ(table_->claim(a_, true), Claim::taken);
  table_->settle_claims(only_a_, true);
  table_->end_look(only_a_);
  table_->staged(a_, false);
  table_->discard(a_);
  EXPECT_EQ(unlink(), 0U);

  table_->begin_write(a_);
  table_->begin_look(only_a_);
  ASSERT_EQ(table_->claim(a_, true), Claim::taken);
  table_->settle_claims(only_a_, true);
  table_->end_look(only_a_);
  EXPECT_FALSE(table_->abandoned(a_, true));
}

TEST_F(FileTableTest, ADiscardDuringACommitThatFailsIsDoneAfterwards) {
  stage(a_);
  ASSERT_EQ(table_->claim(a_, false), Claim::taken);
  table_->discard(a_);
  EXPECT_EQ(unlink(), 0U);
  table_->settle_claims(only_a_, false);
  EXPECT_EQ(unlink(), 1U);
}

TEST_F(FileTableTest, OneOfTwoClaimsThatFailsLeavesTheOther) {
  stage(a_);
  ASSERT_EQ(table_->claim(a_, false), Claim::taken);
  ASSERT_EQ(table_->claim(a_, false), Claim::taken);
  table_->settle_claims(only_a_, false);
  table_->discard(a_);
  EXPECT_EQ(unlink(), 0U);
  table_->settle_claims(only_a_, true);
  EXPECT_EQ(unlink(), 0U);
}

TEST_F(FileTableTest, AHealThatIsGivenUpIsForgottenAndItsFileStays) {
  table_->begin_write(a_);
  table_->staged(a_, true);
  EXPECT_EQ(table_->orphans(only_a_, false)->size(), 0U);
  table_->discard(a_);
  EXPECT_EQ(unlink(), 0U);
  EXPECT_EQ(table_->orphans(only_a_, false)->size(), 1U) << "the table knows nothing of it any more";
}

TEST_F(FileTableTest, AnAbandonedFileIsItsWritersAlone) {
  table_->begin_write(a_);
  EXPECT_FALSE(table_->abandoned(a_, false)) << "he never made one";
  table_->begin_write(a_);
  ASSERT_TRUE(table_->abandoned(a_, true));
  EXPECT_EQ(table_->claim(a_, false), Claim::going);
  bool gone = false;
  table_->remove_file(a_, [&](const DataId&) { gone = true; });
  EXPECT_TRUE(gone);
  EXPECT_EQ(table_->claim(a_, false), Claim::unknown);
}

TEST_F(FileTableTest, OrphansAreWhatNobodyKnows) {
  const std::vector<DataId> all = {file(1), file(2), file(3), file(4), file(5), file(6)};
  stage(file(1));
  table_->begin_write(file(2));
  table_->begin_look(std::span(all).subspan(2, 1));
  ASSERT_TRUE(table_->begin_search());
  EXPECT_FALSE(table_->begin_search()) << "one at a time";
  EXPECT_EQ(table_->claim(file(4), false), Claim::unknown) << "a commit names it now";
  table_->drop(VersionId{1, 1}, {file(5)});
  EXPECT_EQ(*table_->orphans(all, true), (std::vector<DataId>{file(6)}));
  EXPECT_EQ(table_->claim(file(6), false), Claim::going) << "no commit gets it any more";
  table_->begin_write(file(6));
  table_->remove_file(file(6), [](const DataId&) { ADD_FAILURE() << "it is written anew"; });
  table_->end_search();
  EXPECT_TRUE(table_->begin_search());
}

TEST_F(FileTableTest, TheRestOfAHealIsLeftToAHealThatIsAtWork) {
  int removed = 0;
  const auto remove = [&](const DataId&) { ++removed; };
  table_->begin_write(a_);
  EXPECT_FALSE(table_->remove_leftover(a_, remove));
  EXPECT_EQ(removed, 0);
  EXPECT_FALSE(table_->abandoned(a_, false));
  EXPECT_TRUE(table_->remove_leftover(a_, remove));
  EXPECT_EQ(removed, 1);
}

}  // namespace
}  // namespace ostraka::disk
