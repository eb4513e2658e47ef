// Payload: the body of a request as its operation sees it: aws-chunked undone, lengths and digests known,
// progress watched.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "iam/authentication.h"
#include "iam/aws_chunked.h"
#include "net/service.h"
#include "object/object_layer.h"
#include "runtime/ctx.h"
#include "s3api/checksum_headers.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

// What an x-amz-checksum-* header of a request with an XML body is about.
enum class ChecksumMeans : bool { body, object };

// Not thread safe.
class Payload {
 public:
  // Each read that brings bytes moves ctx.deadline to progress_timeout from then. All references must outlive
  // it.
  Payload(Ctx& ctx, const net::RequestHead& head, net::BodySource& wire, Duration progress_timeout);

  // Says how the body is protected; before source() and size().
  void protect(const iam::Authentication& authentication);

  net::BodySource& source() noexcept;
  std::optional<std::uint64_t> size() const noexcept {
    return size_;
  }  // decoded; nullopt: the client does not say
  std::uint64_t wire_bytes() const noexcept { return wire_.bytes(); }

  // What the headers claim about the body, for the object layer. limit: most bytes. Reads nothing.
  // Errors: MissingContentLength, EntityTooLarge, InvalidDigest, InvalidRequest.
  S3Result<object::BodyExpectations> expectations(std::uint64_t limit);

  // A whole small body, verified against all that the headers claim about it. Errors: as above,
  // MaxMessageLengthExceeded, IncompleteBody, BadDigest, XAmzContentSHA256Mismatch, and those of the source.
  Task<S3Result<std::string>> read_document(std::size_t limit, ChecksumMeans checksum = ChecksumMeans::body);

  // An error as the client should see it: the body itself may know better what went wrong than the code it
  // ended in.
  S3Error explain(S3Error error) const;

  bool peer_gone() const noexcept { return wire_.peer_gone(); }

  // The checksum that the client sent, once expectations() and, for one in a trailer, the end of the body
  // have been seen.
  const ChecksumClaim& claim() const noexcept { return claim_; }

 private:
  // The body on the wire.
  class Wire final : public net::BodySource {
   public:
    Wire(Ctx& ctx, net::BodySource& inner, Duration timeout) : ctx_(ctx), inner_(inner), timeout_(timeout) {}
    Task<Result<std::size_t>> read(MutableByteSpan out) override;
    std::uint64_t bytes() const noexcept { return bytes_; }
    bool timed_out() const noexcept { return timed_out_; }
    bool peer_gone() const noexcept { return peer_gone_; }

   private:
    Ctx& ctx_;
    net::BodySource& inner_;
    const Duration timeout_;
    std::uint64_t bytes_ = 0;
    bool timed_out_ = false;
    bool peer_gone_ = false;
  };

  S3Result<object::BodyExpectations> digests(std::uint64_t limit) const;  // all but the checksum
  S3Result<> claim_checksum(object::BodyExpectations& expect);
  Result<std::optional<std::string>> trailer_checksum();

  const net::RequestHead& head_;
  Wire wire_;
  std::unique_ptr<iam::AwsChunkedSource> decoder_;  // only for the streaming kinds
  std::optional<std::uint64_t> size_;
  std::optional<std::string> sha256_;  // raw
  ChecksumClaim claim_;
  bool bad_trailer_ = false;
};

}  // namespace ostraka::s3api
