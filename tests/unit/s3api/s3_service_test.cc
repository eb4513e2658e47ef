// What holds for every request: limits, order of the checks, broken connections, metrics, the log.
#include "s3api/s3_service.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "s3api/access_log.h"
#include "tests/unit/s3api/s3_bench.h"

namespace ostraka::s3api {
namespace {

TEST(S3Service, AnswersSlowDownBeyondTheLimit) {
  S3Config config = S3Bench::default_config();
  config.requests_max = 0;
  S3Bench bench(config);
  const TestResponse answer = bench.exchange("GET", "/");
  EXPECT_EQ(answer.status, 503U);
  EXPECT_NE(answer.body.find("<Code>SlowDown</Code>"), std::string::npos);
}

TEST(S3Service, GivesItsSlotBack) {
  S3Config config = S3Bench::default_config();
  config.requests_max = 1;
  S3Bench bench(config);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(bench.exchange("GET", "/").status, 200U);
}

// A client that waits for "100 Continue" gets it with the first read of the body.
TEST(S3Service, ReadsNoBodyThatItWillNotStore) {
  S3Bench bench;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  ASSERT_EQ(bench.exchange("PUT", "/bucket/key", "old").status, 200U);
  const auto body_read = [&bench](Sign sign, std::string target, net::Headers headers, unsigned status) {
    TestRequest request;
    request.method = "PUT";
    request.target = std::move(target);
    request.body = "new bytes";
    request.sign = sign;
    request.headers = std::move(headers);
    const TestResponse answer = bench.exchange(std::move(request));
    EXPECT_EQ(answer.status, status) << answer.body;
    return answer.body_read;
  };
  EXPECT_EQ(body_read(Sign::anonymous, "/bucket/key", {}, 403), 0U);
  EXPECT_EQ(body_read(Sign::header, "/missing/key", {}, 404), 0U);
  EXPECT_EQ(body_read(Sign::header, "/bucket/key", {{"If-None-Match", "*"}}, 412), 0U);
  EXPECT_EQ(body_read(Sign::header, "/bucket/key", {{"Content-MD5", "nonsense"}}, 400), 0U);
  EXPECT_EQ(body_read(Sign::header, "/bucket/key", {{"x-amz-storage-class", "none"}}, 400), 0U);
  EXPECT_EQ(body_read(Sign::header, "/bucket?policy", {}, 501), 0U);
  EXPECT_EQ(body_read(Sign::header, "/bucket/key", {}, 200), 9U);
}

// A client's parser takes no document that is not UTF-8, whatever the request was.
TEST(S3Service, AnswersBadBytesInADocumentThatCanBeParsed) {
  S3Bench bench;
  TestRequest request;
  request.method = "GET";
  request.target = "/\xff\xfe/key";
  request.sign = Sign::anonymous;
  const TestResponse target = bench.exchange(std::move(request));
  EXPECT_EQ(target.status, 400U);
  EXPECT_TRUE(is_utf8(target.body));
  EXPECT_NE(target.body.find("<Resource>/%FF%FE/key</Resource>"), std::string::npos) << target.body;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  TestRequest put;
  put.method = "PUT";
  put.target = "/bucket/key";
  put.headers = {{"x-amz-storage-class", "\xff"}};
  const TestResponse header = bench.exchange(std::move(put));
  EXPECT_EQ(header.status, 400U);
  EXPECT_TRUE(is_utf8(header.body));
}

// The second would be a checksum that nobody verifies.
TEST(S3Service, RefusesASecondTrailer) {
  S3Bench bench;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  TestRequest request;
  request.method = "PUT";
  request.target = "/bucket/key";
  request.sign = Sign::unsigned_trailer;
  request.headers = {{"x-amz-trailer", "x-amz-checksum-crc32"}};
  request.trailer = "x-amz-checksum-crc32:NhCmhg==\r\nx-amz-checksum-crc32:NhCmhQ==";
  request.body = "hello";
  const TestResponse answer = bench.exchange(std::move(request));
  EXPECT_NE(answer.body.find("<Code>MalformedTrailerError</Code>"), std::string::npos) << answer.body;
  EXPECT_EQ(bench.exchange("HEAD", "/bucket/key").status, 404U);
}

TEST(S3Service, RefusesABodyThatIsNotTheSignedOne) {
  S3Bench bench;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  TestRequest request;
  request.method = "PUT";
  request.target = "/bucket/key";
  request.body = "hello";
  request.body_on_the_way = "jello";
  const TestResponse answer = bench.exchange(std::move(request));
  EXPECT_EQ(answer.status, 400U);
  EXPECT_NE(answer.body.find("<Code>XAmzContentSHA256Mismatch</Code>"), std::string::npos) << answer.body;
  EXPECT_EQ(bench.exchange("HEAD", "/bucket/key").status, 404U);
}

TEST(S3Service, SaysWhoseFaultAShortBodyIs) {
  S3Bench bench;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  const auto cut = [&bench](Errc how) {
    TestRequest request;
    request.method = "PUT";
    request.target = "/bucket/key";
    request.body = std::string(5000, 'x');
    request.cut_body_at = 3000;
    request.cut_with = how;
    return bench.exchange(std::move(request));
  };
  EXPECT_NE(cut(Errc::incomplete_body).body.find("<Code>IncompleteBody</Code>"), std::string::npos);
  const TestResponse slow = cut(Errc::deadline);
  EXPECT_EQ(slow.status, 400U);
  EXPECT_NE(slow.body.find("<Code>RequestTimeout</Code>"), std::string::npos);
  EXPECT_EQ(cut(Errc::closed).status, 0U);  // nobody is there to be told
  EXPECT_EQ(bench.exchange("HEAD", "/bucket/key").status, 404U);
}

TEST(S3Service, MapsErrorsOfTheObjectLayer) {
  S3Bench bench;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  const auto code_after = [&bench](Errc errc) {
    bench.layer.fail_next(errc);
    const TestResponse answer = bench.exchange("GET", "/bucket/key");
    const std::size_t begin = answer.body.find("<Code>") + 6;
    return std::to_string(answer.status) + " " +
           answer.body.substr(begin, answer.body.find("</Code>") - begin);
  };
  EXPECT_EQ(code_after(Errc::unavailable), "503 ServiceUnavailable");
  EXPECT_EQ(code_after(Errc::in_doubt), "503 ServiceUnavailable");
  EXPECT_EQ(code_after(Errc::deadline), "503 ServiceUnavailable");
  EXPECT_EQ(code_after(Errc::closed), "503 ServiceUnavailable");
  EXPECT_EQ(code_after(Errc::overloaded), "503 SlowDown");
  EXPECT_EQ(code_after(Errc::no_space), "507 InsufficientStorage");
  EXPECT_EQ(code_after(Errc::corrupt), "500 InternalError");
  EXPECT_EQ(code_after(Errc::internal), "500 InternalError");
  EXPECT_EQ(code_after(Errc::conflict), "409 ConditionalRequestConflict");
  EXPECT_EQ(code_after(Errc::method_not_allowed), "405 MethodNotAllowed");
}

TEST(S3Service, KeepsDetailsOfItsOwnErrorsToItself) {
  S3Bench bench;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  bench.layer.fail_next(Errc::internal);
  EXPECT_EQ(bench.exchange("GET", "/bucket/key").body.find("told to fail"), std::string::npos);
}

TEST(S3Service, FailsProperlyBeforeTheFirstByteAndCutsAfterIt) {
  S3Bench bench;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  ASSERT_EQ(bench.exchange("PUT", "/bucket/key", std::string(200'000, 'x')).status, 200U);
  bench.layer.fail_reads_after(0);
  EXPECT_EQ(bench.exchange("GET", "/bucket/key").status, 503U);
  bench.layer.fail_reads_after(100'000);
  const TestResponse cut = bench.exchange("GET", "/bucket/key");
  EXPECT_EQ(cut.status, 200U);
  EXPECT_FALSE(cut.complete);
  EXPECT_LT(cut.body.size(), 200'000U);
  EXPECT_EQ(cut.body.find('<'), std::string::npos);
  bench.layer.fail_reads_after(std::nullopt);
  const TestResponse whole = bench.exchange("GET", "/bucket/key");
  EXPECT_TRUE(whole.complete);
  EXPECT_EQ(whole.body, std::string(200'000, 'x'));
}

TEST(S3Service, CountsRequests) {
  S3Bench bench;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  ASSERT_EQ(bench.exchange("PUT", "/bucket/key", "hello").status, 200U);
  ASSERT_EQ(bench.exchange("GET", "/bucket/key").status, 200U);
  ASSERT_EQ(bench.exchange("GET", "/bucket/none").status, 404U);
  const std::string text = bench.metrics.prometheus_text();
  const auto has = [&text](std::string_view line) { return text.find(line) != std::string::npos; };
  EXPECT_TRUE(has("ostraka_s3_requests_total{operation=\"GetObject\",status=\"200\"} 1\n")) << text;
  EXPECT_TRUE(has("ostraka_s3_requests_total{operation=\"GetObject\",status=\"404\"} 1\n"));
  EXPECT_TRUE(has("ostraka_s3_requests_total{operation=\"PutObject\",status=\"200\"} 1\n"));
  EXPECT_TRUE(has("ostraka_s3_request_seconds_count{operation=\"GetObject\"} 2\n"));
  EXPECT_TRUE(has("ostraka_s3_received_bytes_total 5\n"));
  EXPECT_TRUE(has("ostraka_s3_requests_in_flight 0\n"));
}

TEST(S3Service, LeavesLogLinesThatCannotBeForged) {
  const std::string line = access_line({.request_id = "ID",
                                        .remote = "192.0.2.1:1",
                                        .operation = "GetObject",
                                        .bucket = "bucket",
                                        .key = "a b\n\"status=200",
                                        .method = "GET",
                                        .error = "NoSuchKey",
                                        .user_agent = "x\" \r\n\\ y",
                                        .status = 404,
                                        .bytes_in = 1,
                                        .bytes_out = 2,
                                        .us = 3});
  EXPECT_EQ(
      line,
      "access request_id=ID remote=192.0.2.1:1 access_key=- method=GET operation=GetObject bucket=bucket "
      "key=a%20b%0A%22status%3D200 status=404 error=NoSuchKey bytes_in=1 bytes_out=2 us=3 "
      "user_agent=\"x\\\" \\x0d\\x0a\\\\ y\"");
}

TEST(S3Service, RefusesTooManyKeysInOneDelete) {
  S3Bench bench;
  ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U);
  const auto status_of = [&bench](int keys) {
    std::string body = "<Delete>";
    for (int i = 0; i < keys; ++i) body += "<Object><Key>k" + std::to_string(i) + "</Key></Object>";
    body += "</Delete>";
    net::Headers headers;
    headers.add("x-amz-sdk-checksum-algorithm", "CRC32");
    const auto checksum = make_checksum(ChecksumAlgorithm::crc32);
    checksum->update(as_bytes(body));
    headers.add("x-amz-checksum-crc32", base64(checksum->finish()));
    return bench.exchange("POST", "/bucket?delete", body, headers).status;
  };
  EXPECT_EQ(status_of(1000), 200U);
  EXPECT_EQ(status_of(1001), 400U);
}

}  // namespace
}  // namespace ostraka::s3api
