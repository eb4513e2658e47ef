#include "iam/sigv4.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/encoding.h"
#include "base/hash.h"
#include "iam/auth_fields.h"
#include "iam/canonical.h"
#include "iam/limits.h"
#include "iam/payload.h"

namespace ostraka::iam {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kService = "s3";

AuthFailure failure(std::string_view s3_code, unsigned status, std::string message,
                    std::vector<std::pair<std::string, std::string>> details = {}) {
  return {s3_code, status, std::move(message), std::move(details)};
}
tl::unexpected<AuthFailure> refuse(std::string_view s3_code, unsigned status, std::string message,
                                   std::vector<std::pair<std::string, std::string>> details = {}) {
  return tl::unexpected<AuthFailure>(failure(s3_code, status, std::move(message), std::move(details)));
}
tl::unexpected<AuthFailure> refuse(AuthFailure reason) {
  return tl::unexpected<AuthFailure>(std::move(reason));
}

tl::unexpected<AuthFailure> refuse_v2() {
  return refuse(
      "InvalidRequest", 400,
      "The authorization mechanism you have provided (Signature Version 2) is not supported. Please use "
      "AWS4-HMAC-SHA256.");
}
tl::unexpected<AuthFailure> refuse_v4a() {
  return refuse(
      "NotImplemented", 501,
      "Signature Version 4A (AWS4-ECDSA-P256-SHA256) is not implemented. Please use AWS4-HMAC-SHA256.");
}
tl::unexpected<AuthFailure> refuse_header(std::string detail) {
  return refuse("AuthorizationHeaderMalformed", 400,
                "The authorization header is malformed; " + std::move(detail));
}
tl::unexpected<AuthFailure> refuse_query(std::string message) {
  return refuse("AuthorizationQueryParametersError", 400, std::move(message));
}
tl::unexpected<AuthFailure> refuse_query_credential() {
  return refuse_query(
      "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
      "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
}
tl::unexpected<AuthFailure> refuse_query_date() {
  return refuse_query("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
}
// Session tokens come from an STS, and nobody here has issued one.
tl::unexpected<AuthFailure> refuse_token(std::string_view token) {
  return refuse("InvalidToken", 400, "The provided token is malformed or otherwise invalid.",
                {{"Token-0", std::string(token)}});
}

// What tells a client's developer why: the bytes of the text in hexadecimal, blank-separated, as AWS prints
// them.
std::string spaced_hex(std::string_view text) {
  std::string out;
  out.reserve(text.size() * 3);
  for (const char c : text)
    fmt::format_to(std::back_inserter(out), "{}{:02x}", out.empty() ? "" : " ",
                   static_cast<unsigned char>(c));
  return out;
}

}  // namespace

enum class SigV4Verifier::Place : bool { header, query };

// What a request says about its own signature. All views.
struct SigV4Verifier::Claim {
  CredentialScope scope;
  std::string_view signed_headers, signature, amz_date, payload_hash, left_out_parameter, token;
};

SigV4Verifier::SigV4Verifier(const CredentialStore& store, std::string region, const Clock& clock)
    : store_(store), region_(std::move(region)), clock_(clock) {}

AuthResult SigV4Verifier::verify(const net::RequestHead& head) const {
  const std::string* authorization = head.headers.find("authorization");
  const QueryAuth query = read_query_auth(split_target(head.target).query);
  if (authorization != nullptr && (query.v4 || query.v2)) {
    return refuse(
        "InvalidArgument", 400,
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
        "parameter or the Authorization header should be specified");
  }
  if (authorization != nullptr) return verify_header(head, *authorization);
  if (query.v4) return verify_presigned(head, query);
  if (query.v2) return refuse_v2();
  return verify_anonymous(head);
}

AuthResult SigV4Verifier::verify_anonymous(const net::RequestHead& head) const {
  Authentication out;
  const std::string* declared = head.headers.find("x-amz-content-sha256");
  if (declared == nullptr) return out;
  if (auto reason = read_payload_kind(*declared, head.headers, out)) return refuse(*std::move(reason));
  if (has_chunk_signatures(out.payload)) {
    return refuse("AccessDenied", 403, "A body in signed chunks needs a signed request.");
  }
  return out;
}

AuthResult SigV4Verifier::verify_header(const net::RequestHead& head, std::string_view authorization) const {
  const std::string_view algorithm = authorization.substr(0, authorization.find(' '));
  if (algorithm == "AWS") return refuse_v2();
  if (algorithm == "AWS4-ECDSA-P256-SHA256") return refuse_v4a();
  if (algorithm != kAlgorithm) {
    return refuse("InvalidArgument", 400, "Unsupported Authorization Type",
                  {{"ArgumentName", "Authorization"}, {"ArgumentValue", std::string(algorithm)}});
  }
  HeaderAuth fields;
  if (!read_header_auth(authorization.substr(algorithm.size()), fields)) {
    return refuse_header("expecting Credential, SignedHeaders and Signature.");
  }
  if (fields.credential.empty()) return refuse_header("missing Credential.");
  if (fields.signed_headers.empty()) return refuse_header("missing SignedHeaders.");
  if (fields.signature.empty()) return refuse_header("missing Signature.");
  const auto scope = parse_credential_scope(fields.credential);
  if (!scope) {
    return refuse_header(
        "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
  }
  const std::string date = signing_date(head.headers);
  const auto signed_at = parse_amz_date(date);
  if (!signed_at) {
    return refuse("AccessDenied", 403, "AWS authentication requires a valid Date or x-amz-date header");
  }
  if (auto reason = check_scope(*scope, date, Place::header)) return refuse(*std::move(reason));
  const std::int64_t now = clock_.unix_ms();
  if (now - *signed_at > kMaxClockSkewMs || *signed_at - now > kMaxClockSkewMs) {
    return refuse("RequestTimeTooSkewed", 403,
                  "The difference between the request time and the current time is too large.",
                  {{"RequestTime", date},
                   {"ServerTime", iso8601(now)},
                   {"MaxAllowedSkewMilliseconds", std::to_string(kMaxClockSkewMs)}});
  }
  const std::string* payload_hash = head.headers.find("x-amz-content-sha256");
  if (payload_hash == nullptr) {
    return refuse("InvalidRequest", 400, "Missing required header for this request: x-amz-content-sha256");
  }
  const Claim claim{.scope = *scope,
                    .signed_headers = fields.signed_headers,
                    .signature = fields.signature,
                    .amz_date = date,
                    .payload_hash = *payload_hash,
                    .left_out_parameter = {},
                    .token = head.headers.get("x-amz-security-token")};
  return verify_claim(head, claim);
}

AuthResult SigV4Verifier::verify_presigned(const net::RequestHead& head, const QueryAuth& query) const {
  if (query.malformed) return refuse("InvalidURI", 400, "Couldn't parse the specified URI.");
  if (query.repeated) return refuse_query("An authentication parameter was given more than once.");
  if (query.algorithm == "AWS4-ECDSA-P256-SHA256") return refuse_v4a();
  if (query.algorithm.empty() || query.credential.empty() || query.date.empty() || query.expires.empty() ||
      query.signed_headers.empty() || query.signature.empty()) {
    return refuse_query(
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
        "X-Amz-Signature, "
        "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
  }
  if (query.algorithm != kAlgorithm)
    return refuse_query("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
  const auto scope = parse_credential_scope(query.credential);
  if (!scope) return refuse_query_credential();
  const auto signed_at = parse_amz_date(query.date);
  if (!signed_at) return refuse_query_date();
  if (auto reason = check_scope(*scope, query.date, Place::query)) return refuse(*std::move(reason));
  const auto expires = parse_u64(query.expires);
  if (!expires) return refuse_query("X-Amz-Expires should be a number");
  if (*expires == 0) return refuse_query("X-Amz-Expires must be positive");
  if (*expires > kMaxPresignSeconds) {
    return refuse_query(
        "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
        "than "
        "604800 seconds");
  }
  const std::int64_t now = clock_.unix_ms();
  if (*signed_at - now > kMaxClockSkewMs) {
    return refuse("AccessDenied", 403, "Request is not yet valid", {{"ServerTime", iso8601(now)}});
  }
  const std::int64_t ends_at = *signed_at + static_cast<std::int64_t>(*expires) * 1000;
  if (now > ends_at) {
    return refuse(
        "AccessDenied", 403, "Request has expired",
        {{"X-Amz-Expires", query.expires}, {"Expires", iso8601(ends_at)}, {"ServerTime", iso8601(now)}});
  }
  // The hash may stand in the query or in the header; by default a presigned body is not signed.
  const std::string* in_header = head.headers.find("x-amz-content-sha256");
  const Claim claim{.scope = *scope,
                    .signed_headers = query.signed_headers,
                    .signature = query.signature,
                    .amz_date = query.date,
                    .payload_hash = !query.content_sha256.empty() ? std::string_view(query.content_sha256)
                                    : in_header != nullptr        ? std::string_view(*in_header)
                                                                  : std::string_view("UNSIGNED-PAYLOAD"),
                    .left_out_parameter = "X-Amz-Signature",
                    .token = !query.token.empty() ? query.token : head.headers.get("x-amz-security-token")};
  return verify_claim(head, claim);
}

std::optional<AuthFailure> SigV4Verifier::check_scope(const CredentialScope& scope, std::string_view amz_date,
                                                      Place place) const {
  const auto wrong = [place](std::string detail) {
    return place == Place::header ? failure("AuthorizationHeaderMalformed", 400,
                                            "The authorization header is malformed; " + detail)
                                  : failure("AuthorizationQueryParametersError", 400,
                                            "Error parsing the X-Amz-Credential parameter; " + detail);
  };
  if (scope.terminal != "aws4_request") {
    return wrong(
        fmt::format("incorrect terminal \"{}\". This endpoint uses \"aws4_request\".", scope.terminal));
  }
  if (scope.service != kService) {
    return wrong(fmt::format("incorrect service \"{}\". This endpoint belongs to \"s3\".", scope.service));
  }
  if (scope.region != region_) {
    AuthFailure reason =
        wrong(fmt::format("the region '{}' is wrong; expecting '{}'", scope.region, region_));
    reason.details.emplace_back("Region", region_);  // SDKs read it and sign again
    return reason;
  }
  if (scope.date != amz_date.substr(0, 8)) {
    return wrong(
        fmt::format("Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \"{}\".",
                    scope.date, amz_date.substr(0, 8)));
  }
  return std::nullopt;
}

tl::expected<SigV4Verifier::Proof, AuthFailure> SigV4Verifier::prove(const CredentialScope& scope,
                                                                     std::string_view to_sign,
                                                                     std::string_view signature,
                                                                     std::string_view canonical) const {
  auto credential = store_.find(scope.access_key);
  if (!credential) {
    return refuse("InvalidAccessKeyId", 403,
                  "The AWS Access Key Id you provided does not exist in our records.",
                  {{"AWSAccessKeyId", std::string(scope.access_key)}});
  }
  const SigningKey key = keys_.get(scope, credential->secret);
  if (constant_time_equal(hex(ByteSpan(hmac_sha256(key, to_sign))), signature)) {
    return Proof{std::move(credential->principal), key};
  }
  AuthFailure reason =
      failure("SignatureDoesNotMatch", 403,
              "The request signature we calculated does not match the signature you provided. Check "
              "your key and signing method.",
              {{"AWSAccessKeyId", std::string(scope.access_key)},
               {"StringToSign", std::string(to_sign)},
               {"SignatureProvided", std::string(signature)},
               {"StringToSignBytes", spaced_hex(to_sign)}});
  if (!canonical.empty()) {
    reason.details.emplace_back("CanonicalRequest", canonical);
    reason.details.emplace_back("CanonicalRequestBytes", spaced_hex(canonical));
  }
  return refuse(std::move(reason));
}

AuthResult SigV4Verifier::verify_claim(const net::RequestHead& head, const Claim& claim) const {
  if (!claim.token.empty()) return refuse_token(claim.token);
  const auto separators = std::count(claim.signed_headers.begin(), claim.signed_headers.end(), ';');
  if (static_cast<std::size_t>(separators) >= kMaxSignedHeaders) {
    return refuse("InvalidRequest", 400, "The request signs too many headers.");
  }
  if (std::string names = uncovered_headers(head.headers, claim.signed_headers); !names.empty()) {
    return refuse("AccessDenied", 403, "There were headers present in the request which were not signed",
                  {{"HeadersNotSigned", std::move(names)}});
  }
  Authentication out;
  if (auto reason = read_payload_kind(claim.payload_hash, head.headers, out))
    return refuse(*std::move(reason));
  const auto canonical = canonical_request({.method = head.method_text,
                                            .target = split_target(head.target),
                                            .left_out_parameter = claim.left_out_parameter,
                                            .headers = head.headers,
                                            .signed_headers = claim.signed_headers,
                                            .payload_hash = claim.payload_hash});
  if (!canonical) return refuse("InvalidURI", 400, "Couldn't parse the specified URI.");
  const std::string to_sign = string_to_sign(claim.amz_date, claim.scope.scope, *canonical);
  auto proof = prove(claim.scope, to_sign, claim.signature, *canonical);
  if (!proof) return refuse(std::move(proof).error());
  out.principal = std::move(proof->principal);
  out.signed_headers = claim.signed_headers;
  if (has_chunk_signatures(out.payload)) {
    out.chunk_signing = ChunkSigning{.key = proof->key,
                                     .amz_date = std::string(claim.amz_date),
                                     .scope = std::string(claim.scope.scope),
                                     .seed_signature = std::string(claim.signature)};
  }
  return out;
}

AuthResult SigV4Verifier::verify_form(const net::Headers& fields) const {
  const std::string_view policy = fields.get("policy");
  const std::string_view signature = fields.get("x-amz-signature");
  if (fields.find("AWSAccessKeyId") != nullptr) return refuse_v2();
  if (policy.empty() && signature.empty()) return Authentication{};
  if (policy.empty()) {
    return refuse(
        "InvalidArgument", 400,
        "Bucket POST must contain a field named 'policy'. If it is specified, please check the order of the "
        "fields.",
        {{"ArgumentName", "policy"}, {"ArgumentValue", ""}});
  }
  for (const std::string_view name :
       {"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"}) {
    if (!fields.get(name).empty()) continue;
    return refuse(
        "InvalidArgument", 400,
        fmt::format("Bucket POST must contain a field named '{}'. If it is specified, please check the order "
                    "of the fields.",
                    name),
        {{"ArgumentName", std::string(name)}, {"ArgumentValue", ""}});
  }
  const std::string_view algorithm = fields.get("x-amz-algorithm");
  if (algorithm == "AWS4-ECDSA-P256-SHA256") return refuse_v4a();
  if (algorithm != kAlgorithm) return refuse_query("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
  const auto scope = parse_credential_scope(fields.get("x-amz-credential"));
  if (!scope) return refuse_query_credential();
  const std::string_view date = fields.get("x-amz-date");
  if (!parse_amz_date(date)) return refuse_query_date();
  if (auto reason = check_scope(*scope, date, Place::query)) return refuse(*std::move(reason));
  if (const std::string_view token = fields.get("x-amz-security-token"); !token.empty())
    return refuse_token(token);
  auto proof = prove(*scope, policy, signature, {});
  if (!proof) return refuse(std::move(proof).error());
  Authentication out;
  out.principal = std::move(proof->principal);
  return out;
}

}  // namespace ostraka::iam
