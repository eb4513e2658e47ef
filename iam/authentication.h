// What authenticating a request yields: who it is and how its body is protected, or the S3 error that refuses
// it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "iam/credentials.h"

namespace ostraka::iam {

using SigningKey = std::array<std::uint8_t, 32>;

// How x-amz-content-sha256 protects the body.
enum class PayloadKind : std::uint8_t {
  unsigned_payload,            // UNSIGNED-PAYLOAD, or anonymous without the header
  signed_hash,                 // the SHA-256 of the body
  streaming_signed,            // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
  streaming_signed_trailer,    // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
  streaming_unsigned_trailer,  // STREAMING-UNSIGNED-PAYLOAD-TRAILER
};
// True when the body is in aws-chunked coding and must be read through AwsChunkedSource.
constexpr bool is_streaming(PayloadKind kind) noexcept {
  return kind >= PayloadKind::streaming_signed;
}

constexpr bool has_chunk_signatures(PayloadKind kind) noexcept {
  return kind == PayloadKind::streaming_signed || kind == PayloadKind::streaming_signed_trailer;
}

// What the signatures of chunks and trailers are made with and start from.
struct ChunkSigning {
  SigningKey key{};
  std::string amz_date;        // 20130524T000000Z
  std::string scope;           // 20130524/us-east-1/s3/aws4_request
  std::string seed_signature;  // of the request: 64 hexadecimal digits
};

struct Authentication {
  Principal principal;
  PayloadKind payload = PayloadKind::unsigned_payload;
  std::string payload_sha256;                 // lower-case hexadecimal; only for signed_hash
  std::uint64_t decoded_length = 0;           // x-amz-decoded-content-length; only for streaming kinds
  std::optional<ChunkSigning> chunk_signing;  // only for the two signed streaming kinds
  std::string signed_headers;                 // "host;x-amz-date"; empty when anonymous or a POST form
};

// An S3 error, ready for the XML body; details are further elements of it in order.
struct AuthFailure {
  std::string_view s3_code;  // a literal
  unsigned status = 403;
  std::string message;
  std::vector<std::pair<std::string, std::string>> details;
};

using AuthResult = tl::expected<Authentication, AuthFailure>;

}  // namespace ostraka::iam
