// AES-128-GCM and AES-256-GCM as an OpenSSL provider offers ciphers (provider-cipher(7)), by libipsec-mb.
// Internal to net/; not built where that library is missing.
//
// Beyond what the manual asks of a cipher: an IV is given for every message, AAD comes before text, and a tag
// has 4 to 16 bytes (NIST SP 800-38D). The parameters of TLS 1.2 are refused.
#pragma once

#include <intel-ipsec-mb.h>
#include <openssl/core_dispatch.h>

#include <atomic>
#include <cstdint>

namespace ostraka::net {

// The provider's context. The library's GCM functions keep all they know in the key's and the message's data
// of their caller, so that all threads share one table of them.
struct AesGcmLibrary {
  IMB_MGR* functions = nullptr;
  std::atomic<std::uint64_t> keys{0};  // given to ciphers so far
};

// For OSSL_FUNC_provider_query_operation; the provider's context is an AesGcmLibrary.
const OSSL_ALGORITHM* aes_gcm_ciphers();

}  // namespace ostraka::net
