#include "s3api/s3_service.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/log.h"
#include "runtime/shard.h"
#include "s3api/access_log.h"
#include "s3api/authorisation.h"
#include "s3api/operations.h"
#include "s3api/router.h"

namespace ostraka::s3api {

namespace {

// Fields that AWS gives with an error and that the request itself tells.
void add_request_fields(S3Error& error, const RequestUri& uri) {
  const auto add = [&error](const char* name, std::string_view value) {
    if (!error.has(name) && !value.empty()) error.add(name, std::string(value));
  };
  const bool names_bucket = error.is(error::kNoSuchBucket) || error.is(error::kBucketNotEmpty) ||
                            error.is(error::kBucketAlreadyOwnedByYou) || error.is(error::kTooManyBuckets);
  if (names_bucket) add("BucketName", uri.bucket.get());
  if (error.is(error::kNoSuchKey)) add("Key", uri.key.get());
  const bool names_upload =
      error.is(error::kNoSuchUpload) || error.is(error::kInvalidPart) || error.is(error::kInvalidPartOrder);
  if (names_upload) add("UploadId", uri.query.get("uploadId"));
}

bool is_unauthenticated(Operation operation) noexcept {
  return operation == Operation::PreflightRequest || operation == Operation::PostObject;  // its form says who
}

}  // namespace

// One of the requests that may be in flight at once. gauge: shows their number; may be null.
class S3Service::Slot {
 public:
  Slot(std::atomic<std::size_t>& in_flight, Gauge* gauge, std::size_t most) noexcept
      : in_flight_(in_flight), gauge_(gauge), taken_(in_flight.fetch_add(1) < most) {
    if (gauge_ != nullptr) gauge_->add(1);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() {
    in_flight_.fetch_sub(1);
    if (gauge_ != nullptr) gauge_->add(-1);
  }
  bool taken() const noexcept { return taken_; }

 private:
  std::atomic<std::size_t>& in_flight_;
  Gauge* const gauge_;
  const bool taken_;
};

S3Service::S3Service(S3Config config, object::ObjectLayer& objects, const iam::SigV4Verifier& verifier,
                     MetricRegistry& metrics)
    : config_(std::move(config)), objects_(objects), verifier_(verifier), metrics_(metrics) {}

object::ClientLoad S3Service::client_load() const noexcept {
  object::ClientLoad load;
  load.in_flight = in_flight_.load(std::memory_order_relaxed);
  load.reads = object::latencies_of(metrics_.reads());
  load.writes = object::latencies_of(metrics_.writes());
  return load;
}

Task<> S3Service::serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) {
  const TimePoint begun = ctx.shard.clock().now();
  ctx.deadline = deadline_after(begun, config_.progress_timeout);
  Known known;
  Answer out(sink, ctx.request_id, config_.host_id);
  Payload payload(ctx, head, body, config_.progress_timeout);
  {
    const Slot slot(in_flight_, &metrics_.in_flight(), config_.requests_max);
    S3Result<> done = refuse(error::kSlowDown);
    if (slot.taken()) done = co_await answer(ctx, head, payload, out, known);
    if (!done && !payload.peer_gone()) {
      S3Error error = std::move(done).error();
      co_await send_error(ctx, head, std::move(error), out, known);
    }
  }
  RequestMetrics::Finished request;
  request.operation = known.operation;
  request.status = out.status();
  request.us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(ctx.shard.clock().now() - begun).count());
  request.bytes_in = payload.wire_bytes();
  request.bytes_out = out.body_bytes();
  finish(ctx, head, request, known);
}

Task<S3Result<>> S3Service::answer(Ctx& ctx, const net::RequestHead& head, Payload& payload, Answer& out,
                                   Known& known) {
  S3_CO_TRY(uri, parse_request_uri(head.target, head.headers.get("host"), config_.domains));
  known.uri = std::move(uri);
  S3_CO_TRY(operation, route(head, known.uri));
  known.operation = operation;
  if (!is_unauthenticated(operation)) {
    S3_CO_TRY(authentication, admit(head, known));
    known.access_key = authentication.principal.access_key;
    payload.protect(authentication);
  }
  Call call{ctx, head, known.uri, payload, out, objects_, verifier_, config_};
  if (operation != Operation::PostObject) co_return co_await run(call, operation);
  // Who sends a form is known only when its fields have come: strangers may not take all the slots.
  const Slot slot(forms_, nullptr, config_.forms_max);
  if (!slot.taken()) co_return refuse(error::kSlowDown);
  co_return co_await run(call, operation);
}

S3Result<iam::Authentication> S3Service::admit(const net::RequestHead& head, const Known& known) const {
  auto authentication = verifier_.verify(head);
  if (!authentication) return refuse(from_auth_failure(authentication.error()));
  S3_TRY_VOID(authorise(authentication->principal));
  const std::string* owner = head.headers.find("x-amz-expected-bucket-owner");
  if (owner != nullptr && known.uri.has_bucket() && *owner != config_.owner_id)
    return refuse(error::kAccessDenied);
  return std::move(*authentication);
}

OperationResult S3Service::run(Call& call, Operation operation) const {
  using enum Operation;
  switch (operation) {
    case ListBuckets:
      return list_buckets(call);
    case CreateBucket:
      return create_bucket(call);
    case HeadBucket:
      return head_bucket(call);
    case DeleteBucket:
      return delete_bucket(call);
    case GetBucketLocation:
      return get_bucket_location(call);
    case ListObjects:
      return list_objects(call);
    case ListObjectsV2:
      return list_objects_v2(call);
    case ListObjectVersions:
      return list_object_versions(call);
    case ListMultipartUploads:
      return list_multipart_uploads(call);
    case PutObject:
      return put_object(call);
    case GetObject:
    case HeadObject:
      return get_object(call);
    case DeleteObject:
      return delete_object(call);
    case DeleteObjects:
      return delete_objects(call);
    case CopyObject:
      return copy_object(call);
    case GetObjectAttributes:
      return get_object_attributes(call);
    case PostObject:
      return post_object(call);
    case CreateMultipartUpload:
      return create_multipart_upload(call);
    case UploadPart:
      return upload_part(call);
    case UploadPartCopy:
      return upload_part_copy(call);
    case CompleteMultipartUpload:
      return complete_multipart_upload(call);
    case AbortMultipartUpload:
      return abort_multipart_upload(call);
    case ListParts:
      return list_parts(call);
    case PreflightRequest:
      return refuse_preflight(call);
    default:
      break;
  }
  if (is_bucket_setting(operation)) return answer_bucket_setting(call, operation);
  if (is_object_setting(operation)) return answer_object_setting(call, operation);
  return refuse_unserved(call, operation);
}

Task<> S3Service::send_error(const Ctx& ctx, const net::RequestHead& head, S3Error error, Answer& out,
                             Known& known) const {
  known.error = error.code();
  if (error.status() >= 500 || !error.detail().empty()) {
    log::debug("request {} failed: {} ({}) {}", ctx.request_id, error.code(), to_string(error.cause()),
               error.detail());
  }
  if (out.on_the_wire()) co_return;  // the server cuts the connection, and that says it
  add_request_fields(error, known.uri);
  net::ResponseHead answer_head;
  answer_head.status = error.status();
  std::string document;
  if (head.method != net::Method::head && error.status() != 304) {
    answer_head.headers.add("Content-Type", "application/xml");
    const std::string_view resource = known.uri.resource.empty() ? head.target : known.uri.resource;
    document = error_document(error, resource, ctx.request_id, config_.host_id);
  }
  const auto sent = co_await out.send(std::move(answer_head), std::move(document));
  if (!sent) log::debug("request {}: the error was not taken: {}", ctx.request_id, to_string(sent.code()));
}

void S3Service::finish(const Ctx& ctx, const net::RequestHead& head, const RequestMetrics::Finished& request,
                       const Known& known) {
  metrics_.record(request);
  if (!config_.access_log || !log::enabled(log::Level::info)) return;
  const std::string line = access_line({.request_id = ctx.request_id,
                                        .remote = head.remote_address,
                                        .access_key = known.access_key,
                                        .operation = to_string(request.operation),
                                        .bucket = known.uri.bucket.get(),
                                        .key = known.uri.key.get(),
                                        .method = head.method_text,
                                        .error = known.error,
                                        .user_agent = head.headers.get("user-agent"),
                                        .status = request.status,
                                        .bytes_in = request.bytes_in,
                                        .bytes_out = request.bytes_out,
                                        .us = request.us});
  log::write(log::Level::info, line);
}

}  // namespace ostraka::s3api
