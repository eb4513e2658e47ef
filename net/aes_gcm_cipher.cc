#include "net/aes_gcm_cipher.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/proverr.h>

#include <array>
#include <cstring>
#include <new>
#include <type_traits>

namespace ostraka::net {
namespace {

constexpr std::size_t kUsualIvBytes = 12;
constexpr std::size_t kMaxIvBytes = 128;  // as OpenSSL's own
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kLeastTagBytes = 4;
constexpr std::uint64_t kMaxTextBytes = (std::uint64_t{1} << 36) - 32;  // of one message (SP 800-38D)

int refuse(int why) {
  ERR_raise(ERR_LIB_PROV, why);
  return 0;
}

struct Functions {
  std::size_t key_bytes;
  aes_gcm_pre_t pre;
  aes_gcm_init_t init;
  aes_gcm_init_var_iv_t init_var_iv;
  aes_gcm_enc_dec_update_t encrypt, decrypt;
  aes_gcm_enc_dec_finalize_t encrypt_end, decrypt_end;
};

template <std::size_t KeyBytes>
Functions functions_of(const IMB_MGR& m) {
  if constexpr (KeyBytes == 16) {
    return {KeyBytes,
            m.gcm128_pre,
            m.gcm128_init,
            m.gcm128_init_var_iv,
            m.gcm128_enc_update,
            m.gcm128_dec_update,
            m.gcm128_enc_finalize,
            m.gcm128_dec_finalize};
  } else {
    static_assert(KeyBytes == 32);
    return {KeyBytes,
            m.gcm256_pre,
            m.gcm256_init,
            m.gcm256_init_var_iv,
            m.gcm256_enc_update,
            m.gcm256_dec_update,
            m.gcm256_enc_finalize,
            m.gcm256_dec_finalize};
  }
}

enum class Stage : std::uint8_t {
  no_iv,  // none yet, or it was used up
  aad,    // the IV is there, AAD is collected: the library takes it in one piece, with the IV
  text,   // the library has them
};

// An EVP_CIPHER_CTX's part here. The key's data is aligned as the library's own build has it.
struct alignas(64) Cipher {
  gcm_key_data key{};
  gcm_context_data message{};
  Functions call{};
  AesGcmLibrary* library = nullptr;
  std::array<unsigned char, kMaxIvBytes> iv{};
  std::size_t iv_bytes = kUsualIvBytes;
  std::array<unsigned char, kTagBytes> tag{};
  std::size_t tag_bytes = 0;  // encrypting: of the last message; decrypting: to be expected. 0: none
  unsigned char* aad = nullptr;
  std::size_t aad_bytes = 0, aad_room = 0;
  std::uint64_t text_bytes = 0;
  Stage stage = Stage::no_iv;
  bool has_key = false;
  bool encrypts = false;

  bool begun() const { return stage == Stage::text || aad_bytes > 0; }
  void forget_message();
  int begin(const unsigned char* new_key, std::size_t key_size, const unsigned char* new_iv,
            std::size_t iv_size, const OSSL_PARAM* params, bool encrypt);
  bool add_aad(const unsigned char* in, std::size_t size);
  void enter_text();
  int update(unsigned char* out, std::size_t* out_size, std::size_t room, const unsigned char* in,
             std::size_t size);
  int end();
  int set(const OSSL_PARAM* params);
  int get(OSSL_PARAM* params) const;
};
static_assert(std::is_trivially_copyable_v<Cipher> && offsetof(Cipher, key) == 0);

void Cipher::forget_message() {
  if (stage == Stage::text) OPENSSL_cleanse(&message, sizeof message);
  stage = Stage::no_iv;
  aad_bytes = 0;
  text_bytes = 0;
}

int Cipher::begin(const unsigned char* new_key, std::size_t key_size, const unsigned char* new_iv,
                  std::size_t iv_size, const OSSL_PARAM* params, bool encrypt) {
  if (new_key != nullptr && key_size != call.key_bytes) return refuse(PROV_R_INVALID_KEY_LENGTH);
  if (new_iv != nullptr && (iv_size == 0 || iv_size > kMaxIvBytes)) return refuse(PROV_R_INVALID_IV_LENGTH);
  // A message that is under way with another key or the other way round is over, and its IV with it.
  if (begun() && (new_key != nullptr || encrypts != encrypt)) forget_message();
  if (encrypts != encrypt) tag_bytes = 0;
  encrypts = encrypt;
  if (new_key != nullptr) {
    call.pre(new_key, &key);
    has_key = true;
    library->keys.fetch_add(1, std::memory_order_relaxed);
  }
  if (new_iv != nullptr) {
    forget_message();
    std::memcpy(iv.data(), new_iv, iv_size);
    iv_bytes = iv_size;
    stage = Stage::aad;
    if (encrypts) tag_bytes = 0;
  }
  return set(params);
}

bool Cipher::add_aad(const unsigned char* in, std::size_t size) {
  if (size > aad_room - aad_bytes) {
    if (size > SIZE_MAX / 4 - aad_bytes) return false;
    const std::size_t room = 2 * (aad_bytes + size);
    auto* grown = static_cast<unsigned char*>(OPENSSL_realloc(aad, room));
    if (grown == nullptr) return false;
    aad = grown;
    aad_room = room;
  }
  std::memcpy(aad + aad_bytes, in, size);
  aad_bytes += size;
  return true;
}

void Cipher::enter_text() {
  if (stage == Stage::text) return;
  if (iv_bytes == kUsualIvBytes) {
    call.init(&key, &message, iv.data(), aad, aad_bytes);
  } else {
    call.init_var_iv(&key, &message, iv.data(), iv_bytes, aad, aad_bytes);
  }
  stage = Stage::text;
}

int Cipher::update(unsigned char* out, std::size_t* out_size, std::size_t room, const unsigned char* in,
                   std::size_t size) {
  *out_size = 0;
  if (size == 0) return 1;
  if (!has_key) return refuse(PROV_R_NO_KEY_SET);
  if (stage == Stage::no_iv) return refuse(PROV_R_CIPHER_OPERATION_FAILED);
  if (out == nullptr) {
    if (stage != Stage::aad) return refuse(PROV_R_INVALID_AAD);
    if (!add_aad(in, size)) return refuse(ERR_R_MALLOC_FAILURE);
  } else {
    if (room < size) return refuse(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    if (size > kMaxTextBytes - text_bytes) return refuse(PROV_R_CIPHER_OPERATION_FAILED);
    enter_text();
    (encrypts ? call.encrypt : call.decrypt)(&key, &message, out, in, size);
    text_bytes += size;
  }
  *out_size = size;
  return 1;
}

int Cipher::end() {
  if (!has_key) return refuse(PROV_R_NO_KEY_SET);
  if (stage == Stage::no_iv) return refuse(PROV_R_CIPHER_OPERATION_FAILED);
  if (!encrypts && tag_bytes == 0) return refuse(PROV_R_TAG_NOT_SET);
  enter_text();
  std::array<unsigned char, kTagBytes> made{};
  (encrypts ? call.encrypt_end : call.decrypt_end)(&key, &message, made.data(), made.size());
  bool good = true;
  if (encrypts) {
    tag = made;
    tag_bytes = kTagBytes;
  } else {
    good = CRYPTO_memcmp(made.data(), tag.data(), tag_bytes) == 0;
    OPENSSL_cleanse(made.data(), made.size());  // would make a forgery good
    tag_bytes = 0;
  }
  forget_message();
  return good ? 1 : 0;
}

int Cipher::set(const OSSL_PARAM* params) {
  if (params == nullptr) return 1;
  for (const char* tls_1_2 : {OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED,
                              OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV}) {
    if (OSSL_PARAM_locate_const(params, tls_1_2) != nullptr) return refuse(PROV_R_NOT_SUPPORTED);
  }
  std::size_t size = 0;
  if (const OSSL_PARAM* p = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_KEYLEN)) {
    if (OSSL_PARAM_get_size_t(p, &size) != 1) return refuse(PROV_R_FAILED_TO_GET_PARAMETER);
    if (size != call.key_bytes) return refuse(PROV_R_INVALID_KEY_LENGTH);
  }
  if (const OSSL_PARAM* p = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_IVLEN)) {
    if (OSSL_PARAM_get_size_t(p, &size) != 1) return refuse(PROV_R_FAILED_TO_GET_PARAMETER);
    if (size == 0 || size > kMaxIvBytes) return refuse(PROV_R_INVALID_IV_LENGTH);
    if (size != iv_bytes) forget_message();
    iv_bytes = size;
  }
  if (const OSSL_PARAM* p = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TAG)) {
    if (encrypts) return refuse(PROV_R_TAG_NOT_NEEDED);
    std::array<unsigned char, kTagBytes> given{};
    void* to = given.data();
    if (OSSL_PARAM_get_octet_string(p, &to, given.size(), &size) != 1 || size < kLeastTagBytes)
      return refuse(PROV_R_INVALID_TAG);
    tag = given;
    tag_bytes = size;
  }
  return 1;
}

int Cipher::get(OSSL_PARAM* params) const {
  if (OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN) != nullptr)
    return refuse(PROV_R_NOT_SUPPORTED);
  OSSL_PARAM* p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_KEYLEN);
  if (p != nullptr && OSSL_PARAM_set_size_t(p, call.key_bytes) != 1)
    return refuse(PROV_R_FAILED_TO_SET_PARAMETER);
  p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_IVLEN);
  if (p != nullptr && OSSL_PARAM_set_size_t(p, iv_bytes) != 1) return refuse(PROV_R_FAILED_TO_SET_PARAMETER);
  p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TAGLEN);
  if (p != nullptr && OSSL_PARAM_set_size_t(p, tag_bytes > 0 ? tag_bytes : kTagBytes) != 1)
    return refuse(PROV_R_FAILED_TO_SET_PARAMETER);
  for (const char* name : {OSSL_CIPHER_PARAM_IV, OSSL_CIPHER_PARAM_UPDATED_IV}) {
    p = OSSL_PARAM_locate(params, name);
    if (p != nullptr && OSSL_PARAM_set_octet_string(p, iv.data(), iv_bytes) != 1 &&
        OSSL_PARAM_set_octet_ptr(p, iv.data(), iv_bytes) != 1) {
      return refuse(PROV_R_FAILED_TO_SET_PARAMETER);
    }
  }
  p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TAG);
  if (p != nullptr) {
    if (!encrypts || tag_bytes == 0) return refuse(PROV_R_TAG_NOT_SET);
    if (p->data_size == 0 || p->data_size > tag_bytes) return refuse(PROV_R_INVALID_TAG);
    if (OSSL_PARAM_set_octet_string(p, tag.data(), p->data_size) != 1)
      return refuse(PROV_R_FAILED_TO_SET_PARAMETER);
  }
  return 1;
}

// What OpenSSL calls.

template <std::size_t KeyBytes>
void* make(void* provider) {
  auto* library = static_cast<AesGcmLibrary*>(provider);
  auto* cipher = new (std::nothrow) Cipher;
  if (cipher == nullptr) return nullptr;
  cipher->call = functions_of<KeyBytes>(*library->functions);
  cipher->library = library;
  return cipher;
}

void destroy(void* context) {
  auto* cipher = static_cast<Cipher*>(context);
  if (cipher == nullptr) return;
  OPENSSL_free(cipher->aad);
  OPENSSL_cleanse(context, sizeof(Cipher));
  delete cipher;
}

void* copy(void* context) {
  const auto* from = static_cast<const Cipher*>(context);
  auto* to = new (std::nothrow) Cipher(*from);
  if (to == nullptr) return nullptr;
  to->aad = nullptr;
  to->aad_bytes = to->aad_room = 0;
  if (from->aad_bytes > 0 && !to->add_aad(from->aad, from->aad_bytes)) {
    destroy(to);
    return nullptr;
  }
  return to;
}

template <bool Encrypt>
int begin(void* context, const unsigned char* key, std::size_t key_size, const unsigned char* iv,
          std::size_t iv_size, const OSSL_PARAM* params) {
  return static_cast<Cipher*>(context)->begin(key, key_size, iv, iv_size, params, Encrypt);
}

int update(void* context, unsigned char* out, std::size_t* out_size, std::size_t room,
           const unsigned char* in, std::size_t size) {
  return static_cast<Cipher*>(context)->update(out, out_size, room, in, size);
}

int end(void* context, unsigned char*, std::size_t* out_size, std::size_t) {
  *out_size = 0;
  return static_cast<Cipher*>(context)->end();
}

// EVP_Cipher's: without input, the end.
int pass(void* context, unsigned char* out, std::size_t* out_size, std::size_t room, const unsigned char* in,
         std::size_t size) {
  return in != nullptr ? update(context, out, out_size, room, in, size) : end(context, out, out_size, room);
}

int set(void* context, const OSSL_PARAM* params) {
  return static_cast<Cipher*>(context)->set(params);
}

int get(void* context, OSSL_PARAM* params) {
  return static_cast<const Cipher*>(context)->get(params);
}

template <std::size_t KeyBytes>
int describe(OSSL_PARAM* params) {
  OSSL_PARAM* p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_MODE);
  if (p != nullptr && OSSL_PARAM_set_uint(p, EVP_CIPH_GCM_MODE) != 1) return 0;
  for (const char* yes : {OSSL_CIPHER_PARAM_AEAD, OSSL_CIPHER_PARAM_CUSTOM_IV}) {
    p = OSSL_PARAM_locate(params, yes);
    if (p != nullptr && OSSL_PARAM_set_int(p, 1) != 1) return 0;
  }
  p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_BLOCK_SIZE);
  if (p != nullptr && OSSL_PARAM_set_size_t(p, 1) != 1) return 0;
  p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_IVLEN);
  if (p != nullptr && OSSL_PARAM_set_size_t(p, kUsualIvBytes) != 1) return 0;
  p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_KEYLEN);
  return p == nullptr || OSSL_PARAM_set_size_t(p, KeyBytes) == 1 ? 1 : 0;
}

const OSSL_PARAM* describable(void*) {
  static const OSSL_PARAM list[] = {OSSL_PARAM_uint(OSSL_CIPHER_PARAM_MODE, nullptr),
                                    OSSL_PARAM_int(OSSL_CIPHER_PARAM_AEAD, nullptr),
                                    OSSL_PARAM_int(OSSL_CIPHER_PARAM_CUSTOM_IV, nullptr),
                                    OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_BLOCK_SIZE, nullptr),
                                    OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, nullptr),
                                    OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, nullptr),
                                    OSSL_PARAM_END};
  return list;
}

const OSSL_PARAM* gettable(void*, void*) {
  static const OSSL_PARAM list[] = {OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, nullptr),
                                    OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, nullptr),
                                    OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TAGLEN, nullptr),
                                    OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_IV, nullptr, 0),
                                    OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_UPDATED_IV, nullptr, 0),
                                    OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, nullptr, 0),
                                    OSSL_PARAM_END};
  return list;
}

const OSSL_PARAM* settable(void*, void*) {
  static const OSSL_PARAM list[] = {OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, nullptr),
                                    OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, nullptr),
                                    OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, nullptr, 0),
                                    OSSL_PARAM_END};
  return list;
}

template <class F>
OSSL_DISPATCH entry(int id, F* function) {
  return {id, reinterpret_cast<void (*)()>(function)};
}

template <std::size_t KeyBytes>
const OSSL_DISPATCH* table() {
  static const OSSL_DISPATCH list[] = {
      entry(OSSL_FUNC_CIPHER_NEWCTX, make<KeyBytes>),
      entry(OSSL_FUNC_CIPHER_FREECTX, destroy),
      entry(OSSL_FUNC_CIPHER_DUPCTX, copy),
      entry(OSSL_FUNC_CIPHER_ENCRYPT_INIT, begin<true>),
      entry(OSSL_FUNC_CIPHER_DECRYPT_INIT, begin<false>),
      entry(OSSL_FUNC_CIPHER_UPDATE, update),
      entry(OSSL_FUNC_CIPHER_FINAL, end),
      entry(OSSL_FUNC_CIPHER_CIPHER, pass),
      entry(OSSL_FUNC_CIPHER_GET_PARAMS, describe<KeyBytes>),
      entry(OSSL_FUNC_CIPHER_GETTABLE_PARAMS, describable),
      entry(OSSL_FUNC_CIPHER_GET_CTX_PARAMS, get),
      entry(OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS, gettable),
      entry(OSSL_FUNC_CIPHER_SET_CTX_PARAMS, set),
      entry(OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS, settable),
      {0, nullptr},
  };
  return list;
}

}  // namespace

const OSSL_ALGORITHM* aes_gcm_ciphers() {
  // The names are those of OpenSSL's own: TLS asks for the second.
  static const OSSL_ALGORITHM list[] = {
      {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", "provider=ostraka", table<16>(), nullptr},
      {"AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46", "provider=ostraka", table<32>(), nullptr},
      {nullptr, nullptr, nullptr, nullptr},
  };
  return list;
}

}  // namespace ostraka::net
