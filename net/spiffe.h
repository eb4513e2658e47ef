// Who a node is, as its certificate says: a SPIFFE ID, spiffe://<trust domain>/node/<name>. Source: the
// SPIFFE standards "SPIFFE-ID" and "X509-SVID" (exactly one URI among the subject's other names).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

struct x509_st;

namespace ostraka::net {

// Lower-case letters, digits, '.', '-' and '_', at most 255.
bool is_trust_domain(std::string_view text) noexcept;
// A host name or IPv4 address: letters, digits, '.', '-' and '_', at most 253, and neither "." nor "..".
bool is_node_name(std::string_view text) noexcept;

struct NodeIdentity {
  std::string trust_domain;
  std::string node;
  bool operator==(const NodeIdentity&) const = default;
};
std::string to_uri(const NodeIdentity& identity);
// Error: malformed, for people.
Result<NodeIdentity> parse_node_uri(std::string_view uri);

// The one URI in a certificate. Errors: malformed (none, several, or not clean text).
Result<std::string> uri_of(const x509_st* certificate);
// The node that a leaf certificate names. Error: malformed.
Result<NodeIdentity> identity_of(const x509_st* certificate);

}  // namespace ostraka::net
