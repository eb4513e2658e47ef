#include "iam/canonical.h"

#include <gtest/gtest.h>

namespace ostraka::iam {
namespace {

std::string path(std::string_view raw) {
  std::string out;
  return append_canonical_path(out, raw) ? out : "malformed";
}
std::string query(std::string_view raw, std::string_view left_out = {}) {
  std::string out;
  return append_canonical_query(out, raw, left_out) ? out : "malformed";
}

TEST(CanonicalPath, IsEncodedOnceAndNeverNormalised) {
  EXPECT_EQ(path(""), "/");
  EXPECT_EQ(path("/a//b/../c/./"), "/a//b/../c/./");
  EXPECT_EQ(path("/a%2Fb%20c"), "/a/b%20c");
  EXPECT_EQ(path("/a b+c~$&=@:,;!'()*"), "/a%20b%2Bc~%24%26%3D%40%3A%2C%3B%21%27%28%29%2A");
  EXPECT_EQ(path("/%c3%a9\xc3\xa9%2520"), "/%C3%A9%C3%A9%2520");
  EXPECT_EQ(path("/%41%7e"), "/A~");
  for (const char* bad : {"/%", "/%a", "/%zz", "/%2"}) EXPECT_EQ(path(bad), "malformed") << bad;
}

TEST(CanonicalQuery, IsSortedByEncodedNameThenValue) {
  EXPECT_EQ(query(""), "");
  EXPECT_EQ(query("acl"), "acl=");
  EXPECT_EQ(query("b=2&a=1&b=1&a"), "a=&a=1&b=1&b=2");
  EXPECT_EQ(query("a-b=1&a=2"), "a=2&a-b=1");  // by name: "a" < "a-b", although '-' < '='
  EXPECT_EQ(query("x=a/b&y=%2f&z=a%20b+c"), "x=a%2Fb&y=%2F&z=a%20b%20c");
  EXPECT_EQ(query("&&a=1&&"), "a=1");
  EXPECT_EQ(query("a=b=c"), "a=b%3Dc");
  EXPECT_EQ(query("B=1&a=1&%41=0"), "A=0&B=1&a=1");
  EXPECT_EQ(query("b=1&sig=x&a=1", "sig"), "a=1&b=1");
  EXPECT_EQ(query("a=%g0"), "malformed");
  EXPECT_EQ(query("%=1"), "malformed");
}

TEST(CanonicalHeaders, AreTrimmedCollapsedAndJoined) {
  const net::Headers headers{
      {"Host", "h:9000"}, {"X-Amz-Meta-A", "  a \t  b  c "}, {"x-amz-meta-a", "d"}, {"Range", "bytes=0-9"}};
  std::string out;
  append_canonical_headers(out, headers, "host;x-amz-meta-a;x-amz-absent");
  EXPECT_EQ(out, "host:h:9000\nx-amz-meta-a:a b c,d\nx-amz-absent:\n");
}

TEST(Target, SplitsEveryFormOfHttp) {
  const auto expect = [](std::string_view target, std::string_view raw_path, std::string_view raw_query) {
    const Target split = split_target(target);
    EXPECT_EQ(split.path, raw_path) << target;
    EXPECT_EQ(split.query, raw_query) << target;
  };
  expect("/a?b=c?d", "/a", "b=c?d");
  expect("/", "/", "");
  expect("/a?", "/a", "");
  expect("http://host:1/a?b", "/a", "b");
  expect("http://host", "", "");
  expect("http://host?b", "", "b");
  expect("*", "*", "");
  expect("/x://y?z", "/x://y", "z");
  expect("", "", "");
}

}  // namespace
}  // namespace ostraka::iam
