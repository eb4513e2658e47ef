// PutObject.
#include "base/limits.h"
#include "s3api/checksum_headers.h"
#include "s3api/conditions.h"
#include "s3api/object_headers.h"
#include "s3api/operations.h"

namespace ostraka::s3api {

OperationResult put_object(Call& call) {
  S3_CO_TRY(attributes, read_attributes(call.headers()));
  S3_CO_TRY(conditions, write_conditions(call.headers()));
  S3_CO_TRY(expect, call.payload.expectations(kMaxPutBytes));
  object::PutSpec spec;
  spec.bucket = call.uri.bucket;
  spec.key = call.uri.key;
  spec.attributes = std::move(attributes);
  spec.expect = std::move(expect);
  spec.conditions = std::move(conditions);
  net::BodySource& body = call.payload.source();
  auto stored = co_await call.objects.put(call.ctx, std::move(spec), body);
  if (!stored) co_return refuse(call.payload.explain(S3Error(std::move(stored).error())));
  const disk::VersionRecord& record = **stored;
  net::ResponseHead head;
  head.headers.add("ETag", quoted(record.etag));
  add_checksum_headers(head.headers, record);
  std::string empty;
  S3_CO_TRY_VOID(co_await call.answer.send(std::move(head), std::move(empty)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
