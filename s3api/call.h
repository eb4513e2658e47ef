// Call: what an operation works with. One per request; made by S3Service, passed by reference to the
// operation it awaits.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "iam/sigv4.h"
#include "net/service.h"
#include "object/object_layer.h"
#include "runtime/ctx.h"
#include "s3api/answer.h"
#include "s3api/operation.h"
#include "s3api/payload.h"
#include "s3api/request_uri.h"
#include "s3api/s3_error.h"
#include "s3api/version_id.h"

namespace ostraka::s3api {

struct S3Config {
  std::string region = "us-east-1";
  std::vector<std::string> domains;  // of virtual-host style requests, lower case
  std::string owner_id;              // the canonical user id of the root user, who owns every bucket
  std::string owner_name = "root";
  std::string host_id;  // x-amz-id-2: opaque, the same on every answer of a node
  std::size_t requests_max = 512;
  std::size_t forms_max = 128;  // of them, browser uploads, which begin before it is known who sends them
  std::chrono::milliseconds progress_timeout{
      30'000};  // longest time a request may go on without moving a byte
  std::chrono::milliseconds server_copy_timeout{3'600'000};  // for what moves its bytes inside the server
  bool access_log = true;
};

struct Call {
  Ctx& ctx;
  const net::RequestHead& head;
  const RequestUri& uri;
  Payload& payload;
  Answer& answer;
  object::ObjectLayer& objects;
  const iam::SigV4Verifier& verifier;
  const S3Config& config;

  const net::Headers& headers() const noexcept { return head.headers; }
  const QueryParams& query() const noexcept { return uri.query; }
  std::string bucket() const { return uri.bucket.get(); }
  std::string key() const { return uri.key.get(); }

  // The deadline moves to this long from now.
  void allow(std::chrono::milliseconds time) const;
  // The bucket of the request. Errors: NoSuchBucket.
  S3Result<object::BucketInfo> find_bucket() const;
  // What versionId of the query names; without one, the null version. Errors: InvalidArgument.
  S3Result<NamedVersion> named_version() const;
  // It is a version that there may be. Errors: NoSuchVersion, NoSuchBucket, InvalidArgument.
  S3Result<> check_version_id() const;
  // "http://host/bucket/key" as the client reaches it.
  std::string location() const;
};

// An operation answers through call.answer, or returns the error that the service sends.
using OperationResult = Task<S3Result<>>;

}  // namespace ostraka::s3api
