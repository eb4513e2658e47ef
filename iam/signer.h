// The client's side of SigV4: signs requests that we send.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "iam/authentication.h"
#include "iam/credentials.h"
#include "net/service.h"

namespace ostraka::iam {

struct SigningSpec {
  std::string_view access_key;
  const Secret& secret;
  std::string_view region;
  std::int64_t unix_ms;
};

// Sets x-amz-date, x-amz-content-sha256 and Authorization. Signs host, which must be there, content-md5,
// content-type and all x-amz-* headers. payload_hash: a hexadecimal SHA-256, or one of the words of
// x-amz-content-sha256. Returns what chunks are signed with.
ChunkSigning sign_request(net::RequestHead& head, const SigningSpec& spec, std::string_view payload_hash);

// The target of a presigned URL: that of `head` with the authentication parameters. Signs the same headers as
// sign_request().
std::string presign_target(const net::RequestHead& head, const SigningSpec& spec, std::uint64_t expires_s);

// The signatures of one chunk, or of the trailers, after the one before; moves signing.seed_signature on to
// the result.
std::string sign_chunk(ChunkSigning& signing, std::string_view payload);
std::string sign_trailers(ChunkSigning& signing,
                          std::string_view canonical_trailers);  // "name:value\n" sorted by name

}  // namespace ostraka::iam
