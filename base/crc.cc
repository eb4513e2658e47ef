// The CRC kernels of checksum.h. CRC32 and CRC32C come from ISA-L, which picks the widest carry-less
// multiplication the CPU has. CRC64NVME (NVM Express NVM Command Set 1.0, 5.2.1.3.4) is not in ISA-L 2.30: it
// folds 128 bytes at a time with PCLMULQDQ, after Gopal et al., "Fast CRC Computation for Generic Polynomials
// Using PCLMULQDQ Instruction" (Intel 2009), or goes by table.
#include <isa-l/crc.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/checksum.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ostraka {

namespace {

// Polynomials with the bits reversed: bit width-1 is x^0.
constexpr std::uint32_t kPoly32 = 0xedb88320;
constexpr std::uint32_t kPoly32c = 0x82f63b78;
constexpr std::uint64_t kPoly64Nvme = 0x9a6c9329ac4bc9b5;

// a * b modulo the polynomial.
template <class Word>
constexpr Word multiply_mod(Word a, Word b, Word poly) noexcept {
  Word product = 0;
  for (int bit = std::numeric_limits<Word>::digits - 1; bit >= 0; --bit) {
    if ((a >> bit & 1) != 0) product ^= b;
    b = static_cast<Word>((b & 1) != 0 ? b >> 1 ^ poly : b >> 1);
  }
  return product;
}

// x^n modulo the polynomial.
template <class Word>
constexpr Word power_mod(std::uint64_t n, Word poly) noexcept {
  constexpr Word kOne = Word{1} << (std::numeric_limits<Word>::digits - 1);
  Word result = kOne;
  Word square = kOne >> 1;  // x^(2^i)
  for (; n != 0; n >>= 1) {
    if ((n & 1) != 0) result = multiply_mod(result, square, poly);
    square = multiply_mod(square, square, poly);
  }
  return result;
}

// Eight tables: the byte i places before the end of an 8-byte word goes through table i.
constexpr auto kTables64 = [] {
  std::array<std::array<std::uint64_t, 256>, 8> tables{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    std::uint64_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ kPoly64Nvme : crc >> 1;
    tables[0][byte] = crc;
  }
  for (std::size_t t = 1; t < 8; ++t) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint64_t before = tables[t - 1][byte];
      tables[t][byte] = before >> 8 ^ tables[0][before & 255];
    }
  }
  return tables;
}();

// On the bare remainder: inverting at both ends is the caller's.
std::uint64_t crc64_by_table(std::uint64_t crc, ByteSpan bytes) noexcept {
  while (bytes.size() >= 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    word ^= crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i) crc ^= kTables64[7 - i][word >> (8 * i) & 255];
    bytes = bytes.subspan(8);
  }
  for (const std::uint8_t byte : bytes) crc = crc >> 8 ^ kTables64[0][(crc ^ byte) & 255];
  return crc;
}

#if defined(__x86_64__)

constexpr std::size_t kLanes = 8;
constexpr std::size_t kFoldBytes = kLanes * 16;

// Factors that move a 128-bit lane `bits` forward. The low half comes first in the message, so it moves 64
// further; one less, because the product of two reversed operands comes out shifted by one.
struct FoldFactor {
  std::uint64_t low, high;
};
constexpr FoldFactor fold_factor(std::uint64_t bits) noexcept {
  return {power_mod(bits + 63, kPoly64Nvme), power_mod(bits - 1, kPoly64Nvme)};
}
constexpr FoldFactor kByOneLane = fold_factor(128);
constexpr FoldFactor kByAllLanes = fold_factor(128 * kLanes);

__attribute__((target("pclmul,sse4.1"))) inline __m128i fold(__m128i lane, __m128i factor) noexcept {
  return _mm_xor_si128(_mm_clmulepi64_si128(lane, factor, 0x00), _mm_clmulepi64_si128(lane, factor, 0x11));
}

// bytes.size() >= kFoldBytes.
__attribute__((target("pclmul,sse4.1"))) std::uint64_t crc64_by_folding(std::uint64_t crc,
                                                                        ByteSpan bytes) noexcept {
  const auto load = [](const std::uint8_t* from) __attribute__((target("pclmul,sse4.1"))) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  };
  const auto factor = [](FoldFactor f) __attribute__((target("pclmul,sse4.1"))) {
    return _mm_set_epi64x(static_cast<long long>(f.high), static_cast<long long>(f.low));
  };
  const __m128i by_all = factor(kByAllLanes);
  const __m128i by_one = factor(kByOneLane);

  __m128i lanes[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = load(bytes.data() + 16 * i);
  lanes[0] = _mm_xor_si128(lanes[0], _mm_set_epi64x(0, static_cast<long long>(crc)));
  for (bytes = bytes.subspan(kFoldBytes); bytes.size() >= kFoldBytes; bytes = bytes.subspan(kFoldBytes)) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kLanes; ++i) {
      lanes[i] = _mm_xor_si128(fold(lanes[i], by_all), load(bytes.data() + 16 * i));
    }
  }
  __m128i last = lanes[0];
  for (std::size_t i = 1; i < kLanes; ++i) last = _mm_xor_si128(fold(last, by_one), lanes[i]);
  for (; bytes.size() >= 16; bytes = bytes.subspan(16))
    last = _mm_xor_si128(fold(last, by_one), load(bytes.data()));

  std::array<std::uint8_t, 16> remainder;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(remainder.data()), last);
  return crc64_by_table(crc64_by_table(0, remainder), bytes);
}

bool can_fold() noexcept {
  static const bool can = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  return can;
}

#endif

template <class Word>
Word load_big_endian(std::string_view raw) noexcept {
  Word value = 0;
  for (const char c : raw) value = static_cast<Word>(value << 8 | static_cast<std::uint8_t>(c));
  return value;
}

template <class Word>
std::string combine(std::string_view crc_a, std::string_view crc_b, std::uint64_t length_b, Word poly) {
  CHECK(crc_a.size() == sizeof(Word) && crc_b.size() == sizeof(Word));
  // x^(8n) as (x^8)^n: 8n need not fit.
  const Word shift = [&] {
    Word result = Word{1} << (std::numeric_limits<Word>::digits - 1);
    Word square = power_mod(8, poly);
    for (std::uint64_t n = length_b; n != 0; n >>= 1) {
      if ((n & 1) != 0) result = multiply_mod(result, square, poly);
      square = multiply_mod(square, square, poly);
    }
    return result;
  }();
  Word value = multiply_mod(shift, load_big_endian<Word>(crc_a), poly) ^ load_big_endian<Word>(crc_b);
  std::string out(sizeof(Word), '\0');
  for (auto at = out.rbegin(); at != out.rend(); ++at) {
    *at = static_cast<char>(value & 255);
    value = static_cast<Word>(value >> 8);
  }
  return out;
}

}  // namespace

std::uint32_t crc32(std::uint32_t seed, ByteSpan bytes) noexcept {
  return crc32_gzip_refl(seed, bytes.data(), bytes.size());
}

std::uint32_t crc32c(std::uint32_t seed, ByteSpan bytes) noexcept {
  std::uint32_t crc = ~seed;
  while (!bytes.empty()) {
    const std::size_t step = std::min<std::size_t>(bytes.size(), 1U << 30);  // ISA-L takes an int
    crc = crc32_iscsi(const_cast<unsigned char*>(bytes.data()), static_cast<int>(step), crc);
    bytes = bytes.subspan(step);
  }
  return ~crc;
}

std::uint64_t crc64nvme(std::uint64_t seed, ByteSpan bytes) noexcept {
#if defined(__x86_64__)
  if (bytes.size() >= kFoldBytes && can_fold()) return ~crc64_by_folding(~seed, bytes);
#endif
  return ~crc64_by_table(~seed, bytes);
}

std::string combine_crc(ChecksumAlgorithm algorithm, std::string_view crc_a, std::string_view crc_b,
                        std::uint64_t length_b) {
  CHECK(is_crc(algorithm));
  if (algorithm == ChecksumAlgorithm::crc64nvme) return combine(crc_a, crc_b, length_b, kPoly64Nvme);
  return combine(crc_a, crc_b, length_b, algorithm == ChecksumAlgorithm::crc32 ? kPoly32 : kPoly32c);
}

}  // namespace ostraka
