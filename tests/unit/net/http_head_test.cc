#include "net/http_head.h"

#include <gtest/gtest.h>

#include "net/address.h"

namespace ostraka::net {
namespace {

std::string with(const std::string& fields) {
  return "PUT /b/k?x=%20 HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

TEST(HttpHeadTest, ParsesWhatIsThere) {
  const auto parsed = parse_request(
      "PUT /b/%C3%A9%2F?acl&x=a%20b HTTP/1.1\r\nhost:  example.org \r\nX-Amz-Meta-A: \r\nX-Amz-Meta-A: two  "
      "words\t\r\n"
      "content-length: 0012\r\nExpect: 100-Continue\r\n\r\n");
  ASSERT_TRUE(parsed) << parsed.error().detail;
  const RequestHead& head = parsed->head;
  EXPECT_EQ(head.method, Method::put);
  EXPECT_EQ(head.method_text, "PUT");
  EXPECT_EQ(head.target, "/b/%C3%A9%2F?acl&x=a%20b");
  EXPECT_EQ(head.headers.get("HOST"), "example.org");
  ASSERT_EQ(head.headers.all().size(), 5U);
  EXPECT_EQ(head.headers.all()[1], Header("X-Amz-Meta-A", ""));
  EXPECT_EQ(head.headers.all()[2], Header("X-Amz-Meta-A", "two  words"));
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_FALSE(head.chunked);
  EXPECT_TRUE(parsed->keep_alive);
  EXPECT_TRUE(parsed->expects_continue);
}

TEST(HttpHeadTest, Framing) {
  EXPECT_EQ(parse_head(with("")).value().content_length, 0U);
  const auto chunked = parse_head(with("Transfer-Encoding: Chunked\r\n"));
  ASSERT_TRUE(chunked);
  EXPECT_TRUE(chunked->chunked);
  EXPECT_FALSE(chunked->content_length);
  EXPECT_EQ(parse_head(with("Content-Length: 5\r\nContent-Length: 5\r\n")).value().content_length, 5U);
  EXPECT_TRUE(parse_request(with("Expect: 100-continue\r\n"))->expects_continue);  // also without a body
  EXPECT_FALSE(parse_request(with("Connection: close\r\n"))->keep_alive);
  EXPECT_FALSE(parse_request("GET / HTTP/1.0\r\n\r\n")->keep_alive);
  EXPECT_TRUE(parse_request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")->keep_alive);
}

TEST(HttpHeadTest, MethodsAreCaseSensitiveAndUnknownOnesKept) {
  EXPECT_EQ(parse_head("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n")->method, Method::delete_);
  EXPECT_EQ(parse_head("PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n")->method, Method::other);
  const auto lower = parse_head("get / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(lower);
  EXPECT_EQ(lower->method, Method::other);
  EXPECT_EQ(lower->method_text, "get");
}

TEST(HttpHeadTest, RefusesWhatTwoPartiesCouldReadInTwoWays) {
  using namespace std::string_literals;
  const std::vector<std::string> bad = {
      with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
      with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
      with("Content-Length: 5\r\nContent-Length: 6\r\n"),
      with("Content-Length: 5, 5\r\n"),
      with("Content-Length: +5\r\n"),
      with("Content-Length: -5\r\n"),
      with("Content-Length: 0x5\r\n"),
      with("Content-Length: \r\n"),
      with("Content-Length: 99999999999999999999999\r\n"),
      with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
      with("X: a\r\n b\r\n"),
      with("X: a\r\n\tb\r\n"),
      with("X : a\r\n"),
      with(" X: a\r\n"),
      with("X: a\0b\r\n"s),
      with("X\0: a\r\n"s),
      with("X: a\nY: b\r\n"),
      with("X: a\rY: b\r\n"),
      with("X\r\n"),
      with(": a\r\n"),
      with("Host: other\r\n"),
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\nHost: h\n\n",
      "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
      "GET / a HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\n\r\nmore",
      "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
      "",
  };
  for (const std::string& bytes : bad) EXPECT_TRUE(parse_head(bytes).failed_with(Errc::malformed)) << bytes;
}

TEST(HttpHeadTest, TransferCodingsOtherThanChunkedAreNotImplemented) {
  EXPECT_TRUE(parse_head(with("Transfer-Encoding: gzip, chunked\r\n")).failed_with(Errc::not_implemented));
  EXPECT_TRUE(parse_head(with("Transfer-Encoding: identity\r\n")).failed_with(Errc::not_implemented));
  EXPECT_TRUE(parse_head(with("Transfer-Encoding: xchunked\r\n")).failed_with(Errc::not_implemented));
}

TEST(HttpHeadTest, Limits) {
  const std::string target(kMaxTargetBytes - 1, 'a');
  EXPECT_TRUE(parse_head("GET /" + target + " HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(parse_head("GET /a" + target + " HTTP/1.1\r\nHost: h\r\n\r\n").failed_with(Errc::too_large));
  EXPECT_TRUE(
      parse_head(with("X: " + std::string(kMaxHeadBytes, 'a') + "\r\n")).failed_with(Errc::too_large));
  std::string fields;
  for (std::size_t i = 0; i < kMaxHeadFields; ++i) fields += "X: y\r\n";
  EXPECT_TRUE(parse_head(with(fields)).failed_with(Errc::too_large));
}

TEST(HttpHeadTest, FindsTheEndAcrossTheSeam) {
  const std::string text = "GET / HTTP/1.1\r\n\r\nbody";
  for (std::size_t seen = 0; seen <= text.size(); ++seen) {
    const auto early = find_head_end(text.substr(0, seen));
    EXPECT_EQ(early.has_value(), seen >= 18);
    EXPECT_EQ(find_head_end(text, early ? 0 : seen), 18U);
  }
}

TEST(HttpHeadTest, Responses) {
  const auto parsed =
      parse_response("HTTP/1.1 206 Partial Content\r\nContent-Length: 7\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(parsed->status, 206U);
  EXPECT_EQ(parsed->content_length, 7U);
  EXPECT_FALSE(parsed->keep_alive);
  EXPECT_TRUE(parse_response("SSH-2.0-x\r\n\r\n").failed_with(Errc::malformed));
}

TEST(AddressTest, HostAndPort) {
  EXPECT_EQ(parse_host_port("127.0.0.1:9000")->port, 9000);
  EXPECT_EQ(parse_host_port("[::1]:80")->host, "::1");
  EXPECT_EQ(parse_host_port(":80")->host, "");
  EXPECT_EQ(to_string(HostPort{"::1", 80}), "[::1]:80");
  EXPECT_EQ(to_string(HostPort{"a", 1}), "a:1");
  for (const char* bad : {"", "a", "a:", "a:x", "a:65536", "::1:80", "[::1]", "[]:80", "a]:80", "a:-1"}) {
    const auto parsed = parse_host_port(bad);
    ASSERT_TRUE(parsed.failed_with(Errc::invalid_argument)) << bad;
    EXPECT_NE(parsed.error().detail.find(bad), std::string::npos);
  }
}

TEST(HeadersTest, SetReplacesAllOfTheName) {
  Headers headers{{"A", "1"}, {"b", "2"}, {"a", "3"}};
  headers.set("a", "4");
  EXPECT_EQ(headers.all(), (std::vector<Header>{{"A", "4"}, {"b", "2"}}));
  headers.set("c", "5");
  EXPECT_EQ(headers.get("C"), "5");
  EXPECT_EQ(headers.find("d"), nullptr);
}

}  // namespace
}  // namespace ostraka::net
