#include "net/make_certificates.h"

#include <openssl/bn.h>
#include <openssl/pem.h>

#include "net/address.h"
#include "net/openssl.h"

namespace ostraka::net {
namespace {

constexpr int kSerialBits = 159;  // RFC 5280: positive, at most 20 bytes
constexpr std::string_view kScheme = "spiffe://";

using BigPtr = std::unique_ptr<BIGNUM, FreeBy<BN_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeBy<X509_EXTENSION_free>>;

tl::unexpected<Error> failed(const std::string& what) {
  return fail(Errc::internal, "cannot make a certificate (" + what + "): " + openssl_error());
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

bool add_extension(X509* certificate, X509V3_CTX* context, int kind, const std::string& value) {
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, context, kind, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_serial(X509* certificate) {
  const BigPtr number(BN_new());
  return number && BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

struct Extension {
  int kind;
  std::string value;
};

struct Plan {
  std::string common_name;
  Validity validity;
  std::vector<Extension> extensions;
};

// Signed by the issuer, or by itself when there is none.
Result<CertificateAndKey> make(const Plan& plan, X509* issuer, EVP_PKEY* issuer_key) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const X509Ptr certificate(X509_new());
  if (!key || !certificate) return failed("key");
  X509* c = certificate.get();
  X509_NAME* name = X509_get_subject_name(c);
  const auto* common_name = reinterpret_cast<const unsigned char*>(plan.common_name.c_str());
  bool good = X509_set_version(c, X509_VERSION_3) == 1 && set_serial(c) &&
              ASN1_TIME_set(X509_getm_notBefore(c), plan.validity.from) != nullptr &&
              ASN1_TIME_set(X509_getm_notAfter(c), plan.validity.until) != nullptr &&
              X509_set_pubkey(c, key.get()) == 1 &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, common_name, -1, -1, 0) == 1;
  X509* signer = issuer != nullptr ? issuer : c;
  good = good && X509_set_issuer_name(c, X509_get_subject_name(signer)) == 1;
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, signer, c, nullptr, nullptr, 0);
  for (const Extension& extension : plan.extensions)
    good = good && add_extension(c, &context, extension.kind, extension.value);
  if (!good) return failed("fields");
  if (X509_sign(c, issuer_key != nullptr ? issuer_key : key.get(), EVP_sha256()) == 0)
    return failed("signature");
  const BioPtr certificate_text(BIO_new(BIO_s_mem()));
  const BioPtr key_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_text.get(), c) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return failed("PEM");
  }
  return CertificateAndKey{text_of(certificate_text.get()), text_of(key_text.get())};
}

// A common name has at most 64 characters; nobody reads it but people.
std::string short_name(const std::string& text) {
  return text.substr(0, 64);
}

}  // namespace

Result<CertificateAndKey> make_authority(const std::string& trust_domain, Validity validity) {
  if (!is_trust_domain(trust_domain)) {
    return fail(Errc::invalid_argument, "\"" + trust_domain +
                                            "\" is not a trust domain: lower-case letters, digits, '.', '-' "
                                            "and '_', for example storage.example.com");
  }
  const Plan plan{short_name("Ostraka " + trust_domain),
                  validity,
                  {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                   {NID_key_usage, "critical,keyCertSign,cRLSign"},
                   {NID_subject_key_identifier, "hash"},
                   {NID_subject_alt_name, "URI:" + std::string(kScheme) + trust_domain}}};
  return make(plan, nullptr, nullptr);
}

Result<CertificateAndKey> make_leaf(const CertificateAndKey& authority, const LeafSpec& spec) {
  const X509Ptr issuer = certificate_of(authority.certificate);
  const KeyPtr issuer_key = key_of(authority.key);
  if (!issuer) return fail(Errc::malformed, "the authority's certificate is not PEM: " + openssl_error());
  if (!issuer_key) return fail(Errc::malformed, "the authority's key is not PEM: " + openssl_error());
  if (X509_check_private_key(issuer.get(), issuer_key.get()) != 1)
    return fail(Errc::malformed, "the authority's certificate and key do not belong together");
  std::string names;
  const auto add = [&names](const char* kind, const std::string& value) {
    names += (names.empty() ? "" : ",") + std::string(kind) + value;
  };
  for (const std::string& uri : spec.uris) add("URI:", uri);
  for (const std::string& host : spec.hosts) add(is_ip_address(host) ? "IP:" : "DNS:", host);
  Plan plan{short_name(spec.common_name),
            spec.validity,
            {{NID_basic_constraints, "critical,CA:FALSE"},
             {NID_key_usage, "critical,digitalSignature"},
             {NID_ext_key_usage, "serverAuth,clientAuth"},
             {NID_subject_key_identifier, "hash"},
             {NID_authority_key_identifier, "keyid:always"}}};
  if (!names.empty()) plan.extensions.push_back({NID_subject_alt_name, names});
  return make(plan, issuer.get(), issuer_key.get());
}

Result<CertificateAndKey> make_node_certificate(const CertificateAndKey& authority, const std::string& node,
                                                Validity validity) {
  if (!is_node_name(node)) {
    return fail(Errc::invalid_argument, "\"" + node +
                                            "\" cannot be a node's name: give its host name or IPv4 address "
                                            "as it stands in the drives' URLs");
  }
  TRY(trust_domain, trust_domain_of(authority.certificate));
  const LeafSpec spec{node, {to_uri({trust_domain, node})}, {node}, validity};
  return make_leaf(authority, spec);
}

Result<std::string> trust_domain_of(const std::string& authority_certificate) {
  const X509Ptr certificate = certificate_of(authority_certificate);
  if (!certificate)
    return fail(Errc::malformed, "the authority's certificate is not PEM: " + openssl_error());
  TRY(uri, uri_of(certificate.get()));
  const std::string domain = uri.starts_with(kScheme) ? uri.substr(kScheme.size()) : std::string();
  if (!is_trust_domain(domain)) {
    return fail(Errc::malformed,
                "the authority's certificate does not name a trust domain (spiffe://NAME) but " + uri);
  }
  return domain;
}

}  // namespace ostraka::net
