// DeleteObject and DeleteObjects.
#include <optional>
#include <vector>

#include "base/check.h"
#include "net/xml_writer.h"
#include "s3api/checksum_headers.h"
#include "s3api/conditions.h"
#include "s3api/limits.h"
#include "s3api/operations.h"
#include "s3api/xml_requests.h"

namespace ostraka::s3api {

namespace {

using Item = DeleteObjectsRequest::Item;

// Why a key of the list cannot even be tried.
std::optional<S3Error> refused_item(const Item& item) {
  // In a list, AWS calls an id that is none a version that does not exist.
  if (item.version_id && !read_version_id(*item.version_id, "VersionId")) return error::kNoSuchVersion;
  auto key = check_key(item.key);
  if (!key) return std::move(key).error();
  return std::nullopt;
}

// A version that is not there is deleted already.
bool names_absent_version(const Item& item) {
  return item.version_id && *item.version_id != "null";
}

void write_outcome(net::XmlWriter& xml, const Item& item, const std::optional<S3Error>& failure, bool quiet) {
  if (!failure && quiet) return;
  const std::string_view element = failure ? "Error" : "Deleted";
  xml.open(element).element("Key", item.key);
  if (item.version_id) xml.element("VersionId", *item.version_id);
  if (failure) xml.element("Code", failure->code()).element("Message", failure->message());
  xml.close(element);
}

// Without a digest of the list, a flipped bit would delete another key.
bool has_body_digest(const net::Headers& headers) {
  if (headers.find("content-md5") != nullptr) return true;
  const auto claim = read_checksum_claim(headers);
  return !claim || claim->algorithm != ChecksumAlgorithm::none;
}

}  // namespace

OperationResult delete_object(Call& call) {
  S3_CO_TRY(version, call.named_version());
  S3_CO_TRY(conditions, delete_conditions(call.headers()));
  if (version == NamedVersion::absent) {  // as good as deleted
    S3_CO_TRY_VOID(call.find_bucket());
    net::ResponseHead head;
    head.status = 204;
    head.headers.add("x-amz-version-id", std::string(call.query().get("versionId")));
    std::string empty;
    S3_CO_TRY_VOID(co_await call.answer.send(std::move(head), std::move(empty)));
    co_return S3Result<>();
  }
  object::DeleteSpec spec;
  spec.bucket = call.uri.bucket;
  spec.key = call.uri.key;
  spec.conditions = std::move(conditions);
  S3_CO_TRY_VOID(co_await call.objects.erase(call.ctx, std::move(spec)));
  S3_CO_TRY_VOID(co_await call.answer.send_empty(204));
  co_return S3Result<>();
}

OperationResult delete_objects(Call& call) {
  S3_CO_TRY_VOID(call.find_bucket());
  if (!has_body_digest(call.headers())) {
    co_return refuse(error::kInvalidRequest, "Missing required header for this request: Content-MD5");
  }
  S3_CO_TRY(body, co_await call.payload.read_document(kDeleteXml.bytes));
  S3_CO_TRY(request, parse_delete_objects(std::move(body)));

  std::vector<std::optional<S3Error>> failures(request.items.size());
  std::vector<object::DeleteSpec> specs;
  std::vector<std::size_t> places;  // of each spec in the list
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    const Item& item = request.items[i];
    failures[i] = refused_item(item);
    if (failures[i] || names_absent_version(item)) continue;
    object::DeleteSpec spec;
    spec.bucket = call.uri.bucket;
    spec.key = ObjectKey(item.key);
    spec.conditions = item.conditions;
    specs.push_back(std::move(spec));
    places.push_back(i);
  }
  call.allow(call.config.progress_timeout);
  const auto outcomes = co_await call.objects.erase_many(call.ctx, std::move(specs));
  CHECK(outcomes.size() == places.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i]) failures[places[i]] = S3Error(outcomes[i].error());
  }

  net::XmlWriter xml;
  xml.open("DeleteResult", net::kS3Namespace);
  for (std::size_t i = 0; i < failures.size(); ++i)
    write_outcome(xml, request.items[i], failures[i], request.quiet);
  xml.close("DeleteResult");
  std::string document = xml.take();
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
