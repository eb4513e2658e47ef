// Owning pointers to OpenSSL's objects, and PEM texts into them. Internal to net/.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/limits.h"

namespace ostraka::net {

template <auto Free>
struct FreeBy {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};
using BioPtr = std::unique_ptr<BIO, FreeBy<BIO_free>>;
using X509Ptr = std::unique_ptr<X509, FreeBy<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using SslPtr = std::unique_ptr<SSL, FreeBy<SSL_free>>;
using StorePtr = std::unique_ptr<X509_STORE, FreeBy<X509_STORE_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, FreeBy<GENERAL_NAMES_free>>;

// The text of the first error in the thread's queue, which is empty then.
std::string openssl_error();

BioPtr bio_of(std::string_view text);  // reads the text, which must stay
// The first certificate or key of a PEM text; nullptr when there is none. Never asks for a password.
X509Ptr certificate_of(std::string_view pem);
KeyPtr key_of(std::string_view pem);

// A context as both sides use it: TLS 1.2 and later, no renegotiation, no cache of sessions. nullptr when out
// of memory. library, properties: where the algorithms come from (net/aes_gcm.h); nullptr: OpenSSL's own.
std::shared_ptr<SSL_CTX> new_context(const SSL_METHOD* method, OSSL_LIB_CTX* library = nullptr,
                                     const char* properties = nullptr);

struct CertificateFiles {
  std::string_view chain, chain_path;  // PEM, and what messages call it
  std::string_view key, key_path;
};
// Errors: malformed, naming the file.
Result<> use_certificate(SSL_CTX* context, const CertificateFiles& files);
// Adds all certificates of a PEM text to those that are trusted; gives their number. Error: malformed.
Result<std::size_t> add_trusted(X509_STORE* store, std::string_view pem);

// For SSL_CTX_set_client_hello_cb: lets peers in where the session says how (net/peer_tls.cc). Not nullptr:
// all others are refused.
int choose_side(SSL* session, int* alert, void* refuses_others);

}  // namespace ostraka::net
