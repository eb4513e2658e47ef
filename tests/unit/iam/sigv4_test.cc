#include "iam/sigv4.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/hash.h"
#include "tests/unit/iam/auth_support.h"

namespace ostraka::iam {
namespace {

using testing::Example;
using ::testing::HasSubstr;
using testing::kAccessKey;
using testing::kExampleMs;
using testing::kNothingSha256;
using testing::request;

std::string authorization(std::string_view signed_headers, std::string_view signature) {
  return fmt::format(
      "AWS4-HMAC-SHA256 "
      "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={},Signature={}",
      signed_headers, signature);
}

std::string_view detail(const AuthFailure& failure, std::string_view name) {
  for (const auto& [key, value] : failure.details) {
    if (key == name) return value;
  }
  return {};
}

// The examples of "Signature Calculations for the Authorization Header: Transferring Payload in a Single
// Chunk".
TEST(SigV4Examples, GetObjectWithRange) {
  const Example example;
  const auto head = request(
      net::Method::get, "/test.txt",
      {{"Host", "examplebucket.s3.amazonaws.com"},
       {"Authorization", authorization("host;range;x-amz-content-sha256;x-amz-date",
                                       "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")},
       {"Range", "bytes=0-9"},
       {"x-amz-content-sha256", std::string(kNothingSha256)},
       {"x-amz-date", "20130524T000000Z"}});
  const auto result = example.verifier.verify(head);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->principal.access_key, kAccessKey);
  EXPECT_TRUE(result->principal.root);
  EXPECT_EQ(result->payload, PayloadKind::signed_hash);
  EXPECT_EQ(result->payload_sha256, kNothingSha256);
  EXPECT_EQ(result->signed_headers, "host;range;x-amz-content-sha256;x-amz-date");
  EXPECT_FALSE(result->chunk_signing);
}

TEST(SigV4Examples, PutObject) {
  const Example example;
  const auto head = request(
      net::Method::put, "/test%24file.text",
      {{"Host", "examplebucket.s3.amazonaws.com"},
       {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
       {"Authorization", authorization("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                                       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")},
       {"x-amz-date", "20130524T000000Z"},
       {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
       {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}});
  const auto result = example.verifier.verify(head);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->payload_sha256, hex(digest(DigestKind::sha256, "Welcome to Amazon S3.")));
}

net::Headers plain_headers(std::string_view signature) {
  return {{"Host", "examplebucket.s3.amazonaws.com"},
          {"x-amz-date", "20130524T000000Z"},
          {"x-amz-content-sha256", std::string(kNothingSha256)},
          {"Authorization", authorization("host;x-amz-content-sha256;x-amz-date", signature)}};
}
constexpr std::string_view kLifecycleSignature =
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";

TEST(SigV4Examples, GetBucketLifecycle) {
  const Example example;
  const auto result =
      example.verifier.verify(request(net::Method::get, "/?lifecycle", plain_headers(kLifecycleSignature)));
  EXPECT_TRUE(result) << result.error().message;
}

TEST(SigV4Examples, ListObjectsWhateverTheOrderOfTheQuery) {
  const Example example;
  const auto headers = plain_headers("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
  EXPECT_TRUE(example.verifier.verify(request(net::Method::get, "/?max-keys=2&prefix=J", headers)));
  EXPECT_TRUE(example.verifier.verify(request(net::Method::get, "/?prefix=J&max-keys=2", headers)));
  EXPECT_TRUE(example.verifier.verify(request(net::Method::get, "/?prefix=%4a&&max-keys=2", headers)));
  EXPECT_FALSE(example.verifier.verify(request(net::Method::get, "/?prefix=K&max-keys=2", headers)));
}

// The example of "Authenticating Requests: Using Query Parameters".
constexpr std::string_view kPresigned =
    "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%"
    "2Fs3%2F"
    "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

net::RequestHead presigned(std::string_view target = kPresigned, net::Headers more = {}) {
  net::Headers headers{{"Host", "examplebucket.s3.amazonaws.com"}};
  for (const auto& [name, value] : more.all()) headers.add(name, value);
  return request(net::Method::get, std::string(target), headers);
}

TEST(SigV4Examples, PresignedUrl) {
  const Example example;
  const auto result = example.verifier.verify(presigned());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->payload, PayloadKind::unsigned_payload);
  EXPECT_EQ(result->principal.user, "root");
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  const auto at = out.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return out.replace(at, from.size(), to);
}

TEST(SigV4Presigned, HoldsFromFifteenMinutesBeforeUntilItExpires) {
  Example example;
  example.clock.set(kExampleMs - 15 * 60 * 1000);
  EXPECT_TRUE(example.verifier.verify(presigned()));
  example.clock.set(kExampleMs - 15 * 60 * 1000 - 1);
  auto result = example.verifier.verify(presigned());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().s3_code, "AccessDenied");
  EXPECT_EQ(result.error().message, "Request is not yet valid");
  example.clock.set(kExampleMs + 86'400'000);
  EXPECT_TRUE(example.verifier.verify(presigned()));
  example.clock.set(kExampleMs + 86'400'001);
  result = example.verifier.verify(presigned());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().s3_code, "AccessDenied");
  EXPECT_EQ(result.error().message, "Request has expired");
  EXPECT_EQ(detail(result.error(), "Expires"), "2013-05-25T00:00:00.000Z");
}

TEST(SigV4Presigned, RefusesBadParameters) {
  const Example example;
  const struct {
    std::string_view from, to, code, message;
  } cases[] = {
      {"X-Amz-Expires=86400&", "", "AuthorizationQueryParametersError", "requires the X-Amz-Algorithm"},
      {"X-Amz-SignedHeaders=host&", "", "AuthorizationQueryParametersError", "requires the X-Amz-Algorithm"},
      {"Expires=86400", "Expires=0", "AuthorizationQueryParametersError", "positive"},
      {"Expires=86400", "Expires=604801", "AuthorizationQueryParametersError", "less than a week"},
      {"Expires=86400", "Expires=-5", "AuthorizationQueryParametersError", "should be a number"},
      {"Expires=86400", "Expires=604800", "SignatureDoesNotMatch", ""},
      {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512", "AuthorizationQueryParametersError", "X-Amz-Algorithm only"},
      {"AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "NotImplemented", "4A"},
      {"Date=20130524T000000Z", "Date=2013-05-24", "AuthorizationQueryParametersError", "ISO8601"},
      {"Date=20130524T000000Z", "Date=20130523T235959Z", "AuthorizationQueryParametersError", "not the same"},
      {"us-east-1", "eu-west-1", "AuthorizationQueryParametersError",
       "the region 'eu-west-1' is wrong; expecting 'us-east-1'"},
      {"%2Fs3%2F", "%2Fec2%2F", "AuthorizationQueryParametersError", "incorrect service"},
      {"aws4_request", "aws3_request", "AuthorizationQueryParametersError", "incorrect terminal"},
      {"%2Faws4_request", "", "AuthorizationQueryParametersError", "mal-formed"},
      {"AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF", "InvalidAccessKeyId", ""},
      {"SignedHeaders=host", "SignedHeaders=date", "AccessDenied", "not signed"},
      {"X-Amz-Date", "X-Amz-Expires=60&X-Amz-Date", "AuthorizationQueryParametersError", "more than once"},
      {"Date=20130524T000000Z", "Date=%zz", "InvalidURI", ""},
      {"/test.txt", "/test%2", "InvalidURI", ""},
      {"/test.txt", "/test.txU", "SignatureDoesNotMatch", ""},
      {"aeeed9", "aeeed8", "SignatureDoesNotMatch", ""},
      {"604d404", "604d40", "SignatureDoesNotMatch", ""},
      {"X-Amz-Date", "versionId=1&X-Amz-Date", "SignatureDoesNotMatch", ""},
      {"X-Amz-Date", "X-Amz-Security-Token=t&X-Amz-Date", "InvalidToken", ""},
  };
  for (const auto& c : cases) {
    const auto result = example.verifier.verify(presigned(replaced(kPresigned, c.from, c.to)));
    ASSERT_FALSE(result) << c.from << " > " << c.to;
    EXPECT_EQ(result.error().s3_code, c.code) << c.from << " > " << c.to;
    EXPECT_THAT(result.error().message, HasSubstr(c.message)) << c.from << " > " << c.to;
  }
}

TEST(SigV4Presigned, UnsignedAmzHeadersAreRefused) {
  const Example example;
  const auto result = example.verifier.verify(presigned(kPresigned, {{"X-Amz-Acl", "public-read"}}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().s3_code, "AccessDenied");
  EXPECT_EQ(detail(result.error(), "HeadersNotSigned"), "x-amz-acl");
}

TEST(SigV4Presigned, RoundTripWithSignedHeaders) {
  const Example example;
  net::RequestHead head = request(net::Method::put, "/b/a%20b+c/%C3%A9?partNumber=1&uploadId=x%2By",
                                  {{"Host", "localhost:9000"}, {"X-Amz-Acl", "private"}});
  head.target = presign_target(head, example.spec(), 60);
  const auto result = example.verifier.verify(head);
  EXPECT_TRUE(result) << result.error().message;
  head.headers.set("x-amz-acl", "public-read");
  EXPECT_FALSE(example.verifier.verify(head));
}

TEST(SigV4Header, TellsWhyTheSignatureDoesNotMatch) {
  const Example example;
  const auto result = example.verifier.verify(
      request(net::Method::get, "/?lifecycle", plain_headers(replaced(kLifecycleSignature, "fea4", "fea5"))));
  ASSERT_FALSE(result);
  const AuthFailure& failure = result.error();
  EXPECT_EQ(failure.s3_code, "SignatureDoesNotMatch");
  EXPECT_EQ(failure.status, 403U);
  EXPECT_EQ(detail(failure, "AWSAccessKeyId"), kAccessKey);
  EXPECT_EQ(detail(failure, "StringToSign"),
            "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
            "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca");
  EXPECT_THAT(detail(failure, "CanonicalRequest"),
              HasSubstr("GET\n/\nlifecycle=\nhost:examplebucket.s3.amazonaws.com\n"));
  EXPECT_THAT(detail(failure, "StringToSignBytes"), HasSubstr("41 57 53 34 2d"));
  EXPECT_EQ(std::string(detail(failure, "SignatureProvided")).substr(0, 4), "fea5");
}

TEST(SigV4Header, NoticesEveryTampering) {
  const Example example;
  const auto verify = [&](net::Method method, std::string_view target, const net::Headers& headers) {
    return example.verifier.verify(request(method, std::string(target), headers));
  };
  net::RequestHead good = request(net::Method::put, "/bucket/key?tagging",
                                  {{"Host", "h"}, {"x-amz-acl", "private"}, {"Content-Type", "text/plain"}});
  sign_request(good, example.spec(), "UNSIGNED-PAYLOAD");
  ASSERT_TRUE(example.verifier.verify(good));
  EXPECT_FALSE(verify(net::Method::get, good.target, good.headers));
  EXPECT_FALSE(verify(net::Method::put, "/bucket/kez?tagging", good.headers));
  EXPECT_FALSE(verify(net::Method::put, "/bucket/key?acl", good.headers));
  EXPECT_FALSE(verify(net::Method::put, "/bucket/key", good.headers));
  EXPECT_FALSE(verify(net::Method::put, "/bucket//key?tagging", good.headers));
  EXPECT_FALSE(verify(net::Method::put, "/bucket/./key?tagging", good.headers));
  for (const char* name : {"Host", "x-amz-acl", "Content-Type"}) {
    net::Headers changed = good.headers;
    changed.set(name, "other");
    EXPECT_FALSE(verify(net::Method::put, good.target, changed)) << name;
    net::Headers doubled = good.headers;
    doubled.add(name, "other");
    EXPECT_FALSE(verify(net::Method::put, good.target, doubled)) << name;
  }
  net::Headers rehashed = good.headers;
  rehashed.set("x-amz-content-sha256", std::string(kNothingSha256));
  EXPECT_FALSE(verify(net::Method::put, good.target, rehashed));
  net::Headers unsigned_header = good.headers;
  unsigned_header.add("User-Agent", "any");  // not covered and need not be
  EXPECT_TRUE(verify(net::Method::put, good.target, unsigned_header));
}

TEST(SigV4Header, RefusesByTheCodesOfS3) {
  const Example example;
  const auto with = [](std::string_view name, std::string value) {
    net::Headers headers = plain_headers(kLifecycleSignature);
    headers.set(name, std::move(value));
    return headers;
  };
  const std::string good = authorization("host;x-amz-content-sha256;x-amz-date", kLifecycleSignature);
  const struct {
    net::Headers headers;
    std::string_view code;
    unsigned status;
    std::string_view message;
  } cases[] = {
      {with("Authorization", "AWS AKIAIOSFODNN7EXAMPLE:qgk2+6Sv9/oM7G3qLEjTH1a1l1g="), "InvalidRequest", 400,
       "Version 2"},
      {with("Authorization", "AWS4-ECDSA-P256-SHA256 Credential=x"), "NotImplemented", 501, "4A"},
      {with("Authorization", "Bearer token"), "InvalidArgument", 400, "Unsupported Authorization Type"},
      {with("Authorization", ""), "InvalidArgument", 400, "Unsupported Authorization Type"},
      {with("Authorization", "AWS4-HMAC-SHA256"), "AuthorizationHeaderMalformed", 400, "missing Credential"},
      {with("Authorization", "AWS4-HMAC-SHA256 nonsense"), "AuthorizationHeaderMalformed", 400, "expecting"},
      {with("Authorization", good + ",Signature=00"), "AuthorizationHeaderMalformed", 400, "expecting"},
      {with("Authorization", replaced(good, "SignedHeaders=host;x-amz-content-sha256;x-amz-date,", "")),
       "AuthorizationHeaderMalformed", 400, "missing SignedHeaders"},
      {with("Authorization", replaced(good, "/20130524/us-east-1", "")), "AuthorizationHeaderMalformed", 400,
       "mal-formed"},
      {with("Authorization", replaced(good, "us-east-1", "us-west-2")), "AuthorizationHeaderMalformed", 400,
       "the region 'us-west-2' is wrong; expecting 'us-east-1'"},
      {with("Authorization", replaced(good, "/s3/", "/sts/")), "AuthorizationHeaderMalformed", 400,
       "incorrect service"},
      {with("Authorization", replaced(good, "/20130524/", "/20130525/")), "AuthorizationHeaderMalformed", 400,
       "not the same"},
      {with("Authorization", replaced(good, "AKIA", "AKIB")), "InvalidAccessKeyId", 403, ""},
      {with("Authorization", replaced(good, "host;", "")), "AccessDenied", 403, "not signed"},
      {with("Authorization", replaced(good, ";x-amz-date", "")), "AccessDenied", 403, "not signed"},
      {with("x-amz-security-token", "t"), "InvalidToken", 400, ""},
      {with("x-amz-date", "yesterday"), "AccessDenied", 403, "valid Date"},
      {with("x-amz-content-sha256", "abc"), "InvalidArgument", 400, "x-amz-content-sha256"},
      {with("x-amz-content-sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"), "NotImplemented",
       501, "4A"},
      {with("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), "MissingContentLength", 411, ""},
  };
  for (const auto& c : cases) {
    const auto result = example.verifier.verify(request(net::Method::get, "/?lifecycle", c.headers));
    ASSERT_FALSE(result) << c.code << c.message;
    EXPECT_EQ(result.error().s3_code, c.code) << result.error().message;
    EXPECT_EQ(result.error().status, c.status) << result.error().message;
    EXPECT_THAT(result.error().message, HasSubstr(c.message));
  }
  net::Headers no_hash{{"Host", "h"},
                       {"x-amz-date", "20130524T000000Z"},
                       {"Authorization", authorization("host;x-amz-date", kLifecycleSignature)}};
  EXPECT_EQ(example.verifier.verify(request(net::Method::get, "/", no_hash)).error().s3_code,
            "InvalidRequest");
  net::Headers no_date{{"Host", "h"},
                       {"x-amz-content-sha256", std::string(kNothingSha256)},
                       {"Authorization", authorization("host;x-amz-content-sha256", kLifecycleSignature)}};
  EXPECT_EQ(example.verifier.verify(request(net::Method::get, "/", no_date)).error().s3_code, "AccessDenied");
}

TEST(SigV4Header, TheRegionErrorNamesTheRightRegionForClientsThatFollow) {
  const Example example;
  net::Headers headers = plain_headers(kLifecycleSignature);
  headers.set("Authorization", replaced(headers.get("Authorization"), "us-east-1", "x"));
  const auto result = example.verifier.verify(request(net::Method::get, "/", headers));
  EXPECT_EQ(detail(result.error(), "Region"), "us-east-1");
}

TEST(SigV4Header, AllowsFifteenMinutesOfSkew) {
  Example example;
  const auto head = request(net::Method::get, "/?lifecycle", plain_headers(kLifecycleSignature));
  for (const std::int64_t sign : {-1, 1}) {
    example.clock.set(kExampleMs + sign * 15 * 60 * 1000);
    EXPECT_TRUE(example.verifier.verify(head));
    example.clock.set(kExampleMs + sign * (15 * 60 * 1000 + 1));
    const auto result = example.verifier.verify(head);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().s3_code, "RequestTimeTooSkewed");
    EXPECT_EQ(detail(result.error(), "RequestTime"), "20130524T000000Z");
  }
}

TEST(SigV4Header, TakesTheDateHeaderWhenThereIsNoAmzDate) {
  const Example example;
  // Signed over Date in the form of HTTP: the string to sign has it as x-amz-date would.
  net::RequestHead head =
      request(net::Method::get, "/", {{"Host", "h"}, {"Date", "Fri, 24 May 2013 00:00:00 GMT"}});
  net::RequestHead twin = head;
  sign_request(twin, example.spec(), "UNSIGNED-PAYLOAD");
  head.headers.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
  head.headers.set("Authorization", authorization("host;x-amz-content-sha256", "00"));
  const auto result = example.verifier.verify(head);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().s3_code, "SignatureDoesNotMatch");
  EXPECT_THAT(detail(result.error(), "StringToSign"), HasSubstr("\n20130524T000000Z\n"));
}

TEST(SigV4Header, OneMechanismOnly) {
  const Example example;
  const auto result =
      example.verifier.verify(presigned(kPresigned, {{"Authorization", authorization("host", "00")}}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().s3_code, "InvalidArgument");
}

TEST(SigV4Header, AccessKeysMayHoldSlashes) {
  const testing::StandingClock clock(kExampleMs);
  const Secret secret("s");
  const RootCredentials store("team/ci", secret);
  const SigV4Verifier verifier(store, "local", clock);
  net::RequestHead head = request(net::Method::get, "/", {{"Host", "h"}});
  sign_request(head, {.access_key = "team/ci", .secret = secret, .region = "local", .unix_ms = kExampleMs},
               "UNSIGNED-PAYLOAD");
  EXPECT_TRUE(verifier.verify(head));
}

TEST(SigV4Header, StreamingKindsCarryWhatChunksNeed) {
  const Example example;
  net::RequestHead head =
      request(net::Method::put, "/b/k", {{"Host", "h"}, {"x-amz-decoded-content-length", "5"}});
  const ChunkSigning signing =
      sign_request(head, example.spec(), "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
  const auto result = example.verifier.verify(head);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->payload, PayloadKind::streaming_signed_trailer);
  EXPECT_EQ(result->decoded_length, 5U);
  ASSERT_TRUE(result->chunk_signing);
  EXPECT_EQ(result->chunk_signing->key, signing.key);
  EXPECT_EQ(result->chunk_signing->seed_signature, signing.seed_signature);
  EXPECT_EQ(result->chunk_signing->scope, "20130524/us-east-1/s3/aws4_request");
  EXPECT_EQ(result->chunk_signing->amz_date, "20130524T000000Z");
}

TEST(Anonymous, NeedsNoHeaders) {
  const Example example;
  for (const char* target : {"/", "/b/k?versionId=1", "/b/k?X-Amz-Expires=1", "*"}) {
    const auto result = example.verifier.verify(request(net::Method::get, target, {{"Host", "h"}}));
    ASSERT_TRUE(result) << target;
    EXPECT_TRUE(result->principal.anonymous());
    EXPECT_EQ(result->payload, PayloadKind::unsigned_payload);
  }
}

TEST(Anonymous, MayProtectItsBodyButNotSignIt) {
  const Example example;
  net::Headers headers{{"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
                       {"x-amz-decoded-content-length", "3"}};
  auto result = example.verifier.verify(request(net::Method::put, "/b/k", headers));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->payload, PayloadKind::streaming_unsigned_trailer);
  EXPECT_EQ(result->decoded_length, 3U);
  headers.set("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  result = example.verifier.verify(request(net::Method::put, "/b/k", headers));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().s3_code, "AccessDenied");
}

TEST(Anonymous, SignatureV2InTheQueryIsRefusedByName) {
  const Example example;
  const auto result = example.verifier.verify(
      request(net::Method::get, "/b/k?AWSAccessKeyId=A&Expires=1&Signature=x", {{"Host", "h"}}));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("Signature Version 2"));
}

TEST(SigningKeys, AreCachedPerDayAndFollowAChangedSecret) {
  SigningKeyCache cache;
  const auto day = parse_credential_scope("AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request");
  const auto next_day = parse_credential_scope("AKIDEXAMPLE/20150831/us-east-1/iam/aws4_request");
  const Secret secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
  // The derivation example of the AWS General Reference.
  EXPECT_EQ(hex(ByteSpan(cache.get(*day, secret))),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
  EXPECT_EQ(cache.get(*day, secret), derive_signing_key(secret, "20150830", "us-east-1", "iam"));
  EXPECT_EQ(cache.size(), 1U);
  EXPECT_NE(cache.get(*next_day, secret), cache.get(*day, secret));
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.get(*day, Secret("new")),
            derive_signing_key(Secret("new"), "20150830", "us-east-1", "iam"));
  EXPECT_EQ(cache.size(), 2U);
}

}  // namespace
}  // namespace ostraka::iam
