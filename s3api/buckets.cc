// ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "net/xml_writer.h"
#include "object/bucket_name.h"
#include "s3api/limits.h"
#include "s3api/list_query.h"
#include "s3api/object_headers.h"
#include "s3api/operations.h"
#include "s3api/xml_requests.h"

namespace ostraka::s3api {

namespace {

// us-west-2 and its kin: a region that we are not, rather than no region at all.
bool is_region_shaped(std::string_view text) noexcept {
  return std::count(text.begin(), text.end(), '-') >= 2 && text.back() >= '0' && text.back() <= '9';
}

S3Result<> check_location(const Call& call, const std::string& location) {
  if (location.empty() || location == call.config.region) return {};
  if (!is_region_shaped(location)) {
    return refuse(S3Error(error::kInvalidLocationConstraint).with("LocationConstraint", location));
  }
  return refuse(
      error::kIllegalLocationConstraint,
      "The " + location +
          " location constraint is incompatible for the region specific endpoint this request was sent to.");
}

// Every bucket is in the one region of this endpoint.
S3Result<> check_bucket_region(const QueryParams& query, const std::string& ours) {
  const std::string* region = query.find("bucket-region");
  if (region == nullptr || iequals(*region, ours)) return {};
  return refuse_argument(is_region_shaped(*region)
                             ? "Requests with bucket-region specified must be made to the corresponding "
                               "regional endpoint"
                             : "Argument value " + *region + " is not a valid AWS Region",
                         "bucket-region", *region);
}

// What CreateBucket's headers choose, as the JSON object that the bucket keeps.
S3Result<std::string> read_bucket_settings(const net::Headers& headers) {
  static constexpr std::array<std::string_view, 3> kOwnerships{"BucketOwnerEnforced", "BucketOwnerPreferred",
                                                               "ObjectWriter"};
  const auto unserved = [](std::string name) {
    return refuse(S3Error(error::kNotImplemented).with("Header", std::move(name)));
  };
  if (iequals(headers.get("x-amz-bucket-object-lock-enabled"), "true"))
    return unserved("x-amz-bucket-object-lock-enabled");
  const std::string* acl = headers.find("x-amz-acl");
  if (acl != nullptr && *acl != "private") return unserved("x-amz-acl");
  for (const auto& header : headers.all()) {
    if (to_lower(header.first).starts_with("x-amz-grant-")) return unserved(header.first);
  }
  nlohmann::json settings = nlohmann::json::object();
  if (const std::string* ownership = headers.find("x-amz-object-ownership")) {
    if (std::find(kOwnerships.begin(), kOwnerships.end(), *ownership) == kOwnerships.end()) {
      return refuse_argument("Invalid x-amz-object-ownership header: " + *ownership, "x-amz-object-ownership",
                             *ownership);
    }
    settings["object_ownership"] = *ownership;
  }
  return settings.dump();
}

}  // namespace

OperationResult list_buckets(Call& call) {
  const QueryParams& query = call.query();
  constexpr CountRule kRule{
      .fallback = kMaxListBuckets, .most = kMaxListBuckets, .least = 1, .allowed = kMaxListBuckets};
  S3_CO_TRY(max, parse_count(query, "max-buckets", kRule));
  S3_CO_TRY_VOID(check_bucket_region(query, call.config.region));
  S3_CO_TRY(after, read_token(query, "continuation-token"));
  const std::string_view prefix = query.get("prefix");

  net::XmlWriter xml;
  xml.open("ListAllMyBucketsResult", net::kS3Namespace);
  xml.open("Owner")
      .element("ID", call.config.owner_id)
      .element("DisplayName", call.config.owner_name)
      .close("Owner");
  xml.open("Buckets");
  std::string last;
  std::string next;
  std::size_t count = 0;
  for (const object::BucketInfo& bucket : call.objects.buckets()) {
    const std::string& name = bucket.name.get();
    if (!name.starts_with(prefix) || (after && name <= *after)) continue;
    if (count == max) {
      next = last;
      break;
    }
    xml.open("Bucket").element("Name", name).element("CreationDate", xml_time(bucket.created_ms));
    xml.element("BucketRegion", call.config.region).close("Bucket");
    last = name;
    ++count;
  }
  xml.close("Buckets");
  if (!next.empty()) xml.element("ContinuationToken", make_token(next));
  if (!prefix.empty()) xml.element("Prefix", prefix);
  xml.close("ListAllMyBucketsResult");
  std::string document = xml.take();
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

OperationResult create_bucket(Call& call) {
  if (!object::check_bucket_name(call.uri.bucket.get())) {
    co_return refuse(S3Error(error::kInvalidBucketName).with("BucketName", call.bucket()));
  }
  S3_CO_TRY(settings, read_bucket_settings(call.headers()));
  std::string body;
  if (call.payload.size().value_or(0) > 0 || call.head.chunked) {
    S3_CO_TRY(document, co_await call.payload.read_document(kSmallXml.bytes));
    body = std::move(document);
  }
  S3_CO_TRY(request, parse_create_bucket(std::move(body)));
  if (request.has_more)
    co_return refuse(error::kNotImplemented, "CreateBucketConfiguration asks for what is not implemented.");
  S3_CO_TRY_VOID(check_location(call, request.location));
  BucketName name = call.uri.bucket;
  std::string owner = call.config.owner_id;
  auto created =
      co_await call.objects.create_bucket(call.ctx, std::move(name), std::move(owner), std::move(settings));
  if (created.failed_with(Errc::too_large)) co_return refuse(error::kTooManyBuckets);
  if (!created) co_return refuse(S3Error(std::move(created).error()));
  net::ResponseHead head;
  head.headers.add("Location", "/" + call.bucket());
  std::string empty;
  S3_CO_TRY_VOID(co_await call.answer.send(std::move(head), std::move(empty)));
  co_return S3Result<>();
}

OperationResult head_bucket(Call& call) {
  S3_CO_TRY(bucket, call.find_bucket());
  net::ResponseHead head;
  head.headers.add("x-amz-bucket-region", bucket.region.empty() ? call.config.region : bucket.region);
  head.headers.add("x-amz-access-point-alias", "false");
  std::string empty;
  S3_CO_TRY_VOID(co_await call.answer.send(std::move(head), std::move(empty)));
  co_return S3Result<>();
}

OperationResult delete_bucket(Call& call) {
  BucketName name = call.uri.bucket;
  S3_CO_TRY_VOID(co_await call.objects.delete_bucket(call.ctx, std::move(name)));
  S3_CO_TRY_VOID(co_await call.answer.send_empty(204));
  co_return S3Result<>();
}

OperationResult get_bucket_location(Call& call) {
  S3_CO_TRY(bucket, call.find_bucket());
  const std::string& region = bucket.region.empty() ? call.config.region : bucket.region;
  net::XmlWriter xml;
  xml.open("LocationConstraint", net::kS3Namespace);
  if (region != "us-east-1") xml.text(region);  // AWS's first region has no name here
  xml.close("LocationConstraint");
  std::string document = xml.take();
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
