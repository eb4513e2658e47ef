// CompleteMultipartUpload.
#include "base/encoding.h"
#include "net/xml_writer.h"
#include "s3api/checksum_headers.h"
#include "s3api/conditions.h"
#include "s3api/limits.h"
#include "s3api/object_headers.h"
#include "s3api/operations.h"
#include "s3api/xml_requests.h"

namespace ostraka::s3api {

namespace {

S3Result<> check_order(const std::vector<object::CompletePart>& parts) {
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].number <= parts[i - 1].number) return refuse(error::kInvalidPartOrder);
  }
  return {};
}

// The checksum of the whole object, as a header names it. A composite one may carry its number of parts
// behind a dash.
S3Result<> read_object_checksum(const net::Headers& headers, object::CompleteSpec& spec) {
  for (const auto& [name, value] : headers.all()) {
    for (int i = 1; i <= static_cast<int>(ChecksumAlgorithm::xxhash128); ++i) {
      const auto algorithm = static_cast<ChecksumAlgorithm>(i);
      if (!iequals(name, checksum_header(algorithm))) continue;
      const std::string_view text = std::string_view(value).substr(0, value.find('-'));
      auto raw = unbase64(text);
      if (!raw || raw->size() != checksum_size(algorithm) || spec.checksum) {
        return refuse(error::kInvalidRequest, "Value for " + to_lower(name) + " header is invalid.");
      }
      spec.checksum = std::move(raw);
    }
  }
  S3_TRY(type, read_checksum_type(headers));
  spec.checksum_type = type;
  if (const std::string* size = headers.find("x-amz-mp-object-size")) {
    spec.object_size = parse_u64(*size);
    if (!spec.object_size)
      return refuse_argument("The size must be a number of bytes.", "x-amz-mp-object-size", *size);
  }
  return {};
}

std::string result_document(const Call& call, const disk::VersionRecord& record) {
  net::XmlWriter xml;
  xml.open("CompleteMultipartUploadResult", net::kS3Namespace);
  xml.element("Location", call.location()).element("Bucket", call.uri.bucket.get());
  xml.element("Key", call.uri.key.get()).element("ETag", quoted(record.etag));
  write_checksum(xml, record);
  return xml.close("CompleteMultipartUploadResult").take();
}

}  // namespace

OperationResult complete_multipart_upload(Call& call) {
  object::CompleteSpec spec;
  spec.bucket = call.uri.bucket;
  spec.key = call.uri.key;
  spec.upload_id = call.query().get("uploadId");
  S3_CO_TRY(conditions, write_conditions(call.headers()));
  spec.conditions = std::move(conditions);
  S3_CO_TRY_VOID(read_object_checksum(call.headers(), spec));
  S3_CO_TRY(body, co_await call.payload.read_document(kCompleteXml.bytes, ChecksumMeans::object));
  S3_CO_TRY(parts, parse_complete_upload(std::move(body)));
  S3_CO_TRY_VOID(check_order(parts));
  spec.parts = std::move(parts);
  call.allow(call.config.progress_timeout);
  auto completed = co_await call.objects.complete_upload(call.ctx, std::move(spec));
  if (completed.failed_with(Errc::invalid_argument)) {
    co_return refuse(error::kInvalidRequest, std::move(completed).error().detail);
  }
  if (!completed) {
    S3Error error(std::move(completed).error());
    if (error.is(error::kBadDigest)) {
      co_return refuse(error::kBadDigest,
                       "The checksum you specified did not match the calculated checksum.");
    }
    co_return refuse(std::move(error));
  }
  std::string document = result_document(call, **completed);
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
