#include "test_pki.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <signal.h>

#include <array>

#include "base/encoding.h"
#include "runtime/fs.h"

namespace ostraka::net {

TestPki::TestPki(const std::string& trust_domain)
    : authority_(make_authority(trust_domain, today()).value()) {}

Validity TestPki::today() {
  const std::int64_t now = SystemClock().unix_ms() / 1000;
  return {now - 3600, now + 3600};
}

CertificateAndKey TestPki::node(const std::string& name, Validity validity) const {
  return make_node_certificate(authority_, name, validity).value();
}

CertificateAndKey TestPki::leaf(const std::vector<std::string>& uris) const {
  return make_leaf(authority_, LeafSpec{"leaf", uris, {"leaf.example"}, today()}).value();
}

void write_peer_folder(const std::string& folder, const std::string& authorities,
                       const CertificateAndKey& own) {
  PosixFs fs;
  EXPECT_TRUE(fs.make_dirs(folder));
  EXPECT_TRUE(fs.write_file(folder + "/ca.crt", authorities));
  EXPECT_TRUE(fs.write_file(folder + "/node.crt", own.certificate));
  EXPECT_TRUE(fs.write_file(folder + "/node.key", own.key));
}

RawTls::RawTls(int fd, const RawTlsSpec& spec) : context_(SSL_CTX_new(TLS_client_method())), ssl_(nullptr) {
  // OpenSSL writes to sockets that are closed; the servers' threads keep the signal.
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
  SSL_CTX_set_max_proto_version(context_, spec.max_version);
  if (!spec.own.certificate.empty()) {
    BIO* certificate_text = BIO_new_mem_buf(spec.own.certificate.data(), -1);
    X509* certificate = PEM_read_bio_X509(certificate_text, nullptr, nullptr, nullptr);
    BIO* key_text = BIO_new_mem_buf(spec.own.key.data(), -1);
    EVP_PKEY* key = PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr);
    EXPECT_EQ(SSL_CTX_use_certificate(context_, certificate), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context_, key), 1);
    EVP_PKEY_free(key);
    X509_free(certificate);
    BIO_free(key_text);
    BIO_free(certificate_text);
  }
  ssl_ = SSL_new(context_);
  if (!spec.alpn.empty()) {
    const std::string list = static_cast<char>(spec.alpn.size()) + spec.alpn;
    SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(list.data()),
                        static_cast<unsigned>(list.size()));
  }
  if (spec.resume != nullptr) SSL_set_session(ssl_, spec.resume);
  SSL_set_fd(ssl_, fd);
  shaken_ = SSL_connect(ssl_) == 1;
}

RawTls::~RawTls() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
}

std::string RawTls::ask(const std::string& request) {
  if (!shaken_ || SSL_write(ssl_, request.data(), static_cast<int>(request.size())) <= 0) return "";
  std::string text;
  std::array<char, 4096> chunk{};
  for (;;) {
    const std::size_t end = text.find("\r\n\r\n");
    if (end != std::string::npos) {
      const std::size_t at = text.find("Content-Length: ");
      const std::size_t length = std::stoul(text.substr(at + 16));
      if (text.size() >= end + 4 + length) return text;
    }
    const int got = SSL_read(ssl_, chunk.data(), chunk.size());
    if (got <= 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

std::string RawTls::server_name() {
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return "";
  std::array<char, 128> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(), name.size());
  return name.data();
}

}  // namespace ostraka::net
