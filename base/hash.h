// Cryptographic digests over OpenSSL (algorithms fetched once: the implicit fetch of OpenSSL 3.0 is slow) and
// fast non-cryptographic ones.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

struct evp_md_ctx_st;

namespace ostraka {

enum class DigestKind : std::uint8_t { md5, sha1, sha256, sha512 };
constexpr std::size_t digest_size(DigestKind kind) noexcept {
  return kind == DigestKind::md5 ? 16 : kind == DigestKind::sha1 ? 20 : kind == DigestKind::sha256 ? 32 : 64;
}

// A streaming digest. Movable; not thread safe. finish() leaves it ready for a new message.
class Digest {
 public:
  explicit Digest(DigestKind kind);
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  ~Digest();
  void update(ByteSpan bytes);
  void update(std::string_view text) { update(as_bytes(text)); }
  std::string finish();  // raw bytes, digest_size(kind) of them
 private:
  DigestKind kind_;
  evp_md_ctx_st* ctx_;
};

std::string digest(DigestKind kind, std::string_view message);  // raw bytes
std::array<std::uint8_t, 32> hmac_sha256(ByteSpan key, std::string_view message);
bool constant_time_equal(std::string_view a, std::string_view b) noexcept;

struct Hash128 {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
};
Hash128 xxh3_128(ByteSpan bytes) noexcept;
std::uint64_t xxh3_64(ByteSpan bytes) noexcept;
// SipHash-2-4 (Aumasson, Bernstein 2012) under a 16-byte key: places keys, so that clients cannot aim at one
// group.
std::uint64_t siphash24(const std::array<std::uint8_t, 16>& key, std::string_view message) noexcept;

}  // namespace ostraka
