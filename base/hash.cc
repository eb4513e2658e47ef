// SHA-256 one-shot and HMAC use the low-level SHA256_* calls, deprecated since OpenSSL 3.0 but not replaced:
// an EVP context costs several allocations a message, these live on the stack. Both run the same SHA-NI code.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/xxhash.h"

namespace ostraka {

namespace {

const EVP_MD* algorithm_of(DigestKind kind) {
  static const std::array<const EVP_MD*, 4> fetched{
      EVP_MD_fetch(nullptr, "MD5", nullptr), EVP_MD_fetch(nullptr, "SHA1", nullptr),
      EVP_MD_fetch(nullptr, "SHA256", nullptr), EVP_MD_fetch(nullptr, "SHA512", nullptr)};
  const EVP_MD* md = fetched[static_cast<std::size_t>(kind)];
  CHECK(md != nullptr);
  return md;
}

void sha256_two(const std::uint8_t (&pad)[64], ByteSpan message, std::uint8_t* out) {
  SHA256_CTX ctx;
  SHA256_Init(&ctx);
  SHA256_Update(&ctx, pad, sizeof pad);
  SHA256_Update(&ctx, message.data(), message.size());
  SHA256_Final(out, &ctx);
}

}  // namespace

Digest::Digest(DigestKind kind) : kind_(kind), ctx_(EVP_MD_CTX_new()) {
  CHECK(ctx_ != nullptr);
  CHECK(EVP_DigestInit_ex(ctx_, algorithm_of(kind), nullptr) == 1);
}
Digest::Digest(Digest&& other) noexcept : kind_(other.kind_), ctx_(std::exchange(other.ctx_, nullptr)) {}
Digest& Digest::operator=(Digest&& other) noexcept {
  std::swap(kind_, other.kind_);
  std::swap(ctx_, other.ctx_);
  return *this;
}
Digest::~Digest() {
  EVP_MD_CTX_free(ctx_);
}

void Digest::update(ByteSpan bytes) {
  CHECK(EVP_DigestUpdate(ctx_, bytes.data(), bytes.size()) == 1);
}

std::string Digest::finish() {
  std::string out(digest_size(kind_), '\0');
  CHECK(EVP_DigestFinal_ex(ctx_, reinterpret_cast<unsigned char*>(out.data()), nullptr) == 1);
  CHECK(EVP_DigestInit_ex(ctx_, nullptr, nullptr) == 1);
  return out;
}

std::string digest(DigestKind kind, std::string_view message) {
  std::string out(digest_size(kind), '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  if (kind == DigestKind::sha256) {
    SHA256_CTX ctx;
    SHA256_Init(&ctx);
    SHA256_Update(&ctx, message.data(), message.size());
    SHA256_Final(to, &ctx);
  } else {
    CHECK(EVP_Digest(message.data(), message.size(), to, nullptr, algorithm_of(kind), nullptr) == 1);
  }
  return out;
}

// RFC 2104.
std::array<std::uint8_t, 32> hmac_sha256(ByteSpan key, std::string_view message) {
  std::uint8_t inner_pad[64]{};
  if (key.size() > sizeof inner_pad) {
    const std::string hashed = digest(DigestKind::sha256, as_text(key));
    std::memcpy(inner_pad, hashed.data(), hashed.size());
  } else if (!key.empty()) {
    std::memcpy(inner_pad, key.data(), key.size());
  }
  std::uint8_t outer_pad[64];
  for (std::size_t i = 0; i < sizeof inner_pad; ++i) {
    outer_pad[i] = inner_pad[i] ^ 0x5c;
    inner_pad[i] ^= 0x36;
  }
  std::array<std::uint8_t, 32> out;
  sha256_two(inner_pad, as_bytes(message), out.data());
  sha256_two(outer_pad, out, out.data());
  OPENSSL_cleanse(inner_pad, sizeof inner_pad);
  OPENSSL_cleanse(outer_pad, sizeof outer_pad);
  return out;
}

bool constant_time_equal(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Hash128 xxh3_128(ByteSpan bytes) noexcept {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

std::uint64_t xxh3_64(ByteSpan bytes) noexcept {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::uint64_t siphash24(const std::array<std::uint8_t, 16>& key, std::string_view message) noexcept {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t k0, k1;
  std::memcpy(&k0, key.data(), 8);
  std::memcpy(&k1, key.data() + 8, 8);
  std::uint64_t v0 = k0 ^ 0x736f6d6570736575ULL, v1 = k1 ^ 0x646f72616e646f6dULL;
  std::uint64_t v2 = k0 ^ 0x6c7967656e657261ULL, v3 = k1 ^ 0x7465646279746573ULL;
  const auto round = [&] {
    v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
  };
  const auto absorb = [&](std::uint64_t word) {
    v3 ^= word;
    round(), round();
    v0 ^= word;
  };
  std::size_t i = 0;
  for (; i + 8 <= message.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, message.data() + i, 8);
    absorb(word);
  }
  std::uint64_t last = static_cast<std::uint64_t>(message.size()) << 56;
  for (std::size_t k = 0; i + k < message.size(); ++k) {
    last |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(message[i + k])) << (8 * k);
  }
  absorb(last);
  v2 ^= 0xff;
  round(), round(), round(), round();
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace ostraka
