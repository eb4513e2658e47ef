// The fields of authentication as they stand in a request, not yet judged.
#pragma once

#include <string>
#include <string_view>

#include "net/service.h"

namespace ostraka::iam {

// What follows the algorithm in an Authorization header: "Credential=..., SignedHeaders=..., Signature=...".
// Views into it.
struct HeaderAuth {
  std::string_view credential, signed_headers, signature;  // empty when absent
};
bool read_header_auth(std::string_view text,
                      HeaderAuth& out) noexcept;  // false: something else in it, or given twice

// The authentication parameters of a query, decoded; empty when absent.
struct QueryAuth {
  std::string algorithm, credential, date, expires, signed_headers, signature, token, content_sha256;
  bool v4 = false;         // a presigned URL of Signature V4 or V4A
  bool v2 = false;         // one of Signature V2
  bool malformed = false;  // an escape in one of them does not parse
  bool repeated = false;   // one of them is given twice
};
QueryAuth read_query_auth(std::string_view raw_query);

// The names of host and of x-amz-* headers present that the list does not cover, as "a, b".
std::string uncovered_headers(const net::Headers& headers, std::string_view signed_headers);

// x-amz-date, or else Date, which may also be in a form of HTTP; in the form of x-amz-date. Empty when there
// is none that parses.
std::string signing_date(const net::Headers& headers);

}  // namespace ostraka::iam
