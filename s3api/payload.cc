#include "s3api/payload.h"

#include "base/encoding.h"
#include "base/hash.h"
#include "runtime/shard.h"

namespace ostraka::s3api {

Task<Result<std::size_t>> Payload::Wire::read(MutableByteSpan out) {
  Result<std::size_t> got = co_await inner_.read(out);
  if (got) {
    bytes_ += *got;
    ctx_.deadline = deadline_after(ctx_.shard.clock().now(), timeout_);
  } else {
    timed_out_ = got.failed_with(Errc::deadline);
    peer_gone_ = got.failed_with(Errc::closed);
  }
  co_return got;
}

Payload::Payload(Ctx& ctx, const net::RequestHead& head, net::BodySource& wire, Duration progress_timeout)
    : head_(head), wire_(ctx, wire, progress_timeout) {
  // Without the header there is no body, says HTTP; what stores a body wants it to be said.
  if (head.headers.find("Content-Length") != nullptr) size_ = head.content_length;
}

void Payload::protect(const iam::Authentication& authentication) {
  if (iam::is_streaming(authentication.payload)) {
    decoder_ = std::make_unique<iam::AwsChunkedSource>(wire_, authentication);
    size_ = authentication.decoded_length;
  } else if (authentication.payload == iam::PayloadKind::signed_hash) {
    sha256_ = unhex(authentication.payload_sha256);
  }
}

net::BodySource& Payload::source() noexcept {
  if (decoder_) return *decoder_;
  return wire_;
}

S3Result<object::BodyExpectations> Payload::expectations(std::uint64_t limit) {
  S3_TRY(expect, digests(limit));
  S3_TRY_VOID(claim_checksum(expect));
  return expect;
}

S3Result<object::BodyExpectations> Payload::digests(std::uint64_t limit) const {
  if (!size_) return refuse(error::kMissingContentLength);
  if (*size_ > limit) {
    S3Error error(error::kEntityTooLarge);
    error.add("ProposedSize", std::to_string(*size_));
    error.add("MaxSizeAllowed", std::to_string(limit));
    return refuse(std::move(error));
  }
  object::BodyExpectations expect;
  expect.size = *size_;
  expect.sha256 = sha256_;
  S3_TRY(md5, read_content_md5(head_.headers));
  expect.md5 = std::move(md5);
  return expect;
}

S3Result<> Payload::claim_checksum(object::BodyExpectations& expect) {
  S3_TRY(claim, read_checksum_claim(head_.headers));
  claim_ = std::move(claim);
  expect.algorithm = claim_.algorithm;
  expect.checksum = claim_.value;
  if (!decoder_ && !claim_.in_trailer) return {};
  if (!decoder_) {
    return refuse(error::kInvalidRequest,
                  "The x-amz-trailer header needs a payload in a streaming form with trailers.");
  }
  expect.trailer_checksum = [this] { return trailer_checksum(); };
  return {};
}

Result<std::optional<std::string>> Payload::trailer_checksum() {
  const net::Headers& trailers = decoder_->trailers();
  if (!claim_.in_trailer && trailers.all().empty()) return std::optional<std::string>();
  // Another trailer may hold a checksum, too, and what is not verified is not accepted.
  const bool as_announced = claim_.in_trailer && trailers.all().size() == 1;
  const std::string* text = as_announced ? trailers.find(checksum_header(claim_.algorithm)) : nullptr;
  auto raw = text == nullptr ? std::nullopt : unbase64(*text);
  if (!raw || raw->size() != checksum_size(claim_.algorithm)) {
    bad_trailer_ = true;
    return fail(Errc::malformed, "the trailers are not the one checksum that x-amz-trailer announces");
  }
  claim_.value = raw;
  return raw;
}

Task<S3Result<std::string>> Payload::read_document(std::size_t limit, ChecksumMeans checksum_means) {
  S3_CO_TRY(expect, digests(~0ULL));
  if (checksum_means == ChecksumMeans::body) {
    S3_CO_TRY_VOID(claim_checksum(expect));
  }
  if (expect.size > limit) co_return refuse(error::kMaxMessageLengthExceeded);
  net::BodySource& body = source();
  auto text = co_await net::read_all(body, limit);
  if (!text) co_return refuse(explain(S3Error(std::move(text).error())));
  if (text->size() != expect.size) co_return refuse(error::kIncompleteBody);
  if (expect.sha256 && *expect.sha256 != digest(DigestKind::sha256, *text))
    co_return refuse(error::kSha256Mismatch);
  if (expect.md5 && *expect.md5 != digest(DigestKind::md5, *text)) co_return refuse(error::kBadDigest);
  if (expect.trailer_checksum) {
    auto trailer = expect.trailer_checksum();
    if (!trailer) co_return refuse(explain(S3Error(std::move(trailer).error())));
    if (*trailer) expect.checksum = std::move(*trailer);
  }
  if (expect.checksum) {
    const auto checksum = make_checksum(expect.algorithm);
    checksum->update(as_bytes(*text));
    if (checksum->finish() != *expect.checksum)
      co_return refuse(explain(S3Error(Error{Errc::bad_digest, {}})));
  }
  co_return std::move(*text);
}

S3Error Payload::explain(S3Error error) const {
  if (wire_.timed_out()) return error::kRequestTimeout;
  if (bad_trailer_) return error::kMalformedTrailer;
  if (error.is(error::kBadDigest) && claim_.algorithm != ChecksumAlgorithm::none &&
      head_.headers.find("content-md5") == nullptr) {
    return {error::kBadDigest, "The " + std::string(to_string(claim_.algorithm)) +
                                   " you specified did not match the calculated checksum."};
  }
  return error;
}

}  // namespace ostraka::s3api
