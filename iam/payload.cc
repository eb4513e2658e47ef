#include "iam/payload.h"

#include <algorithm>

#include "base/encoding.h"

namespace ostraka::iam {

namespace {

bool is_hex_sha256(std::string_view text) noexcept {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

AuthFailure unsupported(std::string_view declared) {
  return {.s3_code = "InvalidArgument",
          .status = 400,
          .message =
              "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
              "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid "
              "sha256 value.",
          .details = {{"ArgumentName", "x-amz-content-sha256"}, {"ArgumentValue", std::string(declared)}}};
}

}  // namespace

std::optional<AuthFailure> read_payload_kind(std::string_view declared, const net::Headers& headers,
                                             Authentication& out) {
  if (declared == "UNSIGNED-PAYLOAD") {
    out.payload = PayloadKind::unsigned_payload;
    return std::nullopt;
  }
  if (is_hex_sha256(declared)) {
    out.payload = PayloadKind::signed_hash;
    out.payload_sha256 = to_lower(declared);
    return std::nullopt;
  }
  if (declared == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") {
    out.payload = PayloadKind::streaming_signed;
  } else if (declared == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") {
    out.payload = PayloadKind::streaming_signed_trailer;
  } else if (declared == "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
    out.payload = PayloadKind::streaming_unsigned_trailer;
  } else if (declared.starts_with("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")) {
    return AuthFailure{.s3_code = "NotImplemented",
                       .status = 501,
                       .message =
                           "Signature Version 4A (AWS4-ECDSA-P256-SHA256) is not implemented. Please use "
                           "AWS4-HMAC-SHA256.",
                       .details = {}};
  } else {
    return unsupported(declared);
  }
  const std::string* length = headers.find("x-amz-decoded-content-length");
  if (length == nullptr) {
    return AuthFailure{.s3_code = "MissingContentLength",
                       .status = 411,
                       .message = "You must provide the x-amz-decoded-content-length HTTP header.",
                       .details = {}};
  }
  const auto value = parse_u64(*length);
  if (!value) {
    return AuthFailure{
        .s3_code = "InvalidArgument",
        .status = 400,
        .message = "x-amz-decoded-content-length must be a number of bytes.",
        .details = {{"ArgumentName", "x-amz-decoded-content-length"}, {"ArgumentValue", *length}}};
  }
  out.decoded_length = *value;
  return std::nullopt;
}

}  // namespace ostraka::iam
