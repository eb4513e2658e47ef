#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>

#include <new>

#include "net/aes_gcm.h"
#include "net/aes_gcm_cipher.h"

namespace ostraka::net {
namespace {

constexpr const char* kName = "ostraka";
constexpr const char* kProperties = "?provider=ostraka";  // preferred, not demanded

// What the library's fastest code needs; with less, OpenSSL is as fast. The compiler's check asks whether the
// operating system keeps the registers, too.
bool cpu_has_vaes() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("vaes") != 0 && __builtin_cpu_supports("vpclmulqdq") != 0;
}

const OSSL_ALGORITHM* query(void*, int operation, int* no_cache) {
  *no_cache = 0;
  return operation == OSSL_OP_CIPHER ? aes_gcm_ciphers() : nullptr;
}

void teardown(void* context) {
  auto* library = static_cast<AesGcmLibrary*>(context);
  free_mb_mgr(library->functions);
  delete library;
}

int start_provider(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** out, void** context) {
  IMB_MGR* functions = alloc_mb_mgr(0);
  if (functions == nullptr) return 0;
  init_mb_mgr_auto(functions, nullptr);
  const std::uint64_t self_test = IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS;
  auto* library = (functions->features & IMB_CPUFLAGS_AVX512_T2) == IMB_CPUFLAGS_AVX512_T2 &&
                          (functions->features & self_test) != IMB_FEATURE_SELF_TEST
                      ? new (std::nothrow) AesGcmLibrary
                      : nullptr;
  if (library == nullptr) {
    free_mb_mgr(functions);
    return 0;
  }
  library->functions = functions;
  static const OSSL_DISPATCH calls[] = {
      {OSSL_FUNC_PROVIDER_QUERY_OPERATION, reinterpret_cast<void (*)()>(query)},
      {OSSL_FUNC_PROVIDER_TEARDOWN, reinterpret_cast<void (*)()>(teardown)},
      {0, nullptr},
  };
  *context = library;
  *out = calls;
  return 1;
}

AesGcm load() {
  if (!cpu_has_vaes()) return {.used = "OpenSSL (the CPU lacks VAES with AVX-512)"};
  AesGcm out{.library = OSSL_LIB_CTX_new(), .properties = kProperties, .used = "libipsec-mb"};
  if (out.library != nullptr && OSSL_PROVIDER_load(out.library, "default") != nullptr &&
      OSSL_PROVIDER_add_builtin(out.library, kName, start_provider) == 1) {
    out.provider = OSSL_PROVIDER_load(out.library, kName);
  }
  if (out.provider != nullptr) return out;
  OSSL_LIB_CTX_free(out.library);
  ERR_clear_error();
  return {.used = "OpenSSL (libipsec-mb does not run here)"};
}

}  // namespace

const AesGcm& aes_gcm() {
  static const AesGcm ours = load();
  return ours;
}

std::uint64_t aes_gcm_keys() {
  OSSL_PROVIDER* provider = aes_gcm().provider;
  if (provider == nullptr) return 0;
  const auto* library = static_cast<const AesGcmLibrary*>(OSSL_PROVIDER_get0_provider_ctx(provider));
  return library->keys.load(std::memory_order_relaxed);
}

}  // namespace ostraka::net
