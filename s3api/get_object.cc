// GetObject and HeadObject.
#include <optional>
#include <vector>

#include "base/encoding.h"
#include "base/limits.h"
#include "s3api/checksum_headers.h"
#include "s3api/conditions.h"
#include "s3api/object_headers.h"
#include "s3api/operations.h"
#include "s3api/range.h"

namespace ostraka::s3api {

namespace {

using disk::PartRecord;
using disk::VersionRecord;

// What of the object the answer carries.
struct Selection {
  ByteRange range;
  bool partial = false;              // 206
  const PartRecord* part = nullptr;  // when partNumber chose one of several
  std::uint32_t parts = 0;           // x-amz-mp-parts-count, when partNumber was given
};

S3Result<Selection> select_part(const VersionRecord& record, std::string_view text) {
  const auto number = parse_u64(text);
  if (!number || *number < 1 || *number > kMaxParts) {
    return refuse_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber",
                           std::string(text));
  }
  Selection out{.range = {0, record.size}, .partial = record.size > 0, .parts = parts_count(record)};
  if (out.parts == 0 || record.parts.empty()) {  // put whole, or kept as one piece
    if (*number == 1) return out;
  } else {
    std::uint64_t begin = 0;
    for (const PartRecord& part : record.parts) {
      if (part.number == *number) {
        out.range = {begin, begin + part.size};
        out.partial = part.size > 0;
        out.part = &part;
        return out;
      }
      begin += part.size;
    }
  }
  S3Error error(error::kInvalidPartNumber);
  error.add("PartNumberRequested", std::string(text));
  error.add("ActualPartCount", std::to_string(std::max(out.parts, 1U)));
  return refuse(std::move(error));
}

S3Result<Selection> select(const Call& call, const VersionRecord& record) {
  const std::string* part_number = call.query().find("partNumber");
  const std::string* header = call.headers().find("range");
  if (part_number != nullptr && header != nullptr) {
    return refuse(error::kInvalidRequest, "Cannot specify both Range header and partNumber query parameter");
  }
  if (part_number != nullptr) return select_part(record, *part_number);
  Selection out{.range = {0, record.size}};
  if (header == nullptr) return out;
  S3_TRY(range, parse_range(*header, record.size));
  if (range) {
    out.range = *range;
    out.partial = true;
  }
  return out;
}

void add_checksum(net::Headers& out, const VersionRecord& record, const Selection& chosen) {
  if (chosen.part != nullptr) {  // of the part: what the client receives is what it can verify
    if (record.checksum_algorithm == ChecksumAlgorithm::none || chosen.part->checksum.empty()) return;
    out.add(std::string(checksum_header(record.checksum_algorithm)), base64(chosen.part->checksum));
    out.add("x-amz-checksum-type", std::string(to_text(record.checksum_type)));
  } else if (chosen.range == ByteRange{0, record.size}) {
    add_checksum_headers(out, record);
  }
}

net::ResponseHead make_head(const Call& call, const VersionRecord& record, const Selection& chosen) {
  net::ResponseHead head;
  head.status = chosen.partial ? 206 : 200;
  add_object_headers(head.headers, record);
  head.headers.add("Accept-Ranges", "bytes");
  if (chosen.partial) {
    head.headers.add("Content-Range", "bytes " + std::to_string(chosen.range.begin) + '-' +
                                          std::to_string(chosen.range.end - 1) + '/' +
                                          std::to_string(record.size));
  }
  if (chosen.parts > 0) head.headers.add("x-amz-mp-parts-count", std::to_string(chosen.parts));
  if (iequals(call.headers().get("x-amz-checksum-mode"), "ENABLED"))
    add_checksum(head.headers, record, chosen);
  if (!call.query().all().empty()) apply_response_overrides(head.headers, call.query());
  return head;
}

// The first bytes are there before the head goes out, so that what fails at once still gets its proper
// status.
OperationResult send_range(Call& call, object::OpenObject& object, ByteRange range, net::ResponseHead head) {
  S3_CO_TRY(reader, object.read(range));
  S3_CO_TRY(chain, co_await reader->next(call.ctx));
  S3_CO_TRY_VOID(co_await call.answer.start(std::move(head), range.size()));
  std::vector<ByteSpan> parts;
  while (!chain.empty()) {
    parts.clear();
    for (const Slice& slice : chain) parts.push_back(slice.bytes);
    S3_CO_TRY_VOID(co_await call.answer.write(parts));
    chain.clear();  // its buffers: the next piece may be waiting for one, and so may all other requests
    call.allow(call.config.progress_timeout);
    auto next = co_await reader->next(call.ctx);
    if (!next) co_return refuse(S3Error(std::move(next).error()));
    chain = std::move(*next);
  }
  S3_CO_TRY_VOID(co_await call.answer.finish());
  co_return S3Result<>();
}

}  // namespace

OperationResult get_object(Call& call) {
  S3_CO_TRY_VOID(call.check_version_id());
  if (call.headers().find("x-amz-server-side-encryption-customer-algorithm") != nullptr) {
    co_return refuse(error::kInvalidRequest, "The encryption parameters are not applicable to this object.");
  }
  const bool with_body = call.head.method == net::Method::get;
  BucketName bucket = call.uri.bucket;
  ObjectKey key = call.uri.key;
  S3_CO_TRY(object, co_await call.objects.get(call.ctx, std::move(bucket), std::move(key), with_body));
  const VersionRecord& record = object->record();
  const object::Conditions conditions = read_conditions(call.headers());
  if (conditions.any()) {
    const auto held = object::check_read(conditions, record);
    if (!held && held.failed_with(Errc::not_modified)) {
      net::ResponseHead head;
      head.status = 304;
      add_object_headers(head.headers, record);
      std::string empty;
      S3_CO_TRY_VOID(co_await call.answer.send(std::move(head), std::move(empty)));
      co_return S3Result<>();
    }
    if (!held) co_return refuse(S3Error(held.error()));
  }
  S3_CO_TRY(chosen, select(call, record));
  net::ResponseHead head = make_head(call, record, chosen);
  if (with_body && chosen.range.size() > 0) {
    S3_CO_TRY_VOID(co_await send_range(call, *object, chosen.range, std::move(head)));
    co_return S3Result<>();
  }
  if (!with_body) head.headers.add("Content-Length", std::to_string(chosen.range.size()));
  std::string empty;
  S3_CO_TRY_VOID(co_await call.answer.send(std::move(head), std::move(empty)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
