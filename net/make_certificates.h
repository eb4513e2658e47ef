// Makes the certificates of a cluster: an authority of its own, and one for each node. ECDSA on P-256, signed
// with SHA-256.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/spiffe.h"

namespace ostraka::net {

struct CertificateAndKey {
  std::string certificate, key;  // PEM
};

// Of a certificate; unix seconds.
struct Validity {
  std::int64_t from = 0;
  std::int64_t until = 0;
};

// An authority that signs leaves only, with the URI spiffe://<trust domain>. Error: invalid_argument (not a
// trust domain).
Result<CertificateAndKey> make_authority(const std::string& trust_domain, Validity validity);

// What a leaf says of itself.
struct LeafSpec {
  std::string common_name;
  std::vector<std::string> uris;
  std::vector<std::string> hosts;  // names and addresses
  Validity validity;
};
// For servers and clients. Errors: malformed (the authority's files).
Result<CertificateAndKey> make_leaf(const CertificateAndKey& authority, const LeafSpec& spec);

// A node's certificate in the authority's trust domain, good for the host `node` too. Errors: malformed (the
// authority's files), invalid_argument (not a node's name).
Result<CertificateAndKey> make_node_certificate(const CertificateAndKey& authority, const std::string& node,
                                                Validity validity);
// Of an authority that was made here. Error: malformed.
Result<std::string> trust_domain_of(const std::string& authority_certificate);

}  // namespace ostraka::net
