// MD5 (RFC 1321) of several messages side by side. One MD5 is a chain of dependent steps, so that a core
// idles most of the time; vector instructions run the chains of up to kMd5Lanes messages at once for the
// price of one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.h"

namespace ostraka {

inline constexpr std::size_t kMd5Lanes = 8;

enum class Md5Kernel : std::uint8_t {
  scalar,  // OpenSSL's, one message after the other
  avx2,    // eight lanes; a lone message by OpenSSL
  avx512,  // AVX-512VL: eight lanes, and one for a lone message
};
// Whether this CPU can run it.
bool is_supported(Md5Kernel kernel) noexcept;
// The fastest that this CPU can run.
Md5Kernel best_md5_kernel() noexcept;

// One message that is being hashed. A plain value; not thread safe.
class Md5 {
 public:
  Md5() = default;
  void update(ByteSpan bytes, Md5Kernel kernel = best_md5_kernel());
  std::string finish();  // 16 raw bytes; leaves it ready for a new message

 private:
  friend class Md5Batch;
  static constexpr std::size_t kBlockBytes = 64;
  static constexpr std::array<std::uint32_t, 4> kStart{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  ByteSpan take_head(ByteSpan bytes, Md5Kernel kernel);  // completes the started block; gives what is left
  void keep_tail(ByteSpan bytes) noexcept;               // starts a block

  std::array<std::uint32_t, 4> state_ = kStart;
  std::uint64_t length_ = 0;                     // bytes so far
  std::array<std::uint8_t, kBlockBytes> block_;  // its first length_ % kBlockBytes bytes wait for the rest
};

// Bytes of different messages that are hashed by one call.
class Md5Batch {
 public:
  // message and bytes must stay until run(); each message once.
  void add(Md5& message, ByteSpan bytes);
  std::size_t size() const noexcept { return size_; }
  bool is_full() const noexcept { return size_ == kMd5Lanes; }
  // As message.update(bytes) for each; then it is empty.
  void run(Md5Kernel kernel = best_md5_kernel());

 private:
  struct Job {
    Md5* message;
    ByteSpan bytes;
  };
  std::array<Job, kMd5Lanes> jobs_;
  std::size_t size_ = 0;
};

}  // namespace ostraka
