// AWS Signature Version 4 for S3: in the Authorization header, in the query (presigned URLs), and in POST
// forms. Source: Amazon S3 API reference, "Authenticating Requests (AWS Signature Version 4)".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "iam/authentication.h"
#include "iam/credentials.h"
#include "iam/signing_key.h"
#include "net/service.h"
#include "runtime/clock.h"

namespace ostraka::iam {

struct QueryAuth;

// Says who signed a request. Not whether they may do what they ask, and not whether the body is what they
// signed: the reader of the body checks Authentication::payload_sha256, or reads through AwsChunkedSource.
// Thread safe. Store and clock must outlive it.
class SigV4Verifier {
 public:
  SigV4Verifier(const CredentialStore& store, std::string region, const Clock& clock);

  // A request without any sign of authentication yields the anonymous principal. Signature V2 and V4A are
  // refused by name.
  AuthResult verify(const net::RequestHead& head) const;

  // A POST form's signature over its base64 policy field; field names are case-insensitive. A form without a
  // policy yields the anonymous principal. What the policy demands is for check_post_policy()
  // (post_policy.h).
  AuthResult verify_form(const net::Headers& fields) const;

 private:
  struct Claim;
  enum class Place : bool;
  struct Proof {
    Principal principal;
    SigningKey key;
  };
  AuthResult verify_anonymous(const net::RequestHead& head) const;
  AuthResult verify_header(const net::RequestHead& head, std::string_view authorization) const;
  AuthResult verify_presigned(const net::RequestHead& head, const QueryAuth& query) const;
  AuthResult verify_claim(const net::RequestHead& head, const Claim& claim) const;
  std::optional<AuthFailure> check_scope(const CredentialScope& scope, std::string_view amz_date,
                                         Place place) const;
  // canonical is for the error alone.
  tl::expected<Proof, AuthFailure> prove(const CredentialScope& scope, std::string_view to_sign,
                                         std::string_view signature, std::string_view canonical) const;

  const CredentialStore& store_;
  const std::string region_;
  const Clock& clock_;
  mutable SigningKeyCache keys_;
};

}  // namespace ostraka::iam
