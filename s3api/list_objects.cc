// ListObjects and ListObjectsV2.
#include "net/xml_writer.h"
#include "s3api/checksum_headers.h"
#include "s3api/limits.h"
#include "s3api/list_page.h"
#include "s3api/list_query.h"
#include "s3api/object_headers.h"
#include "s3api/operations.h"

namespace ostraka::s3api {

namespace {

void write_contents(net::XmlWriter& xml, const object::ListedObject& object, KeyEncoder& encode,
                    const S3Config* owner) {
  const disk::VersionRecord& record = *object.record;
  xml.open("Contents").element("Key", encode(object.key));
  write_listed(xml, record);
  if (record.checksum_algorithm != ChecksumAlgorithm::none) {
    xml.element("ChecksumAlgorithm", to_string(record.checksum_algorithm));
    xml.element("ChecksumType", to_text(record.checksum_type));
  }
  if (owner != nullptr) write_owner(xml, *owner);
  xml.close("Contents");
}

}  // namespace

OperationResult list_objects(Call& call) {
  const QueryParams& query = call.query();
  S3_CO_TRY(max, parse_count(query, "max-keys", {.fallback = kMaxListKeys, .most = kMaxListKeys}));
  S3_CO_TRY(encode, KeyEncoder::from(query));
  const std::string_view marker = query.get("marker");
  object::ListQuery spec;
  spec.bucket = call.uri.bucket;
  spec.prefix = query.get("prefix");
  spec.delimiter = query.get("delimiter");
  spec.start_after = marker;
  spec.max_keys = max;
  object::ListQuery asked = spec;
  S3_CO_TRY(page, co_await call.objects.list(call.ctx, std::move(asked)));

  net::XmlWriter xml;
  xml.reserve(page_bytes(page));
  xml.open("ListBucketResult", net::kS3Namespace).element("Name", spec.bucket.get());
  xml.element("Prefix", encode(spec.prefix)).element("Marker", encode(marker));
  // Without a delimiter clients go on from the last key themselves, as AWS has it.
  if (page.truncated && !spec.delimiter.empty()) xml.element("NextMarker", encode(page.next));
  write_list_head(xml, spec, page.truncated, encode);
  for (const object::ListedObject& object : page.objects) write_contents(xml, object, encode, &call.config);
  write_common_prefixes(xml, page, encode);
  xml.close("ListBucketResult");
  std::string document = xml.take();
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

OperationResult list_objects_v2(Call& call) {
  const QueryParams& query = call.query();
  if (query.get("list-type") != "2") {
    co_return refuse_argument("List Type specified in Request must be 2", "list-type",
                              std::string(query.get("list-type")));
  }
  S3_CO_TRY(max, parse_count(query, "max-keys", {.fallback = kMaxListKeys, .most = kMaxListKeys}));
  S3_CO_TRY(encode, KeyEncoder::from(query));
  S3_CO_TRY(token, read_token(query, "continuation-token"));
  const std::string_view start_after = query.get("start-after");
  const S3Config* owner = query.get("fetch-owner") == "true" ? &call.config : nullptr;
  object::ListQuery spec;
  spec.bucket = call.uri.bucket;
  spec.prefix = query.get("prefix");
  spec.delimiter = query.get("delimiter");
  spec.start_after = token ? std::string_view(*token) : start_after;
  spec.max_keys = max;
  object::ListQuery asked = spec;
  S3_CO_TRY(page, co_await call.objects.list(call.ctx, std::move(asked)));

  net::XmlWriter xml;
  xml.reserve(page_bytes(page));
  xml.open("ListBucketResult", net::kS3Namespace).element("Name", spec.bucket.get());
  xml.element("Prefix", encode(spec.prefix));
  if (token) xml.element("ContinuationToken", query.get("continuation-token"));
  if (page.truncated) xml.element("NextContinuationToken", make_token(page.next));
  if (!start_after.empty()) xml.element("StartAfter", encode(start_after));
  xml.element("KeyCount", page.objects.size() + page.common_prefixes.size());
  write_list_head(xml, spec, page.truncated, encode);
  for (const object::ListedObject& object : page.objects) write_contents(xml, object, encode, owner);
  write_common_prefixes(xml, page, encode);
  xml.close("ListBucketResult");
  std::string document = xml.take();
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
