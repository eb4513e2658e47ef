// Certificates of a cluster made on the spot, and a blocking TLS client that says what it is told to.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "net/make_certificates.h"
#include "runtime/clock.h"

namespace ostraka::net {

// One authority, and folders as PeerTls reads them.
class TestPki {
 public:
  explicit TestPki(const std::string& trust_domain = "test.example");
  const CertificateAndKey& authority() const { return authority_; }
  static Validity today();
  CertificateAndKey node(const std::string& name, Validity validity = today()) const;
  CertificateAndKey leaf(const std::vector<std::string>& uris) const;

 private:
  CertificateAndKey authority_;
};
void write_peer_folder(const std::string& folder, const std::string& authorities,
                       const CertificateAndKey& own);

struct RawTlsSpec {
  std::string alpn;       // one protocol; empty: none
  CertificateAndKey own;  // may be empty
  int max_version = TLS1_3_VERSION;
  SSL_SESSION* resume = nullptr;
};

// Trusts every server. Every wait ends after 20 s.
class RawTls {
 public:
  RawTls(int fd, const RawTlsSpec& spec);
  RawTls(const RawTls&) = delete;
  RawTls& operator=(const RawTls&) = delete;
  ~RawTls();
  bool shaken() const { return shaken_; }
  // Sends the request and gives what came until the body's end or the connection's; "" when refused.
  std::string ask(const std::string& request);
  std::string server_name();  // the common name in its certificate
  bool resumed() const { return SSL_session_reused(ssl_) != 0; }
  SSL_SESSION* session() const { return SSL_get1_session(ssl_); }  // the caller's

 private:
  SSL_CTX* context_;
  SSL* ssl_;
  bool shaken_ = false;
};

}  // namespace ostraka::net
