// What every Drive must do for multipart uploads: the part of DriveSuite that is about who owns the parts'
// files.
#pragma once

#include "tests/unit/disk/drive_caller.h"

namespace ostraka::disk {

template <class Backend>
class DriveUploadSuite : public testing::Test {
 protected:
  Backend backend_;
  DriveCaller call_{backend_.drive(), backend_.shard(), backend_.clock()};
};
TYPED_TEST_SUITE_P(DriveUploadSuite);

// An upload with two parts: part rows 1 and 2 own the files 1 and 2.
template <class Caller>
void begin_upload(Caller& c) {
  VersionRecord upload = c.record(1, RecordKind::upload);
  upload.upload_id = "UP";
  ASSERT_EQ(c.verdict(c.ref("k", KeySpace::upload, "UP"), upload), Verdict::ok);
  for (std::uint8_t n = 1; n <= 2; ++n) {
    ASSERT_TRUE(c.stage(n, kBody));
    VersionRecord part = c.file_record(1U + n, {{n, kBody}});
    part.kind = RecordKind::part;
    part.upload_id = "UP";
    part.parts[0].number = n;
    const std::string sub = std::string("UP\0", 3) + static_cast<char>(n);
    ASSERT_EQ(c.verdict(c.ref("k", KeySpace::part, sub), part), Verdict::ok);
    c.retire(c.ref("k", KeySpace::part, sub), 1U + n);
  }
}
template <class Caller>
VersionRecord completed(Caller& c, unsigned n, std::vector<std::uint8_t> parts) {
  VersionRecord record = c.record(n);
  record.upload_id = "UP";
  for (const std::uint8_t number : parts) {
    PartRecord part;
    part.number = number;
    part.size = kBody;
    part.data = data_id(number);
    record.size += kBody;
    record.parts.push_back(part);
  }
  return record;
}

TYPED_TEST_P(DriveUploadSuite, ACompletedUploadTakesItsPartsOverOnceItIsFinal) {
  auto& c = this->call_;
  begin_upload(c);
  ASSERT_EQ(c.verdict(c.ref("k"), completed(c, 9, {2})), Verdict::ok) << "part rows own the files";
  ListSpec parts;
  parts.space = KeySpace::part;
  EXPECT_EQ(c.list(parts).size(), 2U) << "the upload is there until the version is final";
  c.retire(c.ref("k"), 9);
  EXPECT_TRUE(c.list(parts).empty());
  const auto upload = c.wait(c.drive().read(c.ctx(), c.ref("k", KeySpace::upload, "UP"), {}));
  ASSERT_TRUE(upload);
  ASSERT_EQ(upload->state.versions.size(), 1U);
  EXPECT_TRUE(upload->state.versions[0].tombstone) << "for the drives that missed the end";
  EXPECT_EQ(upload->state.versions[0].id, c.id(9));
  EXPECT_EQ(upload->state.final_id, c.id(9));
  const auto purged = c.wait(c.drive().purge(c.ctx(), c.ref("k", KeySpace::upload, "UP"), c.id(9)));
  ASSERT_TRUE(purged);
  EXPECT_EQ(*purged, Verdict::ok);
  EXPECT_TRUE(c.file_goes(1, kBody)) << "a part that the version does not name";
  EXPECT_TRUE(c.has_file(2, kBody));
  ASSERT_EQ(c.verdict(c.ref("k"), c.inline_record(10), kShard), Verdict::ok);
  c.retire(c.ref("k"), 10);
  EXPECT_TRUE(c.file_goes(2, kBody)) << "the version owned it, and was replaced";
}

TYPED_TEST_P(DriveUploadSuite, AWithdrawnCompletionLeavesTheUploadWhole) {
  auto& c = this->call_;
  begin_upload(c);
  ASSERT_EQ(c.verdict(c.ref("k"), completed(c, 9, {1, 2})), Verdict::ok);
  ASSERT_TRUE(c.wait(c.drive().withdraw(c.ctx(), c.ref("k"), c.id(9))));
  c.flush();
  EXPECT_TRUE(c.has_file(1, kBody));
  EXPECT_TRUE(c.has_file(2, kBody));
  ASSERT_EQ(c.verdict(c.ref("k"), completed(c, 11, {1, 2})), Verdict::ok) << "and it can be completed again";
  c.retire(c.ref("k"), 11);
  c.flush();
  EXPECT_TRUE(c.has_file(1, kBody));
}

TYPED_TEST_P(DriveUploadSuite, ACompletionIsTakenWhereAPartWasMissed) {
  auto& c = this->call_;
  begin_upload(c);
  ASSERT_EQ(c.verdict(c.ref("k"), completed(c, 9, {1, 2, 3})), Verdict::ok) << "part 3 lies on other drives";
  c.retire(c.ref("k"), 9);
  EXPECT_TRUE(c.has_file(1, kBody));
  EXPECT_EQ(c.verdict(c.ref("other"), completed(c, 10, {3})), Verdict::refused) << "no such upload is open";
}

TYPED_TEST_P(DriveUploadSuite, ACompletionWithAReplacedPartIsRefused) {
  auto& c = this->call_;
  begin_upload(c);
  VersionRecord stale = completed(c, 9, {1, 2});
  stale.parts[1].data = data_id(77);
  EXPECT_EQ(c.verdict(c.ref("k"), stale), Verdict::refused);
}

TYPED_TEST_P(DriveUploadSuite, APartUploadedAgainReplacesItsFile) {
  auto& c = this->call_;
  begin_upload(c);
  ASSERT_TRUE(c.stage(7, kBody));
  VersionRecord part = c.file_record(20, {{7, kBody}});
  part.kind = RecordKind::part;
  part.upload_id = "UP";
  part.parts[0].number = 1;
  const auto ref = c.ref("k", KeySpace::part, std::string("UP\0\x01", 4));
  ASSERT_EQ(c.verdict(ref, part), Verdict::ok);
  c.retire(ref, 20);
  EXPECT_TRUE(c.file_goes(1, kBody));
  EXPECT_TRUE(c.has_file(7, kBody));
  EXPECT_TRUE(c.has_file(2, kBody));
}

TYPED_TEST_P(DriveUploadSuite, AnAbortedUploadLosesItsFiles) {
  auto& c = this->call_;
  begin_upload(c);
  const auto ref = c.ref("k", KeySpace::part, std::string("UP\0\x02", 4));
  VersionRecord stone = c.record(30, RecordKind::tombstone);
  stone.upload_id = "UP";
  ASSERT_EQ(c.verdict(ref, stone), Verdict::ok);
  EXPECT_TRUE(c.has_file(2, kBody));
  c.retire(ref, 30);
  EXPECT_TRUE(c.file_goes(2, kBody));
  const auto purged = c.wait(c.drive().purge(c.ctx(), ref, c.id(30)));
  ASSERT_TRUE(purged);
  EXPECT_EQ(*purged, Verdict::ok);
}

REGISTER_TYPED_TEST_SUITE_P(DriveUploadSuite, ACompletedUploadTakesItsPartsOverOnceItIsFinal,
                            AWithdrawnCompletionLeavesTheUploadWhole, ACompletionIsTakenWhereAPartWasMissed,
                            ACompletionWithAReplacedPartIsRefused, APartUploadedAgainReplacesItsFile,
                            AnAbortedUploadLosesItsFiles);

}  // namespace ostraka::disk
