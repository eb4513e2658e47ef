#include "s3api/list_page.h"

#include "s3api/object_headers.h"

namespace ostraka::s3api {

std::size_t page_bytes(const object::ObjectsPage& page) noexcept {
  constexpr std::size_t kEntryBytes = 480;  // all but the key
  std::size_t bytes = 1024 + page.common_prefixes.size() * 128;
  for (const object::ListedObject& object : page.objects) bytes += kEntryBytes + object.key.size();
  return bytes;
}

void write_list_head(net::XmlWriter& xml, const object::ListQuery& query, bool truncated,
                     KeyEncoder& encode) {
  xml.element("MaxKeys", query.max_keys);
  if (!query.delimiter.empty()) xml.element("Delimiter", encode(query.delimiter));
  if (encode.url()) xml.element("EncodingType", "url");
  xml.flag("IsTruncated", truncated);
}

void write_owner(net::XmlWriter& xml, const S3Config& config) {
  xml.open("Owner").element("ID", config.owner_id).element("DisplayName", config.owner_name).close("Owner");
}

void write_listed(net::XmlWriter& xml, const disk::VersionRecord& record) {
  xml.element("LastModified", xml_time(record.modified_ms));
  xml.open("ETag").text("\"").text(record.etag).text("\"").close("ETag");
  xml.element("Size", record.size).element("StorageClass", storage_class_text(record.storage_class));
}

void write_common_prefixes(net::XmlWriter& xml, const object::ObjectsPage& page, KeyEncoder& encode) {
  for (const std::string& prefix : page.common_prefixes) {
    xml.open("CommonPrefixes").element("Prefix", encode(prefix)).close("CommonPrefixes");
  }
}

}  // namespace ostraka::s3api
