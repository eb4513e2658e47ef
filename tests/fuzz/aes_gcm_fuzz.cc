// links: net
// Sequences of calls on the provider's AES-GCM and on OpenSSL's own, which must end alike: pieces of AAD and
// text, keys and IVs set apart, copies, ends. Where one refuses, the other may not (ours is stricter): the
// message is left, and both begin another.
#include <openssl/err.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "net/aes_gcm.h"

namespace {

using namespace ostraka::net;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Free {
  void operator()(EVP_CIPHER* p) const { EVP_CIPHER_free(p); }
  void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
};
using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, Free>;

struct Input {
  const std::uint8_t* data;
  std::size_t size;
  std::uint8_t byte() {
    if (size == 0) return 0;
    --size;
    return *data++;
  }
};

// One side. Every call's outcome is compared with the other's.
struct Side {
  std::unique_ptr<EVP_CIPHER, Free> cipher;
  ContextPtr context{EVP_CIPHER_CTX_new()};
  std::array<std::uint8_t, 4096> out{};

  Side(OSSL_LIB_CTX* library, const char* properties, const char* name)
      : cipher(EVP_CIPHER_fetch(library, name, properties)) {
    require(cipher != nullptr);
  }
  bool begin(const std::uint8_t* key, const std::uint8_t* iv, int iv_size, bool encrypt) {
    const int way = encrypt ? 1 : 0;
    return EVP_CipherInit_ex(context.get(), cipher.get(), nullptr, nullptr, nullptr, way) == 1 &&
           EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN, iv_size, nullptr) == 1 &&
           EVP_CipherInit_ex(context.get(), nullptr, nullptr, key, iv, way) == 1;
  }
  bool update(bool text, const std::uint8_t* in, std::size_t size) {
    int written = 0;
    return EVP_CipherUpdate(context.get(), text ? out.data() : nullptr, &written, in,
                            static_cast<int>(size)) == 1 &&
           static_cast<std::size_t>(written) == size;
  }
  void copy() {
    ContextPtr twin(EVP_CIPHER_CTX_new());
    require(EVP_CIPHER_CTX_copy(twin.get(), context.get()) == 1);
    context = std::move(twin);
  }
  bool end() {
    std::array<std::uint8_t, 16> none{};
    int written = 0;
    return EVP_CipherFinal_ex(context.get(), none.data(), &written) == 1;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (aes_gcm().library == nullptr) return 0;
  Input input{data, size};
  const std::uint8_t kind = input.byte();
  const std::size_t key_size = (kind & 1) != 0 ? 32 : 16;
  const char* name = (kind & 1) != 0 ? "AES-256-GCM" : "AES-128-GCM";
  Side ours(aes_gcm().library, "provider=ostraka", name);
  Side theirs(nullptr, nullptr, name);
  std::array<std::uint8_t, 32> key{};
  for (std::size_t i = 0; i < key_size; ++i) key[i] = input.byte();
  std::array<std::uint8_t, 128> iv{};
  std::array<std::uint8_t, 4096> in{};
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::uint8_t>(i * 7 + kind);

  while (input.size > 0) {  // a message
    const std::uint8_t how = input.byte();
    const bool encrypt = (how & 1) != 0;
    const int iv_size = (how & 2) != 0 ? 1 + input.byte() % 128 : 12;
    for (std::uint8_t& b : iv) b = static_cast<std::uint8_t>(b * 3 + how + 1);
    if ((how & 4) != 0) key[how % key_size] ^= how;
    require(ours.begin(key.data(), iv.data(), iv_size, encrypt));
    require(theirs.begin(key.data(), iv.data(), iv_size, encrypt));
    bool in_text = false;
    for (;;) {
      const std::uint8_t step = input.byte();
      if (step % 4 == 0) break;
      if (step % 4 == 3) {
        ours.copy();
        continue;
      }
      const bool text = step % 4 == 2;
      const std::size_t piece = (std::size_t{input.byte()} * (step >> 2)) % (in.size() + 1);
      const std::size_t from = step % (in.size() - piece + 1);
      const bool good = ours.update(text, in.data() + from, piece);
      require(good == (text || !in_text || piece == 0));
      if (good) {
        require(theirs.update(text, in.data() + from, piece));
        if (text) require(std::memcmp(ours.out.data(), theirs.out.data(), piece) == 0);
      }
      in_text = in_text || (text && piece > 0);
    }
    std::array<std::uint8_t, 16> tag{};
    if (encrypt) {
      require(ours.end() && theirs.end());
      std::array<std::uint8_t, 16> expected{};
      require(EVP_CIPHER_CTX_ctrl(ours.context.get(), EVP_CTRL_AEAD_GET_TAG, 16, tag.data()) == 1);
      require(EVP_CIPHER_CTX_ctrl(theirs.context.get(), EVP_CTRL_AEAD_GET_TAG, 16, expected.data()) == 1);
      require(tag == expected);
    } else {
      tag[0] = input.byte();  // a guess: no tag is right by chance
      require(!ours.end());   // none was told
      require(EVP_CIPHER_CTX_ctrl(ours.context.get(), EVP_CTRL_AEAD_SET_TAG, 16, tag.data()) == 1);
      require(EVP_CIPHER_CTX_ctrl(theirs.context.get(), EVP_CTRL_AEAD_SET_TAG, 16, tag.data()) == 1);
      require(!ours.end() && !theirs.end());
    }
    require(!ours.update(true, in.data(), 1));  // the IV was used
  }
  ERR_clear_error();
  return 0;
}
