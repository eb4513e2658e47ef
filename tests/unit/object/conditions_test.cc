#include <gtest/gtest.h>

#include "object/object_layer.h"

namespace ostraka::object {
namespace {

disk::VersionRecord object() {
  disk::VersionRecord record;
  record.etag = "abc";
  record.size = 10;
  record.modified_ms = 1'700'000'000'500;  // half a second that HTTP dates cannot show
  return record;
}
constexpr std::int64_t kModified = 1'700'000'000'000;
constexpr std::int64_t kBefore = kModified - 1000;
constexpr std::int64_t kAfter = kModified + 1000;

TEST(CheckRead, NothingAskedNothingRefused) {
  EXPECT_FALSE(Conditions{}.any());
  EXPECT_TRUE(check_read({}, object()).has_value());
}

TEST(CheckRead, Single) {
  Conditions c;
  c.if_match = {"abc"};
  EXPECT_TRUE(check_read(c, object()).has_value());
  c.if_match = {"x", "*"};
  EXPECT_TRUE(check_read(c, object()).has_value());
  c.if_match = {"x"};
  EXPECT_TRUE(check_read(c, object()).failed_with(Errc::precondition_failed));
  c = {};
  c.if_none_match = {"x"};
  EXPECT_TRUE(check_read(c, object()).has_value());
  c.if_none_match = {"x", "abc"};
  EXPECT_TRUE(check_read(c, object()).failed_with(Errc::not_modified));
  c = {};
  c.if_modified_since_ms = kBefore;
  EXPECT_TRUE(check_read(c, object()).has_value());
  c.if_modified_since_ms = kModified;
  EXPECT_TRUE(check_read(c, object()).failed_with(Errc::not_modified));
  c = {};
  c.if_unmodified_since_ms = kModified;
  EXPECT_TRUE(check_read(c, object()).has_value());
  c.if_unmodified_since_ms = kBefore;
  EXPECT_TRUE(check_read(c, object()).failed_with(Errc::precondition_failed));
}

TEST(CheckRead, ETagsOverrideDates) {
  Conditions c;
  c.if_match = {"abc"};
  c.if_unmodified_since_ms = kBefore;
  EXPECT_TRUE(check_read(c, object()).has_value());
  c = {};
  c.if_none_match = {"x"};
  c.if_modified_since_ms = kAfter;
  EXPECT_TRUE(check_read(c, object()).has_value());
  c = {};
  c.if_none_match = {"abc"};
  c.if_modified_since_ms = kBefore;
  EXPECT_TRUE(check_read(c, object()).failed_with(Errc::not_modified));
  c = {};
  c.if_match = {"x"};
  c.if_none_match = {"abc"};
  EXPECT_TRUE(check_read(c, object()).failed_with(Errc::precondition_failed));
}

TEST(CheckWrite, CreateOnly) {
  Conditions c;
  c.if_none_match = {"*"};
  const auto there = object();
  EXPECT_TRUE(check_write(c, nullptr).has_value());
  EXPECT_TRUE(check_write(c, &there).failed_with(Errc::precondition_failed));
  disk::VersionRecord marker = object();
  marker.kind = disk::RecordKind::delete_marker;
  EXPECT_TRUE(check_write(c, &marker).has_value());
}

TEST(CheckWrite, ReplaceOnly) {
  Conditions c;
  c.if_match = {"abc"};
  auto there = object();
  EXPECT_TRUE(check_write(c, &there).has_value());
  EXPECT_TRUE(check_write(c, nullptr).failed_with(Errc::no_such_key));
  there.etag = "other";
  EXPECT_TRUE(check_write(c, &there).failed_with(Errc::precondition_failed));
}

TEST(CheckWrite, DeleteConditions) {
  const auto there = object();
  Conditions c;
  c.if_match_size = 10;
  EXPECT_TRUE(check_write(c, &there).has_value());
  EXPECT_TRUE(check_write(c, nullptr).failed_with(Errc::no_such_key));
  c.if_match_size = 11;
  EXPECT_TRUE(check_write(c, &there).failed_with(Errc::precondition_failed));
  c = {};
  c.if_match_last_modified_ms = kModified;
  EXPECT_TRUE(check_write(c, &there).has_value());
  c.if_match_last_modified_ms = kAfter;
  EXPECT_TRUE(check_write(c, &there).failed_with(Errc::precondition_failed));
}

}  // namespace
}  // namespace ostraka::object
