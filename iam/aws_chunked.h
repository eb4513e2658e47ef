// The aws-chunked content coding: chunks with or without signatures, and trailers. Source: Amazon S3 API
// reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks"
// and "... Including trailing headers".
//
//   5;chunk-signature=<64 hex>\r\nhello\r\n ... 0;chunk-signature=<64 hex>\r\n\r\n streaming_signed the same,
//   then  x-amz-checksum-crc32c:<base64>\r\nx-amz-trailer-signature:<64 hex>\r\n\r\n streaming_signed_trailer
//   5\r\nhello\r\n ... 0\r\nx-amz-checksum-crc32c:<base64>\r\n\r\n streaming_unsigned_trailer
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/result.h"
#include "iam/authentication.h"
#include "iam/limits.h"
#include "net/service.h"
#include "runtime/task.h"

namespace ostraka::iam {

// Decodes another source. Payload goes straight into the caller's buffer; only headers, trailers and what
// came along with them pass through a small buffer of its own. The whole body is good only once read() has
// returned 0: signature of the last chunk and of the trailers, and the length, are checked then. Each chunk's
// signature is checked by the read that returns its last bytes.
//
// Errors besides those of the inner source, each for good: malformed (the coding), signature_mismatch (a
// chunk or the trailers), incomplete_body (other than decoded_length bytes, or an end inside of the coding).
class AwsChunkedSource final : public net::BodySource {
 public:
  // authentication.payload must be a streaming kind. inner must outlive this.
  AwsChunkedSource(net::BodySource& inner, const Authentication& authentication);

  Task<Result<std::size_t>> read(MutableByteSpan out) override;

  // The trailers without x-amz-trailer-signature; complete once read() has returned 0.
  const net::Headers& trailers() const noexcept { return trailers_; }

 private:
  Task<Result<std::size_t>> read_some(MutableByteSpan out);
  Task<Result<>> begin_chunk();
  Task<Result<>> read_trailers();
  Task<Result<>> expect_end();
  // The next line without its end; a view into the buffer, until the next call. nullopt: the inner source has
  // ended.
  Task<Result<std::optional<std::string_view>>> read_line();
  Task<Result<bool>> refill();  // false: the inner source has ended

  Result<> parse_chunk_header(std::string_view line);
  Result<> parse_trailer(std::string_view line);
  Result<> finish_chunk();
  Result<> check_trailers();
  Result<> check_signature(std::string_view algorithm, std::string_view hashes, std::string_view claimed);
  bool signs_chunks() const noexcept { return signing_.has_value(); }
  ByteSpan buffered() const noexcept { return ByteSpan(buffer_).subspan(begin_, end_ - begin_); }

  net::BodySource& inner_;
  const PayloadKind kind_;
  const std::optional<ChunkSigning> signing_;
  std::uint64_t left_;            // payload bytes still to be announced, by x-amz-decoded-content-length
  std::uint64_t chunk_left_ = 0;  // payload bytes still to come of the current chunk
  bool first_chunk_ = true;
  bool done_ = false;
  std::optional<Error> failure_;
  std::string previous_signature_;  // the chain: each signature covers the one before
  std::string chunk_signature_;     // as the current chunk's header claims
  std::string trailer_signature_;
  Digest hash_{DigestKind::sha256};
  net::Headers trailers_;
  std::array<std::uint8_t, kChunkLineBytes> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // the unread part of buffer_
};

}  // namespace ostraka::iam
