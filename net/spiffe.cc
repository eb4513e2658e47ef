#include "net/spiffe.h"

#include <algorithm>
#include <optional>

#include "net/openssl.h"

namespace ostraka::net {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kNodes = "/node/";
constexpr std::size_t kMaxTrustDomainBytes = 255;
constexpr std::size_t kMaxNodeNameBytes = 253;

bool is_digit_or_mark(char c) noexcept {
  return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

}  // namespace

bool is_trust_domain(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxTrustDomainBytes &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || is_digit_or_mark(c); });
}

bool is_node_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxNodeNameBytes && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit_or_mark(c);
         });
}

std::string to_uri(const NodeIdentity& identity) {
  return std::string(kScheme) + identity.trust_domain + std::string(kNodes) + identity.node;
}

Result<NodeIdentity> parse_node_uri(std::string_view uri) {
  const auto bad = [uri] {
    return fail(Errc::malformed,
                "\"" + std::string(uri) + "\" is not of the form spiffe://TRUST-DOMAIN/node/NAME");
  };
  if (!uri.starts_with(kScheme)) return bad();
  const std::string_view rest = uri.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !rest.substr(slash).starts_with(kNodes)) return bad();
  const std::string_view domain = rest.substr(0, slash), node = rest.substr(slash + kNodes.size());
  if (!is_trust_domain(domain) || !is_node_name(node)) return bad();
  return NodeIdentity{std::string(domain), std::string(node)};
}

Result<std::string> uri_of(const x509_st* certificate) {
  int critical = 0;  // -1: no such extension, -2: several
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  if (!names) return fail(Errc::malformed, "the certificate has no readable list of other names");
  std::optional<std::string> uri;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    if (uri) return fail(Errc::malformed, "the certificate has more than one URI");
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    uri.emplace(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                static_cast<std::size_t>(ASN1_STRING_length(text)));
  }
  if (!uri) return fail(Errc::malformed, "the certificate has no URI");
  const auto odd = [](char c) { return c <= ' ' || c >= 0x7f; };  // a NUL would end it for others
  if (std::any_of(uri->begin(), uri->end(), odd))
    return fail(Errc::malformed, "the certificate's URI is not clean text");
  return std::move(*uri);
}

Result<NodeIdentity> identity_of(const x509_st* certificate) {
  TRY(uri, uri_of(certificate));
  return parse_node_uri(uri);
}

}  // namespace ostraka::net
