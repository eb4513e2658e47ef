// CreateMultipartUpload, UploadPart, UploadPartCopy, AbortMultipartUpload.
#include "base/encoding.h"
#include "base/limits.h"
#include "net/xml_writer.h"
#include "s3api/checksum_headers.h"
#include "s3api/conditions.h"
#include "s3api/copy_source.h"
#include "s3api/object_headers.h"
#include "s3api/operations.h"
#include "s3api/range.h"

namespace ostraka::s3api {

namespace {

S3Result<std::uint32_t> read_part_number(const QueryParams& query) {
  const std::string_view text = query.get("partNumber");
  const auto number = parse_u64(text);
  if (!number || *number < 1 || *number > kMaxParts) {
    return refuse_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber",
                           std::string(text));
  }
  return static_cast<std::uint32_t>(*number);
}

S3Result<object::UploadSpec> read_upload(const Call& call) {
  const net::Headers& headers = call.headers();
  object::UploadSpec spec;
  spec.bucket = call.uri.bucket;
  spec.key = call.uri.key;
  S3_TRY(attributes, read_attributes(headers));
  spec.attributes = std::move(attributes);
  S3_TRY(algorithm, read_wanted_algorithm(headers));
  spec.algorithm = algorithm;
  S3_TRY(type, read_checksum_type(headers));
  spec.checksum_type = type;
  if (!type) return spec;
  if (algorithm == ChecksumAlgorithm::none) {
    return refuse(
        error::kInvalidRequest,
        "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.");
  }
  if (!fits_multipart(algorithm, *type)) {
    return refuse(error::kInvalidRequest, "The " + std::string(to_text(*type)) +
                                              " checksum type cannot be used with the " +
                                              to_lower(to_string(algorithm)) + " checksum algorithm.");
  }
  return spec;
}

}  // namespace

OperationResult create_multipart_upload(Call& call) {
  S3_CO_TRY(spec, read_upload(call));
  S3_CO_TRY(upload, co_await call.objects.create_upload(call.ctx, std::move(spec)));
  net::XmlWriter xml;
  xml.open("InitiateMultipartUploadResult", net::kS3Namespace);
  xml.element("Bucket", call.uri.bucket.get())
      .element("Key", call.uri.key.get())
      .element("UploadId", upload.upload_id);
  xml.close("InitiateMultipartUploadResult");
  net::ResponseHead head;
  head.headers.add("Content-Type", "application/xml");
  if (upload.record && upload.record->checksum_algorithm != ChecksumAlgorithm::none) {
    head.headers.add("x-amz-checksum-algorithm", std::string(to_string(upload.record->checksum_algorithm)));
    head.headers.add("x-amz-checksum-type", std::string(to_text(upload.record->checksum_type)));
  }
  std::string document = xml.take();
  S3_CO_TRY_VOID(co_await call.answer.send(std::move(head), std::move(document)));
  co_return S3Result<>();
}

OperationResult upload_part(Call& call) {
  S3_CO_TRY(number, read_part_number(call.query()));
  S3_CO_TRY_VOID(refuse_unserved_headers(call.headers()));
  S3_CO_TRY(expect, call.payload.expectations(kMaxPartBytes));
  object::PartSpec spec;
  spec.bucket = call.uri.bucket;
  spec.key = call.uri.key;
  spec.upload_id = call.query().get("uploadId");
  spec.number = number;
  spec.expect = std::move(expect);
  net::BodySource& body = call.payload.source();
  auto part = co_await call.objects.put_part(call.ctx, std::move(spec), body);
  if (part.failed_with(Errc::invalid_argument)) {  // another algorithm than the upload's
    co_return refuse(error::kInvalidRequest, "Checksum Type mismatch occurred: " + part.error().detail);
  }
  if (!part) co_return refuse(call.payload.explain(S3Error(std::move(part).error())));
  net::ResponseHead head;
  head.headers.add("ETag", quoted(hex(part->md5)));
  const ChecksumClaim& claim = call.payload.claim();  // verified now
  if (claim.value) head.headers.add(std::string(checksum_header(claim.algorithm)), base64(*claim.value));
  std::string empty;
  S3_CO_TRY_VOID(co_await call.answer.send(std::move(head), std::move(empty)));
  co_return S3Result<>();
}

OperationResult upload_part_copy(Call& call) {
  S3_CO_TRY(number, read_part_number(call.query()));
  S3_CO_TRY_VOID(refuse_unserved_headers(call.headers()));
  S3_CO_TRY(source, read_copy_source(call));
  object::PartCopySpec spec;
  spec.source_bucket = source.bucket;
  spec.source_key = source.key;
  spec.source_conditions = copy_source_conditions(call.headers());
  const std::string* range = call.headers().find("x-amz-copy-source-range");
  if (range != nullptr) {
    S3_CO_TRY(parsed, parse_copy_range(*range));
    spec.source_range = parsed;
  }
  spec.bucket = call.uri.bucket;
  spec.key = call.uri.key;
  spec.upload_id = call.query().get("uploadId");
  spec.number = number;
  call.allow(call.config.server_copy_timeout);
  auto part = co_await call.objects.copy_part(call.ctx, std::move(spec));
  if (!part) {
    if (part.failed_with(Errc::invalid_range)) {
      co_return refuse_argument("Range specified is not valid for source object", "x-amz-copy-source-range",
                                range == nullptr ? std::string() : *range);
    }
    co_return refuse(explain_copy(S3Error(std::move(part).error()), source));
  }
  net::XmlWriter xml;
  xml.open("CopyPartResult", net::kS3Namespace);
  xml.element("LastModified", xml_time(part->modified_ms)).element("ETag", quoted(hex(part->md5)));
  xml.close("CopyPartResult");
  call.allow(call.config.progress_timeout);
  std::string document = xml.take();
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

OperationResult abort_multipart_upload(Call& call) {
  BucketName bucket = call.uri.bucket;
  ObjectKey key = call.uri.key;
  std::string upload_id(call.query().get("uploadId"));
  S3_CO_TRY_VOID(
      co_await call.objects.abort_upload(call.ctx, std::move(bucket), std::move(key), std::move(upload_id)));
  S3_CO_TRY_VOID(co_await call.answer.send_empty(204));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
