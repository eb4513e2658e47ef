// ListParts and ListMultipartUploads.
#include "base/encoding.h"
#include "base/limits.h"
#include "net/xml_writer.h"
#include "s3api/checksum_headers.h"
#include "s3api/limits.h"
#include "s3api/list_query.h"
#include "s3api/object_headers.h"
#include "s3api/operations.h"

namespace ostraka::s3api {

namespace {

void write_user(net::XmlWriter& xml, std::string_view element, const S3Config& config) {
  xml.open(element).element("ID", config.owner_id).element("DisplayName", config.owner_name).close(element);
}

void write_upload_checksum(net::XmlWriter& xml, const disk::VersionRecord& upload) {
  if (upload.checksum_algorithm == ChecksumAlgorithm::none) return;
  xml.element("ChecksumAlgorithm", to_string(upload.checksum_algorithm));
  xml.element("ChecksumType", to_text(upload.checksum_type));
}

std::string parts_document(const Call& call, const object::PartsPage& page, std::size_t marker,
                           std::size_t max, KeyEncoder& encode) {
  const disk::VersionRecord& upload = *page.upload;
  net::XmlWriter xml;
  xml.open("ListPartsResult", net::kS3Namespace);
  xml.element("Bucket", call.uri.bucket.get()).element("Key", encode(call.uri.key.get()));
  xml.element("UploadId", call.query().get("uploadId"));
  write_user(xml, "Initiator", call.config);
  write_user(xml, "Owner", call.config);
  xml.element("StorageClass", storage_class_text(upload.storage_class));
  xml.element("PartNumberMarker", marker).element("NextPartNumberMarker", page.next_marker);
  xml.element("MaxParts", max).flag("IsTruncated", page.truncated);
  if (encode.url()) xml.element("EncodingType", "url");
  for (const disk::PartRecord& part : page.parts) {
    xml.open("Part").element("PartNumber", part.number).element("LastModified", xml_time(part.modified_ms));
    xml.element("ETag", quoted(hex(part.md5))).element("Size", part.size);
    write_part_checksum(xml, upload.checksum_algorithm, part);
    xml.close("Part");
  }
  write_upload_checksum(xml, upload);
  return xml.close("ListPartsResult").take();
}

std::string uploads_document(const Call& call, const object::UploadsQuery& query,
                             const object::UploadsPage& page, KeyEncoder& encode) {
  net::XmlWriter xml;
  xml.open("ListMultipartUploadsResult", net::kS3Namespace).element("Bucket", call.uri.bucket.get());
  xml.element("KeyMarker", encode(query.key_marker)).element("UploadIdMarker", query.upload_id_marker);
  if (page.truncated) {
    xml.element("NextKeyMarker", encode(page.next_key_marker));
    xml.element("NextUploadIdMarker", page.next_upload_id_marker);
  }
  xml.element("Prefix", encode(query.prefix));
  if (!query.delimiter.empty()) xml.element("Delimiter", encode(query.delimiter));
  if (encode.url()) xml.element("EncodingType", "url");
  xml.element("MaxUploads", query.max_uploads).flag("IsTruncated", page.truncated);
  for (const object::UploadInfo& upload : page.uploads) {
    xml.open("Upload").element("Key", encode(upload.key)).element("UploadId", upload.upload_id);
    write_user(xml, "Initiator", call.config);
    write_user(xml, "Owner", call.config);
    xml.element("StorageClass", storage_class_text(upload.record->storage_class));
    xml.element("Initiated", xml_time(upload.record->modified_ms));
    write_upload_checksum(xml, *upload.record);
    xml.close("Upload");
  }
  for (const std::string& prefix : page.common_prefixes) {
    xml.open("CommonPrefixes").element("Prefix", encode(prefix)).close("CommonPrefixes");
  }
  return xml.close("ListMultipartUploadsResult").take();
}

}  // namespace

OperationResult list_parts(Call& call) {
  S3_CO_TRY(max, parse_count(call.query(), "max-parts", {.fallback = kMaxListParts, .most = kMaxListParts}));
  S3_CO_TRY(marker, parse_count(call.query(), "part-number-marker", {.fallback = 0, .most = kMaxParts}));
  S3_CO_TRY(encode, KeyEncoder::from(call.query()));
  BucketName bucket = call.uri.bucket;
  ObjectKey key = call.uri.key;
  std::string upload_id(call.query().get("uploadId"));
  const auto after = static_cast<std::uint32_t>(marker);
  S3_CO_TRY(page, co_await call.objects.list_parts(call.ctx, std::move(bucket), std::move(key),
                                                   std::move(upload_id), after, max));
  std::string document = parts_document(call, page, marker, max, encode);
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

OperationResult list_multipart_uploads(Call& call) {
  S3_CO_TRY(max, parse_count(call.query(), "max-uploads", {.fallback = kMaxListKeys, .most = kMaxListKeys}));
  S3_CO_TRY(encode, KeyEncoder::from(call.query()));
  object::UploadsQuery query;
  query.bucket = call.uri.bucket;
  query.prefix = call.query().get("prefix");
  query.delimiter = call.query().get("delimiter");
  query.key_marker = call.query().get("key-marker");
  if (!query.key_marker.empty()) query.upload_id_marker = call.query().get("upload-id-marker");
  query.max_uploads = max;
  object::UploadsQuery asked = query;
  S3_CO_TRY(page, co_await call.objects.list_uploads(call.ctx, std::move(asked)));
  std::string document = uploads_document(call, query, page, encode);
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
