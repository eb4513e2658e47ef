// Browser uploads: forms as browsers and libraries send them, their policies, and forms that are none.
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/hash.h"
#include "iam/signing_key.h"
#include "tests/unit/s3api/s3_bench.h"

namespace ostraka::s3api {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

const std::string kBoundary = "----form7MA4YWxk";
// Allows any value of the given fields, keys under up/, and files of 2 to 400,000 bytes.
std::string policy_for(const Fields& fields) {
  std::string out =
      R"({"expiration":"2026-01-31T13:00:00Z","conditions":[{"bucket":"bucket"},["starts-with","$key","up/"],)"
      R"(["content-length-range",2,400000],{"x-amz-credential":"AKIDTEST/20260131/us-east-1/s3/aws4_request"},)"
      R"({"x-amz-algorithm":"AWS4-HMAC-SHA256"},{"x-amz-date":"20260131T123456Z"})";
  for (const auto& [name, value] : fields) {
    if (name != "x-amz-meta-unmentioned") out += R"(,["starts-with","$)" + name + R"(",""])";
  }
  return out + "]}";
}

Fields signed_fields(Fields fields) {
  const std::string policy = base64(policy_for(fields));
  const auto key = iam::derive_signing_key(S3Bench::secret(), "20260131", "us-east-1", "s3");
  fields.emplace_back("policy", policy);
  fields.emplace_back("x-amz-algorithm", "AWS4-HMAC-SHA256");
  fields.emplace_back("x-amz-credential", "AKIDTEST/20260131/us-east-1/s3/aws4_request");
  fields.emplace_back("x-amz-date", "20260131T123456Z");
  fields.emplace_back("x-amz-signature", hex(ByteSpan(hmac_sha256(key, policy))));
  return fields;
}

std::string form_of(const Fields& fields, std::string_view file, std::string_view after_file = {}) {
  std::string body;
  for (const auto& [name, value] : fields) {
    body += "--" + kBoundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value +
            "\r\n";
  }
  body += "--" + kBoundary +
          "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\\dir\\\\my \\\"file.txt\"\r\n" +
          "Content-Type: text/plain\r\n\r\n";
  body += file;
  body += after_file;
  return body + "\r\n--" + kBoundary + "--\r\n";
}

class PostObject : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(bench.exchange("PUT", "/bucket").status, 200U); }
  TestResponse post(std::string body,
                    const std::string& content_type = "multipart/form-data; boundary=" + kBoundary) {
    TestRequest request;
    request.method = "POST";
    request.target = "/bucket";
    request.sign = Sign::anonymous;
    request.headers.add("Content-Type", content_type);
    request.body = std::move(body);
    return bench.exchange(std::move(request));
  }
  std::string stored(const std::string& key) { return bench.exchange("GET", "/bucket/" + key).body; }
  S3Bench bench;
};

TEST_F(PostObject, StoresTheFile) {
  const TestResponse answer = post(form_of(
      signed_fields({{"key", "up/${filename}"}, {"Content-Type", "image/png"}, {"x-amz-meta-a", "b"}}),
      "hello\r\n--x"));
  ASSERT_EQ(answer.status, 204U) << answer.body;
  EXPECT_EQ(answer.headers.get("location"), "http://s3.test/bucket/up/my%20%22file.txt");
  const TestResponse object = bench.exchange("GET", "/bucket/up/my%20%22file.txt");
  EXPECT_EQ(object.body, "hello\r\n--x");
  EXPECT_EQ(object.headers.get("content-type"), "image/png");
  EXPECT_EQ(object.headers.get("x-amz-meta-a"), "b");
}

TEST_F(PostObject, AnswersAsTheFormAsks) {
  const TestResponse created =
      post(form_of(signed_fields({{"key", "up/a"}, {"success_action_status", "201"}}), "hello"));
  EXPECT_EQ(created.status, 201U);
  EXPECT_NE(created.body.find(
                "<PostResponse><Location>http://s3.test/bucket/up/a</Location><Bucket>bucket</Bucket>"
                "<Key>up/a</Key><ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag></PostResponse>"),
            std::string::npos)
      << created.body;
  EXPECT_EQ(post(form_of(signed_fields({{"key", "up/a"}, {"success_action_status", "200"}}), "hello")).status,
            200U);
  const TestResponse redirected = post(
      form_of(signed_fields({{"key", "up/a b"}, {"success_action_redirect", "http://example.org/done?x=1"}}),
              "hello"));
  EXPECT_EQ(redirected.status, 303U);
  EXPECT_EQ(
      redirected.headers.get("location"),
      "http://example.org/done?x=1&bucket=bucket&key=up%2Fa%20b&etag=%225d41402abc4b2a76b9719d911017c592%22");
}

TEST_F(PostObject, KeepsTags) {
  const std::string tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
  ASSERT_EQ(post(form_of(signed_fields({{"key", "up/a"}, {"tagging", tags}}), "hello")).status, 204U);
  EXPECT_EQ(bench.exchange("HEAD", "/bucket/up/a").headers.get("x-amz-tagging-count"), "1");
}

TEST_F(PostObject, StreamsWhatIsTooLargeToKeepInMemory) {
  std::string file;
  for (int i = 0; file.size() < 390'000; ++i) file += "line " + std::to_string(i) + "\r\n--";
  ASSERT_EQ(post(form_of(signed_fields({{"key", "up/large"}}), file)).status, 204U);
  EXPECT_EQ(stored("up/large"), file);
}

TEST_F(PostObject, IgnoresFieldsAfterASmallFileAndRefusesThemAfterALargeOne) {
  const std::string submit =
      "\r\n--" + kBoundary + "\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nUpload";
  ASSERT_EQ(post(form_of(signed_fields({{"key", "up/small"}}), "hello", submit)).status, 204U);
  EXPECT_EQ(stored("up/small"), "hello");
  const TestResponse refused =
      post(form_of(signed_fields({{"key", "up/large"}}), std::string(390'000, 'x'), submit));
  EXPECT_EQ(refused.status, 400U);
  EXPECT_NE(refused.body.find("<Code>MalformedPOSTRequest</Code>"), std::string::npos) << refused.body;
  EXPECT_EQ(bench.exchange("HEAD", "/bucket/up/large").status, 404U);
}

TEST_F(PostObject, StaysWithinThePolicy) {
  const auto code = [](const TestResponse& answer) {
    const std::size_t begin = answer.body.find("<Code>") + 6;
    return std::to_string(answer.status) + " " +
           answer.body.substr(begin, answer.body.find("</Code>") - begin);
  };
  EXPECT_EQ(code(post(form_of(signed_fields({{"key", "elsewhere"}}), "hello"))), "403 AccessDenied");
  EXPECT_EQ(code(post(form_of(signed_fields({{"key", "up/a"}, {"x-amz-meta-unmentioned", "1"}}), "hello"))),
            "403 AccessDenied");
  EXPECT_EQ(code(post(form_of(signed_fields({{"key", "up/a"}}), "h"))), "400 EntityTooSmall");
  EXPECT_EQ(code(post(form_of(signed_fields({{"key", "up/a"}}), std::string(400'001, 'x')))),
            "400 EntityTooLarge");
  EXPECT_EQ(code(post(form_of({{"key", "up/a"}}, "hello"))), "403 AccessDenied");
  Fields forged = signed_fields({{"key", "up/a"}});
  forged.back().second[0] = forged.back().second[0] == '0' ? '1' : '0';
  EXPECT_EQ(code(post(form_of(forged, "hello"))), "403 SignatureDoesNotMatch");
  EXPECT_EQ(code(post(form_of(signed_fields({{"key", "up/a"}, {"acl", "public-read"}}), "hello"))),
            "400 AccessControlListNotSupported");
  EXPECT_EQ(bench.exchange("GET", "/bucket").body.find("<Key>"), std::string::npos);
}

TEST_F(PostObject, HoldsThePolicyAgainstTheBucketOfTheRequest) {
  ASSERT_EQ(bench.exchange("PUT", "/another").status, 200U);
  const std::string form = form_of(signed_fields({{"key", "up/a"}, {"bucket", "bucket"}}), "hello");
  TestRequest elsewhere;
  elsewhere.method = "POST";
  elsewhere.target = "/another";
  elsewhere.sign = Sign::anonymous;
  elsewhere.headers.add("Content-Type", "multipart/form-data; boundary=" + kBoundary);
  elsewhere.body = form;
  EXPECT_EQ(bench.exchange(std::move(elsewhere)).status, 403U);
  EXPECT_EQ(bench.exchange("HEAD", "/another/up/a").status, 404U);
  EXPECT_EQ(post(form).status, 204U);
}

TEST_F(PostObject, RefusesFieldNamesThatAreNoHeaderNames) {
  for (const char* name :
       {"x-amz-meta-a\nInjected: 1", "x-amz-meta-a b", "x-amz-meta-a:", "x-amz-meta-\xc3\xa4"}) {
    const TestResponse answer = post(form_of(signed_fields({{"key", "up/a"}, {name, "1"}}), "hello"));
    EXPECT_NE(answer.body.find("<Code>MalformedPOSTRequest</Code>"), std::string::npos) << answer.body;
  }
  EXPECT_EQ(bench.exchange("HEAD", "/bucket/up/a").status, 404U);
}

TEST(PostObjectLimit, LeavesRoomForOtherRequests) {
  const auto status = [](S3Bench& bench) {
    TestRequest request;
    request.method = "POST";
    request.target = "/bucket";
    request.sign = Sign::anonymous;
    request.headers.add("Content-Type", "multipart/form-data; boundary=" + kBoundary);
    request.body = form_of(signed_fields({{"key", "up/a"}}), "hello");
    return bench.exchange(std::move(request)).status;
  };
  S3Config config = S3Bench::default_config();
  config.forms_max = 0;
  S3Bench full(config);
  ASSERT_EQ(full.exchange("PUT", "/bucket").status, 200U);
  EXPECT_EQ(status(full), 503U);
  EXPECT_EQ(full.exchange("GET", "/bucket").status, 200U);
  config.forms_max = 1;
  S3Bench free(config);
  ASSERT_EQ(free.exchange("PUT", "/bucket").status, 200U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status(free), 204U);  // each gives its place back
}

TEST_F(PostObject, RefusesWhatIsNoForm) {
  const std::string whole = form_of(signed_fields({{"key", "up/a"}}), "hello");
  EXPECT_EQ(post(whole, "text/plain").status, 400U);
  EXPECT_EQ(post("").status, 400U);
  EXPECT_EQ(post("no boundary at all").status, 400U);
  EXPECT_EQ(post("preamble" + whole).status, 400U);
  for (std::size_t cut = 1; cut + 4 < whole.size();
       cut += 7) {  // the last "--" CR LF may be missing or broken
    EXPECT_EQ(post(whole.substr(0, cut)).status, 400U) << cut;
  }
  const std::string no_file = "--" + kBoundary +
                              "\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\n--" + kBoundary +
                              "--\r\n\r\n";
  EXPECT_NE(post(no_file).body.find("<Code>IncorrectNumberOfFilesInPostRequest</Code>"), std::string::npos);
  const std::string large =
      form_of(signed_fields({{"x-ignore-a", std::string(30'000, 'x')}, {"key", "up/a"}}), "hello");
  EXPECT_NE(post(large).body.find("<Code>MaxPostPreDataLengthExceededError</Code>"), std::string::npos);
  EXPECT_EQ(bench.exchange("GET", "/bucket").body.find("<Key>"), std::string::npos);
}

}  // namespace
}  // namespace ostraka::s3api
