#include "iam/post_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/hash.h"
#include "iam/signing_key.h"
#include "tests/unit/iam/auth_support.h"

namespace ostraka::iam {
namespace {

using testing::Example;
using ::testing::HasSubstr;
using testing::kExampleMs;

constexpr std::string_view kPolicy =
    R"({"expiration": "2013-05-24T01:00:00.000Z", "conditions": [{"bucket": "photos"}, ["starts-with", "$key", "user/"],
        {"acl": "public-read"}, ["eq", "$success_action_status", "201"], ["starts-with", "$Content-Type", "image/"],
        ["content-length-range", 10, "1000"], {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
        {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"},
        {"x-amz-date": "20130524T000000Z"}]})";

net::Headers form(std::string_view policy = kPolicy) {
  const std::string encoded = base64(policy);
  const SigningKey key =
      derive_signing_key(Secret(std::string(testing::kSecretKey)), "20130524", "us-east-1", "s3");
  return {{"key", "user/cat.jpg"},
          {"acl", "public-read"},
          {"success_action_status", "201"},
          {"Content-Type", "image/jpeg"},
          {"x-amz-algorithm", "AWS4-HMAC-SHA256"},
          {"X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"},
          {"x-amz-date", "20130524T000000Z"},
          {"Policy", encoded},
          {"X-Amz-Signature", hex(ByteSpan(hmac_sha256(key, encoded)))},
          {"bucket", "photos"}};
}

auto check(const net::Headers& fields, std::int64_t now = kExampleMs) {
  return check_post_policy(fields.get("policy"), fields, now);
}

TEST(PostForm, SignatureOverThePolicy) {
  const Example example;
  const auto result = example.verifier.verify_form(form());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE(result->principal.root);
}

// The example of "Browser-Based Uploads Using POST (AWS Signature Version 4)", whose policy is signed on
// 2015-12-29.
TEST(PostForm, PublishedExample) {
  const std::string policy =
      "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldC"
      "I6ICJzaWd2NGV4"
      "YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdW"
      "JsaWMtcmVhZCJ9"
      "LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY2"
      "9tL3N1Y2Nlc3Nm"
      "dWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LW"
      "Ftei1tZXRhLXV1"
      "aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogIC"
      "AgWyJzdGFydHMt"
      "d2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU"
      "1QTEUvMjAxNTEy"
      "MjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifS"
      "wNCiAgICB7Ingt"
      "YW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
  const net::Headers fields{
      {"policy", policy},
      {"bucket", "sigv4examplebucket"},
      {"key", "user/user1/a.png"},
      {"acl", "public-read"},
      {"success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
      {"Content-Type", "image/png"},
      {"x-amz-meta-uuid", "14365123651274"},
      {"x-amz-server-side-encryption", "AES256"},
      {"x-amz-meta-tag", ""},
      {"x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
      {"x-amz-algorithm", "AWS4-HMAC-SHA256"},
      {"x-amz-date", "20151229T000000Z"},
      {"x-amz-signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"}};
  const Example example;
  const auto result = example.verifier.verify_form(fields);
  ASSERT_TRUE(result) << result.error().message;
  const auto range = check_post_policy(policy, fields, *parse_iso8601("2015-12-29T10:00:00Z"));
  EXPECT_TRUE(range) << range.error().message;
}

TEST(PostForm, WithoutAPolicyIsAnonymous) {
  const Example example;
  const auto result = example.verifier.verify_form({{"key", "a"}});
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->principal.anonymous());
}

TEST(PostForm, RefusesByTheCodesOfS3) {
  const Example example;
  const struct {
    std::string_view field, value, code;
  } cases[] = {
      {"x-amz-signature", "00", "SignatureDoesNotMatch"},
      {"policy", "e30=", "SignatureDoesNotMatch"},
      {"policy", "", "InvalidArgument"},
      {"x-amz-signature", "", "InvalidArgument"},
      {"x-amz-date", "", "InvalidArgument"},
      {"x-amz-date", "today", "AuthorizationQueryParametersError"},
      {"x-amz-date", "20130523T000000Z", "AuthorizationQueryParametersError"},
      {"x-amz-algorithm", "AWS4-HMAC-SHA512", "AuthorizationQueryParametersError"},
      {"x-amz-algorithm", "AWS4-ECDSA-P256-SHA256", "NotImplemented"},
      {"x-amz-credential", "AKIAIOSFODNN7EXAMPLE", "AuthorizationQueryParametersError"},
      {"x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20130524/eu-west-1/s3/aws4_request",
       "AuthorizationQueryParametersError"},
      {"x-amz-credential", "AKIB/20130524/us-east-1/s3/aws4_request", "InvalidAccessKeyId"},
      {"x-amz-security-token", "t", "InvalidToken"},
      {"AWSAccessKeyId", "AKIAIOSFODNN7EXAMPLE", "InvalidRequest"},
  };
  for (const auto& c : cases) {
    net::Headers fields = form();
    fields.set(c.field, std::string(c.value));
    const auto result = example.verifier.verify_form(fields);
    ASSERT_FALSE(result) << c.field << "=" << c.value;
    EXPECT_EQ(result.error().s3_code, c.code) << c.field << "=" << c.value;
  }
}

TEST(PostPolicy, GivesTheLengthRange) {
  const auto range = check(form());
  ASSERT_TRUE(range) << range.error().message;
  EXPECT_EQ(range->min, 10U);
  EXPECT_EQ(range->max, 1000U);
}

TEST(PostPolicy, EveryConditionMustHold) {
  const struct {
    std::string_view field, value;
  } cases[] = {{"bucket", "other"},
               {"key", "users/cat.jpg"},
               {"acl", "private"},
               {"success_action_status", "200"},
               {"content-type", "text/html"},
               {"content-type", "image/png,text/html"},
               {"x-amz-date", "20130524T000001Z"}};
  for (const auto& c : cases) {
    net::Headers fields = form();
    fields.set(c.field, std::string(c.value));
    const auto range = check(fields);
    ASSERT_FALSE(range) << c.field;
    EXPECT_EQ(range.error().s3_code, "AccessDenied");
    EXPECT_THAT(range.error().message, HasSubstr("Policy Condition failed")) << c.field;
    EXPECT_THAT(range.error().message, HasSubstr("\"$" + std::string(c.field) + "\"")) << c.field;
  }
  net::Headers list = form();
  list.set("content-type", "image/png, image/gif");
  EXPECT_TRUE(check(list));
}

TEST(PostPolicy, EveryFieldMustBeMentionedOnce) {
  net::Headers fields = form();
  fields.add("x-ignore-me", "1");
  EXPECT_TRUE(check(fields));
  fields.add("x-amz-meta-a", "1");
  EXPECT_THAT(check(fields).error().message, HasSubstr("Extra input fields: x-amz-meta-a"));
  net::Headers doubled = form();
  doubled.add("KEY", "user/../other");
  EXPECT_EQ(check(doubled).error().s3_code, "InvalidArgument");
  net::Headers missing;
  const net::Headers complete = form();
  for (const auto& [name, value] : complete.all()) {
    if (name != "acl") missing.add(name, value);
  }
  EXPECT_EQ(check(missing).error().s3_code, "AccessDenied");
}

TEST(PostPolicy, Expires) {
  EXPECT_TRUE(check(form(), kExampleMs + 3'599'999));
  const auto range = check(form(), kExampleMs + 3'600'000);
  ASSERT_FALSE(range);
  EXPECT_EQ(range.error().message, "Invalid according to Policy: Policy expired.");
}

TEST(PostPolicy, RefusesDocumentsThatAreNone) {
  for (const std::string_view text :
       {"", "[]", "{", "{}", R"({"expiration": "2013-05-24T01:00:00Z"})", R"({"conditions": []})",
        R"({"expiration": 5, "conditions": []})", R"({"expiration": "soon", "conditions": []})",
        R"({"expiration": "2013-05-24T01:00:00Z", "conditions": {}})",
        R"({"expiration": "2013-05-24T01:00:00Z", "conditions": [5]})",
        R"({"expiration": "2013-05-24T01:00:00Z", "conditions": [["eq", "$key"]]})",
        R"({"expiration": "2013-05-24T01:00:00Z", "conditions": [["eq", "key", "a"]]})",
        R"({"expiration": "2013-05-24T01:00:00Z", "conditions": [["ne", "$key", "a"]]})",
        R"({"expiration": "2013-05-24T01:00:00Z", "conditions": [["content-length-range", 5, 1]]})",
        R"({"expiration": "2013-05-24T01:00:00Z", "conditions": [["content-length-range", -5, 1]]})",
        R"({"expiration": "2013-05-24T01:00:00Z", "conditions": [{"key": 5}]})"}) {
    const auto range = check_post_policy(base64(text), {}, kExampleMs);
    ASSERT_FALSE(range) << text;
    EXPECT_EQ(range.error().s3_code, "InvalidPolicyDocument") << text;
    EXPECT_EQ(range.error().status, 400U);
  }
  EXPECT_EQ(check_post_policy("!", {}, kExampleMs).error().s3_code, "InvalidPolicyDocument");
  EXPECT_EQ(check_post_policy(std::string(30000, 'A'), {}, kExampleMs).error().s3_code,
            "InvalidPolicyDocument");
}

}  // namespace
}  // namespace ostraka::iam
