// ListObjectVersions: of a bucket whose versioning was never switched on, every object is its own null
// version.
#include "net/xml_writer.h"
#include "s3api/limits.h"
#include "s3api/list_page.h"
#include "s3api/list_query.h"
#include "s3api/operations.h"

namespace ostraka::s3api {

namespace {

S3Result<> check_version_marker(const QueryParams& query) {
  const std::string* marker = query.find("version-id-marker");
  if (marker == nullptr) return {};
  if (marker->empty())
    return refuse_argument("A version-id marker cannot be empty.", "version-id-marker", "");
  if (query.get("key-marker").empty()) {
    return refuse_argument("A version-id marker cannot be specified without a key marker.",
                           "version-id-marker", *marker);
  }
  if (*marker != "null") return refuse_argument("Invalid version id specified", "version-id-marker", *marker);
  return {};
}

}  // namespace

OperationResult list_object_versions(Call& call) {
  const QueryParams& query = call.query();
  S3_CO_TRY(max, parse_count(query, "max-keys", {.fallback = kMaxListKeys, .most = kMaxListKeys}));
  S3_CO_TRY(encode, KeyEncoder::from(query));
  S3_CO_TRY_VOID(check_version_marker(query));
  object::ListQuery spec;
  spec.bucket = call.uri.bucket;
  spec.prefix = query.get("prefix");
  spec.delimiter = query.get("delimiter");
  spec.start_after = query.get("key-marker");
  spec.max_keys = max;
  object::ListQuery asked = spec;
  S3_CO_TRY(page, co_await call.objects.list(call.ctx, std::move(asked)));

  net::XmlWriter xml;
  xml.reserve(page_bytes(page));
  xml.open("ListVersionsResult", net::kS3Namespace).element("Name", spec.bucket.get());
  xml.element("Prefix", encode(spec.prefix)).element("KeyMarker", encode(spec.start_after));
  xml.element("VersionIdMarker", query.get("version-id-marker"));
  if (page.truncated) {
    xml.element("NextKeyMarker", encode(page.next));
    const bool ends_in_prefix = !page.common_prefixes.empty() && page.common_prefixes.back() == page.next;
    if (!ends_in_prefix) xml.element("NextVersionIdMarker", "null");
  }
  write_list_head(xml, spec, page.truncated, encode);
  for (const object::ListedObject& object : page.objects) {
    xml.open("Version")
        .element("Key", encode(object.key))
        .element("VersionId", "null")
        .flag("IsLatest", true);
    write_listed(xml, *object.record);
    write_owner(xml, call.config);
    xml.close("Version");
  }
  write_common_prefixes(xml, page, encode);
  xml.close("ListVersionsResult");
  std::string document = xml.take();
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
