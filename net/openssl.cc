#include "net/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <climits>

namespace ostraka::net {
namespace {

int no_password(char*, int, int, void*) {
  return -1;
}  // never ask on the terminal

}  // namespace

std::string openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  std::string text = "unknown error";
  if (code != 0) {
    std::array<char, 256> buffer{};
    ERR_error_string_n(code, buffer.data(), buffer.size());
    text = buffer.data();
  }
  ERR_clear_error();
  return text;
}

BioPtr bio_of(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(std::min<std::size_t>(text.size(), INT_MAX))));
}

X509Ptr certificate_of(std::string_view pem) {
  const BioPtr text = bio_of(pem);
  return X509Ptr(PEM_read_bio_X509_AUX(text.get(), nullptr, no_password, nullptr));
}

KeyPtr key_of(std::string_view pem) {
  const BioPtr text = bio_of(pem);
  return KeyPtr(PEM_read_bio_PrivateKey(text.get(), nullptr, no_password, nullptr));
}

std::shared_ptr<SSL_CTX> new_context(const SSL_METHOD* method, OSSL_LIB_CTX* library,
                                     const char* properties) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new_ex(library, properties, method), SSL_CTX_free);
  if (!context) return nullptr;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(),
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);  // a record's header and body in one recv
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

Result<> use_certificate(SSL_CTX* context, const CertificateFiles& files) {
  ERR_clear_error();
  const std::string chain_path = std::string(files.chain_path) + ": ";
  const BioPtr chain = bio_of(files.chain);
  const X509Ptr leaf(PEM_read_bio_X509_AUX(chain.get(), nullptr, no_password, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1)
    return fail(Errc::malformed, chain_path + "not a certificate in PEM: " + openssl_error());
  for (;;) {
    X509Ptr next(PEM_read_bio_X509(chain.get(), nullptr, no_password, nullptr));
    if (!next) break;
    if (SSL_CTX_add0_chain_cert(context, next.get()) != 1)
      return fail(Errc::malformed, chain_path + openssl_error());
    next.release();  // the context's now
  }
  ERR_clear_error();
  const KeyPtr key = key_of(files.key);
  if (!key) {
    return fail(Errc::malformed,
                std::string(files.key_path) + ": not a private key in PEM: " + openssl_error());
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return fail(Errc::malformed, std::string(files.chain_path) + " and " + std::string(files.key_path) +
                                     " do not belong together: " + openssl_error());
  }
  return {};
}

Result<std::size_t> add_trusted(X509_STORE* store, std::string_view pem) {
  ERR_clear_error();
  const BioPtr text = bio_of(pem);
  std::size_t count = 0;
  for (;; ++count) {
    const X509Ptr certificate(PEM_read_bio_X509(text.get(), nullptr, no_password, nullptr));
    if (!certificate) break;
    if (X509_STORE_add_cert(store, certificate.get()) != 1) return fail(Errc::malformed, openssl_error());
  }
  ERR_clear_error();
  if (count == 0) return fail(Errc::malformed, "no certificate in PEM among the authorities to trust");
  return count;
}

}  // namespace ostraka::net
