// The canonical request of SigV4 as S3 builds it: the path is decoded and encoded once and never normalised.
// Source: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "net/service.h"

namespace ostraka::iam {

// Path and query of a request target, still percent-encoded; the query without its '?'. Views into the
// target.
struct Target {
  std::string_view path, query;
};
Target split_target(std::string_view target) noexcept;

// Takes the next name=value off the front of a raw query. False at its end. Both stay percent-encoded.
struct RawParameter {
  std::string_view name, value;
};
bool next_parameter(std::string_view& query, RawParameter& out) noexcept;

// Takes the next name off the front of "host;x-amz-date". False at its end.
bool next_signed_header(std::string_view& list, std::string_view& name) noexcept;

// These append; false when an escape is malformed.
bool append_canonical_path(std::string& out, std::string_view raw_path);
bool append_canonical_query(std::string& out, std::string_view raw_query, std::string_view left_out_name);
// One "name:value\n" for each name of the list; values of the same name joined by ',', blanks trimmed and
// collapsed.
void append_canonical_headers(std::string& out, const net::Headers& headers, std::string_view signed_headers);

struct CanonicalSpec {
  std::string_view method;
  Target target;
  std::string_view left_out_parameter;  // X-Amz-Signature of a presigned URL
  const net::Headers& headers;
  std::string_view signed_headers;
  std::string_view payload_hash;  // as it stands in x-amz-content-sha256
};
std::optional<std::string> canonical_request(const CanonicalSpec& spec);  // nullopt: a malformed escape

// "AWS4-HMAC-SHA256", date, scope and the digest of the canonical request, on a line each.
std::string string_to_sign(std::string_view amz_date, std::string_view scope,
                           std::string_view canonical_request);

}  // namespace ostraka::iam
