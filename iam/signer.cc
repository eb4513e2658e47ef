#include "iam/signer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "iam/canonical.h"
#include "iam/signing_key.h"

namespace ostraka::iam {

namespace {

std::string headers_to_sign(const net::Headers& headers) {
  std::set<std::string> names;
  for (const auto& [name, value] : headers.all()) {
    std::string lower = to_lower(name);
    if (lower == "host" || lower == "content-md5" || lower == "content-type" || lower.starts_with("x-amz-")) {
      names.insert(std::move(lower));
    }
  }
  return fmt::format("{}", fmt::join(names, ";"));
}

std::string scope_of(const SigningSpec& spec, std::string_view date) {
  return fmt::format("{}/{}/s3/aws4_request", date.substr(0, 8), spec.region);
}

std::string signature_of(const SigningKey& key, std::string_view to_sign) {
  return hex(ByteSpan(hmac_sha256(key, to_sign)));
}

}  // namespace

ChunkSigning sign_request(net::RequestHead& head, const SigningSpec& spec, std::string_view payload_hash) {
  const std::string date = amz_date(spec.unix_ms);
  head.headers.set("x-amz-date", date);
  head.headers.set("x-amz-content-sha256", std::string(payload_hash));
  const std::string signed_headers = headers_to_sign(head.headers);
  const auto canonical = canonical_request({.method = head.method_text,
                                            .target = split_target(head.target),
                                            .left_out_parameter = {},
                                            .headers = head.headers,
                                            .signed_headers = signed_headers,
                                            .payload_hash = payload_hash});
  CHECK(canonical);  // we wrote the target ourselves
  ChunkSigning signing{.key = derive_signing_key(spec.secret, date.substr(0, 8), spec.region, "s3"),
                       .amz_date = date,
                       .scope = scope_of(spec, date),
                       .seed_signature = {}};
  signing.seed_signature = signature_of(signing.key, string_to_sign(date, signing.scope, *canonical));
  head.headers.set("Authorization",
                   fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
                               spec.access_key, signing.scope, signed_headers, signing.seed_signature));
  return signing;
}

std::string presign_target(const net::RequestHead& head, const SigningSpec& spec, std::uint64_t expires_s) {
  const std::string date = amz_date(spec.unix_ms);
  const std::string scope = scope_of(spec, date);
  const std::string signed_headers = headers_to_sign(head.headers);
  std::string target = head.target;
  target += fmt::format(
      "{}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={}&X-Amz-Expires={}&X-Amz-"
      "SignedHeaders={}",
      target.find('?') == std::string::npos ? '?' : '&',
      percent_encode(fmt::format("{}/{}", spec.access_key, scope), Slash::encode), date, expires_s,
      percent_encode(signed_headers, Slash::encode));
  const auto canonical = canonical_request({.method = head.method_text,
                                            .target = split_target(target),
                                            .left_out_parameter = "X-Amz-Signature",
                                            .headers = head.headers,
                                            .signed_headers = signed_headers,
                                            .payload_hash = "UNSIGNED-PAYLOAD"});
  CHECK(canonical);
  const SigningKey key = derive_signing_key(spec.secret, date.substr(0, 8), spec.region, "s3");
  return target + "&X-Amz-Signature=" + signature_of(key, string_to_sign(date, scope, *canonical));
}

std::string sign_chunk(ChunkSigning& signing, std::string_view payload) {
  signing.seed_signature = signature_of(
      signing.key, fmt::format("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}\n{}", signing.amz_date,
                               signing.scope, signing.seed_signature, hex(digest(DigestKind::sha256, "")),
                               hex(digest(DigestKind::sha256, payload))));
  return signing.seed_signature;
}

std::string sign_trailers(ChunkSigning& signing, std::string_view canonical_trailers) {
  signing.seed_signature = signature_of(
      signing.key, fmt::format("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{}", signing.amz_date, signing.scope,
                               signing.seed_signature, hex(digest(DigestKind::sha256, canonical_trailers))));
  return signing.seed_signature;
}

}  // namespace ostraka::iam
