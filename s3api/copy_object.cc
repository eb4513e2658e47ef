// CopyObject.
#include "net/xml_writer.h"
#include "s3api/checksum_headers.h"
#include "s3api/conditions.h"
#include "s3api/copy_source.h"
#include "s3api/object_headers.h"
#include "s3api/operations.h"

namespace ostraka::s3api {

namespace {

S3Result<object::Directive> read_directive(const net::Headers& headers, const std::string& name,
                                           const std::string& refusal) {
  const std::string* text = headers.find(name);
  if (text == nullptr || *text == "COPY") return object::Directive::copy;
  if (*text == "REPLACE") return object::Directive::replace;
  return refuse_argument(refusal, name, *text);
}

S3Result<object::CopySpec> read_copy(const Call& call, const CopySource& source) {
  const net::Headers& headers = call.headers();
  object::CopySpec spec;
  spec.source_bucket = source.bucket;
  spec.source_key = source.key;
  spec.source_conditions = copy_source_conditions(headers);
  spec.bucket = call.uri.bucket;
  spec.key = call.uri.key;
  S3_TRY(conditions, write_conditions(headers));
  spec.conditions = std::move(conditions);
  S3_TRY(metadata, read_directive(headers, "x-amz-metadata-directive", "Unknown metadata directive."));
  spec.metadata = metadata;
  S3_TRY(tagging, read_directive(headers, "x-amz-tagging-directive", "Unknown tagging directive."));
  spec.tagging = tagging;
  S3_TRY(attributes, read_attributes(headers));
  spec.attributes = std::move(attributes);
  S3_TRY(algorithm, read_wanted_algorithm(headers));
  spec.algorithm = algorithm;
  return spec;
}

// A copy onto itself has to change something.
bool changes_nothing(const Call& call, const object::CopySpec& spec) {
  return spec.source_bucket == spec.bucket && spec.source_key == spec.key &&
         spec.metadata == object::Directive::copy && spec.tagging == object::Directive::copy &&
         spec.algorithm == ChecksumAlgorithm::none && call.headers().find("x-amz-storage-class") == nullptr &&
         call.headers().find("x-amz-website-redirect-location") == nullptr;
}

}  // namespace

OperationResult copy_object(Call& call) {
  S3_CO_TRY(source, read_copy_source(call));
  S3_CO_TRY(spec, read_copy(call, source));
  if (changes_nothing(call, spec)) {
    co_return refuse(
        error::kInvalidRequest,
        "This copy request is illegal because it is trying to copy an object to itself without changing the "
        "object's metadata, storage class, website redirect location or encryption attributes.");
  }
  call.allow(call.config.server_copy_timeout);
  auto copied = co_await call.objects.copy(call.ctx, std::move(spec));
  if (!copied) co_return refuse(explain_copy(S3Error(std::move(copied).error()), source));
  const disk::VersionRecord& record = **copied;
  net::XmlWriter xml;
  xml.open("CopyObjectResult", net::kS3Namespace);
  xml.element("LastModified", xml_time(record.modified_ms)).element("ETag", quoted(record.etag));
  write_checksum(xml, record);
  xml.close("CopyObjectResult");
  call.allow(call.config.progress_timeout);
  std::string document = xml.take();
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
