// The parsers of targets, ranges, conditions and copy sources, where conversations would be long-winded.
#include <gtest/gtest.h>

#include <algorithm>

#include "s3api/conditions.h"
#include "s3api/copy_source.h"
#include "s3api/form_reader.h"
#include "s3api/list_query.h"
#include "s3api/range.h"
#include "s3api/request_uri.h"
#include "s3api/router.h"

namespace ostraka::s3api {
namespace {

TEST(RequestUri, TakesTheLongestDomain) {
  const std::vector<std::string> domains{"example.org", "s3.example.org"};
  const auto named = [&domains](std::string_view target, std::string_view host) {
    const auto uri = parse_request_uri(target, host, domains);
    return uri ? uri->bucket.get() + "|" + uri->key.get() : std::string(uri.error().code());
  };
  EXPECT_EQ(named("/key", "bucket.s3.example.org"), "bucket|key");
  EXPECT_EQ(named("/key", "my.bucket.example.org:443"), "my.bucket|key");
  EXPECT_EQ(named("/bucket/key", "s3.example.org"), "bucket|key");
  EXPECT_EQ(named("/bucket/key", "notexample.org"), "bucket|key");
  EXPECT_EQ(named("/bucket/key", "[::1]:9000"), "bucket|key");
  EXPECT_EQ(named("/bucket", ""), "bucket|");
  EXPECT_EQ(named("/bucket/", ""), "bucket|");
  EXPECT_EQ(named("/bucket//", ""), "bucket|/");
  EXPECT_EQ(named("/bucket/%2525", ""), "bucket|%25");
  EXPECT_EQ(named("/bucket/a+b", ""), "bucket|a+b");
  EXPECT_EQ(named("http://bucket.s3.example.org/key?x=y", "bucket.S3.example.org"), "bucket|key");
  EXPECT_EQ(named("HTTPS://s3.example.org", "s3.example.org"), "|");
  // Host is what the signature covers, and the path is what stands before the query.
  EXPECT_EQ(named("http://bucket.s3.example.org/key", "other.s3.example.org"), "InvalidURI");
  EXPECT_EQ(named("?x=http://s3.example.org/bucket/key", "s3.example.org"), "InvalidURI");
  EXPECT_EQ(named("x?y=http://s3.example.org/bucket/key", "s3.example.org"), "InvalidURI");
  EXPECT_EQ(named("bucket/key", ""), "InvalidURI");
  EXPECT_EQ(named("", ""), "InvalidURI");
  EXPECT_EQ(named("*", ""), "InvalidURI");
}

TEST(RequestUri, DecodesQueriesOnce) {
  const auto query = parse_query("a=b+c%2B%2525&&empty=&flag&a=second");
  ASSERT_TRUE(query);
  EXPECT_EQ(query->get("a"), "b c+%25");
  EXPECT_TRUE(query->has("empty"));
  EXPECT_TRUE(query->has("flag"));
  EXPECT_FALSE(query->has(""));
  EXPECT_EQ(query->find("none"), nullptr);
  EXPECT_FALSE(parse_query("a=%"));
  EXPECT_FALSE(parse_query("a=%FF"));
}

TEST(Router, NamesEveryOperationOnce) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < kOperations; ++i) names.push_back(to_string(static_cast<Operation>(i)));
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(Router, SubresourcesNeverFallBackToThePlainOperation) {
  const auto routed = [](net::Method method, std::string_view target, net::Headers headers = {}) {
    net::RequestHead head;
    head.method = method;
    head.headers = std::move(headers);
    const auto uri = parse_request_uri(target, "", {});
    const auto operation = route(head, *uri);
    return operation ? to_string(*operation) : operation.error().code();
  };
  EXPECT_EQ(routed(net::Method::delete_, "/bucket"), "DeleteBucket");
  EXPECT_EQ(routed(net::Method::delete_, "/bucket?cors"), "DeleteBucketCors");
  EXPECT_EQ(routed(net::Method::delete_, "/bucket?location"), "MethodNotAllowed");
  EXPECT_EQ(routed(net::Method::put, "/bucket/key?tagging"), "PutObjectTagging");
  EXPECT_EQ(routed(net::Method::delete_, "/bucket/key?tagging&versionId=1"), "DeleteObjectTagging");
  EXPECT_EQ(routed(net::Method::get, "/bucket/key?x-id=GetObject"), "GetObject");
  EXPECT_EQ(routed(net::Method::get, "/bucket?prefix=acl"), "ListObjects");
  EXPECT_EQ(routed(net::Method::put, "/b-1/key?partNumber=1&uploadId=x"), "UploadPart");
  EXPECT_EQ(routed(net::Method::put, "/b-1/key?partNumber=1&uploadId=x", {{"X-Amz-Copy-Source", "a/b"}}),
            "UploadPartCopy");
  EXPECT_EQ(routed(net::Method::put, "/b-1/key", {{"x-amz-copy-source", "a/b"}}), "CopyObject");
  EXPECT_EQ(routed(net::Method::get, "/bucket?analytics&id=1"), "GetBucketAnalyticsConfiguration");
  EXPECT_EQ(routed(net::Method::get, "/bucket?analytics"), "ListBucketAnalyticsConfigurations");
  EXPECT_EQ(routed(net::Method::put, "/bucket/key?versionId=1&tagging"), "PutObjectTagging");
  EXPECT_EQ(routed(net::Method::delete_, "/bucket/key?tagging&uploadId=x"), "InvalidArgument");
  EXPECT_EQ(routed(net::Method::get, "/bucket?acl&acl"), "GetBucketAcl");
  EXPECT_EQ(routed(net::Method::get, "/bucket?uploads&list-type=2"), "ListMultipartUploads");
  EXPECT_EQ(routed(net::Method::get, "/bucket?list-type=2&versions"), "ListObjectVersions");
  EXPECT_EQ(routed(net::Method::head, "/bucket/key?acl&tagging"), "HeadObject");
  EXPECT_EQ(routed(net::Method::put, "/b-1/key?partNumber=1&uploadId=x&versionId=1"), "InvalidArgument");
  EXPECT_EQ(routed(net::Method::get, "/bucket?versionId=null"), "InvalidArgument");
}

TEST(Conditions, ReadListsOfETags) {
  using List = std::vector<std::string>;
  EXPECT_EQ(parse_etags(R"("a", W/"b",c , "d,e")"), (List{"a", "b", "c", "d,e"}));
  EXPECT_EQ(parse_etags("*"), List{"*"});
  EXPECT_EQ(parse_etags(""), List{});
  EXPECT_EQ(parse_etags(" , ,"), List{});
  EXPECT_EQ(parse_etags("\"open"), List{"open"});
}

TEST(Conditions, ReadOneETagAsItStands) {
  EXPECT_EQ(parse_etag(R"("a")"), "a");
  EXPECT_EQ(parse_etag(" a "), "a");
  EXPECT_EQ(parse_etag("*"), "*");
  EXPECT_EQ(parse_etag(R"(W/"a")"), R"(W/"a")");
  EXPECT_EQ(parse_etag(R"("a", "b")"), R"(a", "b)");
  EXPECT_EQ(parse_etag("\""), "\"");
}

TEST(Range, OfCopiesIsStrict) {
  EXPECT_EQ(*parse_copy_range("bytes=0-0"), (ByteRange{0, 1}));
  for (const char* bad :
       {"bytes=1-0", "bytes=-1", "bytes=1-", "0-1", "bytes=0-18446744073709551615", "bytes= 0-1", ""}) {
    EXPECT_FALSE(parse_copy_range(bad)) << bad;
  }
}

TEST(Range, NeverReachesBeyondTheObject) {
  EXPECT_EQ(**parse_range("bytes=0-18446744073709551615", 10), (ByteRange{0, 10}));
  EXPECT_EQ(**parse_range("Bytes=9-9", 10), (ByteRange{9, 10}));
  EXPECT_EQ(**parse_range("bytes=1-99999999999999999999", 10), (ByteRange{1, 10}));
  EXPECT_FALSE(parse_range("bytes=99999999999999999999-99999999999999999999", 10));
  EXPECT_EQ(*parse_range("bytes=0-9999999999999999999x", 10), std::nullopt);
  EXPECT_FALSE(parse_range("bytes=0-", 0));
}

TEST(CopySource, IsDecodedAsAForm) {
  const auto source = parse_copy_source("/bucket/a+b%2Bc%3FversionId%3Dx/?versionId=null");
  ASSERT_TRUE(source);
  EXPECT_EQ(source->bucket.get(), "bucket");
  EXPECT_EQ(source->key.get(), "a b+c?versionId=x/");
  EXPECT_EQ(parse_copy_source("arn:aws:s3:us-east-1:1:accesspoint/x/object/y").error().code(),
            "NotImplemented");
  EXPECT_FALSE(parse_copy_source("/bucket/"));
  EXPECT_FALSE(parse_copy_source("//key"));
}

TEST(Tokens, SurviveAnyKey) {
  for (const std::string key : {"a", "\xE2\x82\xAC>>~~", "a/b", "\x01"}) {
    QueryParams query;
    query.add("t", make_token(key));
    EXPECT_EQ(make_token(key).find_first_of("+/ &?"), std::string::npos);
    EXPECT_EQ(**read_token(query, "t"), key);
  }
}

TEST(FormBoundary, IsBounded) {
  EXPECT_EQ(form_boundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(form_boundary("Multipart/Form-Data; charset=utf-8; boundary=\"a b\""), "a b");
  EXPECT_EQ(form_boundary("multipart/form-data"), std::nullopt);
  EXPECT_EQ(form_boundary("multipart/mixed; boundary=abc"), std::nullopt);
  EXPECT_EQ(form_boundary("multipart/form-data; boundary=" + std::string(71, 'x')), std::nullopt);
}

}  // namespace
}  // namespace ostraka::s3api
