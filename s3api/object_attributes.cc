// GetObjectAttributes.
#include <algorithm>

#include "base/encoding.h"
#include "net/xml_writer.h"
#include "s3api/checksum_headers.h"
#include "s3api/limits.h"
#include "s3api/object_headers.h"
#include "s3api/operations.h"

namespace ostraka::s3api {

namespace {

struct Wanted {
  bool etag = false, checksum = false, parts = false, storage_class = false, size = false;
  std::uint64_t max_parts = kMaxListParts;
  std::uint64_t part_marker = 0;
};

S3Result<> want(Wanted& out, std::string_view name) {
  if (name == "ETag") {
    out.etag = true;
  } else if (name == "Checksum") {
    out.checksum = true;
  } else if (name == "ObjectParts") {
    out.parts = true;
  } else if (name == "StorageClass") {
    out.storage_class = true;
  } else if (name == "ObjectSize") {
    out.size = true;
  } else {
    return refuse_argument("Invalid attribute name specified.", "x-amz-object-attributes", std::string(name));
  }
  return {};
}

S3Result<std::uint64_t> read_number(const net::Headers& headers, const std::string& name,
                                    std::uint64_t fallback) {
  const std::string* text = headers.find(name);
  if (text == nullptr) return fallback;
  const auto value = parse_u64(*text);
  if (!value || *value > 2147483647) {
    return refuse_argument("Argument " + name + " must be an integer between 0 and 2147483647", name, *text);
  }
  return *value;
}

S3Result<Wanted> read_wanted(const net::Headers& headers) {
  Wanted out;
  bool any = false;
  for (const auto& [name, value] : headers.all()) {  // SDKs send one header with commas, or one header each
    if (!iequals(name, "x-amz-object-attributes")) continue;
    std::string_view list = value;
    while (!list.empty()) {
      const std::size_t end = std::min(list.find(','), list.size());
      S3_TRY_VOID(want(out, trim(list.substr(0, end))));
      any = true;
      list.remove_prefix(std::min(end + 1, list.size()));
    }
  }
  if (!any) {
    return refuse(error::kInvalidRequest,
                  "Missing required header for this request: x-amz-object-attributes");
  }
  S3_TRY(max_parts, read_number(headers, "x-amz-max-parts", kMaxListParts));
  out.max_parts = std::min<std::uint64_t>(max_parts, kMaxListParts);
  S3_TRY(marker, read_number(headers, "x-amz-part-number-marker", 0));
  out.part_marker = marker;
  return out;
}

void write_parts(net::XmlWriter& xml, const disk::VersionRecord& record, const Wanted& wanted) {
  xml.open("ObjectParts").element("PartsCount", parts_count(record));
  std::uint64_t written = 0;
  std::uint64_t last = wanted.part_marker;
  bool truncated = false;
  xml.element("PartNumberMarker", wanted.part_marker).element("MaxParts", wanted.max_parts);
  for (const disk::PartRecord& part : record.parts) {
    if (part.number <= wanted.part_marker) continue;
    if (written == wanted.max_parts) {
      truncated = true;
      break;
    }
    xml.open("Part").element("PartNumber", part.number).element("Size", part.size);
    write_part_checksum(xml, record.checksum_algorithm, part);
    xml.close("Part");
    last = part.number;
    ++written;
  }
  xml.element("NextPartNumberMarker", written > 0 ? last : 0).flag("IsTruncated", truncated);
  xml.close("ObjectParts");
}

}  // namespace

OperationResult get_object_attributes(Call& call) {
  S3_CO_TRY_VOID(call.check_version_id());
  S3_CO_TRY(wanted, read_wanted(call.headers()));
  BucketName bucket = call.uri.bucket;
  ObjectKey key = call.uri.key;
  S3_CO_TRY(object, co_await call.objects.get(call.ctx, std::move(bucket), std::move(key), false));
  const disk::VersionRecord& record = object->record();

  net::XmlWriter xml;
  xml.open("GetObjectAttributesResponse", net::kS3Namespace);
  if (wanted.etag) xml.element("ETag", record.etag);
  if (wanted.checksum && !record.checksum.empty()) {
    xml.open("Checksum");
    write_checksum(xml, record);
    xml.close("Checksum");
  }
  if (wanted.parts && parts_count(record) > 0) write_parts(xml, record, wanted);
  if (wanted.storage_class) xml.element("StorageClass", storage_class_text(record.storage_class));
  if (wanted.size) xml.element("ObjectSize", record.size);
  xml.close("GetObjectAttributesResponse");

  net::ResponseHead head;
  head.headers.add("Content-Type", "application/xml");
  head.headers.add("Last-Modified", http_date(record.modified_ms));
  std::string document = xml.take();
  S3_CO_TRY_VOID(co_await call.answer.send(std::move(head), std::move(document)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
