// Which AES-GCM the sessions between nodes are made with. Internal to net/.
//
// OpenSSL 3.0 works on one AES block at a time; a CPU with VAES and VPCLMULQDQ does four in an instruction,
// and libipsec-mb (Intel's, optional when building) has the code. It is offered to OpenSSL as a provider, in
// a library context of its own: nobody gets it who does not name that context. It does TLS 1.3 only, as
// TLS 1.2 asks more of a provider's cipher.
#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <string_view>

namespace ostraka::net {

struct AesGcm {
  OSSL_LIB_CTX* library = nullptr;   // for SSL_CTX_new_ex and EVP_CIPHER_fetch; nullptr: OpenSSL's own
  const char* properties = nullptr;  // with it; what the provider lacks comes from OpenSSL's default provider
  OSSL_PROVIDER* provider = nullptr;
  std::string_view used;  // what an operator is told
};

// The same for the whole process and never freed, like OpenSSL's own library context: each thread that used
// it has a part of its state, and gives it back when it ends. Thread safe.
const AesGcm& aes_gcm();

// How many keys the provider's ciphers have been given: tells that sessions use it. 0 without one.
std::uint64_t aes_gcm_keys();

}  // namespace ostraka::net
