// OpenSSL's MD5 is reached through the low-level MD5_* calls, deprecated since OpenSSL 3.0: an EVP context
// hides the state, which a message takes from one kernel to the other.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/md5_lanes.h"

#include <immintrin.h>
#include <openssl/md5.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace ostraka {
namespace {

static_assert(std::endian::native == std::endian::little, "MD5 reads and writes little-endian words");

constexpr std::size_t kBlockBytes = 64;
using State = std::array<std::uint32_t, 4>;

// RFC 1321, section 3.4: floor(2^32 * |sin(i + 1)|).
constexpr std::uint32_t kSine[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

// A kernel is the same steps over the Word of an instruction set, with one 32-bit number a lane. The set
// defines, beside add and rotate, the four functions of RFC 1321 and term(w, i): message word w plus the
// constant of step i. Macros, because g++ inlines no function of an instruction set into a template that is
// not of it. The empty asm keeps the compiler from adding a to f, which comes last: that would make each step
// an addition longer.
#define OSTRAKA_MD5_STEP(f, a, b, c, d, w, i, bits) \
  a = Set::add(a, Set::term(words, w, i));          \
  asm("" : "+v"(a));                                \
  a = Set::add(b, Set::rotate<bits>(Set::add(a, Set::f(b, c, d))));
#define OSTRAKA_MD5_QUAD(f, i, w, stride, r0, r1, r2, r3)                 \
  OSTRAKA_MD5_STEP(f, a, b, c, d, (w) % 16, i, r0)                        \
  OSTRAKA_MD5_STEP(f, d, a, b, c, ((w) + (stride)) % 16, (i) + 1, r1)     \
  OSTRAKA_MD5_STEP(f, c, d, a, b, ((w) + 2 * (stride)) % 16, (i) + 2, r2) \
  OSTRAKA_MD5_STEP(f, b, c, d, a, ((w) + 3 * (stride)) % 16, (i) + 3, r3)
#define OSTRAKA_MD5_ROUND(f, i, w, stride, r0, r1, r2, r3)                 \
  OSTRAKA_MD5_QUAD(f, i, w, stride, r0, r1, r2, r3)                        \
  OSTRAKA_MD5_QUAD(f, (i) + 4, (w) + 4 * (stride), stride, r0, r1, r2, r3) \
  OSTRAKA_MD5_QUAD(f, (i) + 8, (w) + 8 * (stride), stride, r0, r1, r2, r3) \
  OSTRAKA_MD5_QUAD(f, (i) + 12, (w) + 12 * (stride), stride, r0, r1, r2, r3)
#define OSTRAKA_MD5_BLOCK                             \
  OSTRAKA_MD5_ROUND(choose_c, 0, 0, 1, 7, 12, 17, 22) \
  OSTRAKA_MD5_ROUND(choose_b, 16, 1, 5, 5, 9, 14, 20) \
  OSTRAKA_MD5_ROUND(parity, 32, 5, 3, 4, 11, 16, 23)  \
  OSTRAKA_MD5_ROUND(or_not, 48, 0, 7, 6, 10, 15, 21)

#define OSTRAKA_AVX2_CODE __attribute__((target("avx2")))
#define OSTRAKA_AVX512_CODE __attribute__((target("avx2,avx512f,avx512vl")))
#define OSTRAKA_INLINE __attribute__((always_inline)) static inline

// Turns eight rows of eight numbers into eight columns.
OSTRAKA_INLINE OSTRAKA_AVX2_CODE void transpose(const __m256i (&rows)[8], __m256i* columns) {
  __m256i pairs[8];
  __m256i fours[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    fours[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
    fours[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
    fours[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    fours[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    columns[i] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x20);
    columns[i + 4] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x31);
  }
}

OSTRAKA_INLINE OSTRAKA_AVX2_CODE void load_words(const std::uint8_t* const* data, std::size_t at,
                                                 __m256i (&words)[16]) {
  __m256i rows[8];
  for (std::size_t half = 0; half < 2; ++half) {
    for (std::size_t lane = 0; lane < kMd5Lanes; ++lane)
      rows[lane] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data[lane] + at + half * 32));
    transpose(rows, words + half * 8);
  }
}

struct Avx2 {
  using Word = __m256i;
  OSTRAKA_INLINE OSTRAKA_AVX2_CODE Word add(Word x, Word y) { return _mm256_add_epi32(x, y); }
  template <int kBits>
  OSTRAKA_INLINE OSTRAKA_AVX2_CODE Word rotate(Word x) {
    return _mm256_or_si256(_mm256_slli_epi32(x, kBits), _mm256_srli_epi32(x, 32 - kBits));
  }
  OSTRAKA_INLINE OSTRAKA_AVX2_CODE Word choose_c(Word b, Word c, Word d) {  // c where b is set, else d
    return _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)));
  }
  OSTRAKA_INLINE OSTRAKA_AVX2_CODE Word choose_b(Word b, Word c, Word d) {  // b where d is set, else c
    return _mm256_xor_si256(c, _mm256_and_si256(d, _mm256_xor_si256(b, c)));
  }
  OSTRAKA_INLINE OSTRAKA_AVX2_CODE Word parity(Word b, Word c, Word d) {
    return _mm256_xor_si256(b, _mm256_xor_si256(c, d));
  }
  OSTRAKA_INLINE OSTRAKA_AVX2_CODE Word or_not(Word b, Word c, Word d) {
    return _mm256_xor_si256(c, _mm256_or_si256(b, _mm256_xor_si256(d, _mm256_set1_epi32(-1))));
  }
  OSTRAKA_INLINE OSTRAKA_AVX2_CODE Word term(const Word (&words)[16], int w, int i) {
    return add(words[w], _mm256_set1_epi32(static_cast<int>(kSine[i])));
  }
};

// The compiler makes one instruction of each of Avx2's functions.
struct Avx512 : Avx2 {
  template <int kBits>
  OSTRAKA_INLINE OSTRAKA_AVX512_CODE Word rotate(Word x) {
    return _mm256_rol_epi32(x, kBits);
  }
};

// A single lane: vector instructions do a step in four dependent operations, general ones need five.
struct Avx512Alone : Avx512 {
  OSTRAKA_INLINE OSTRAKA_AVX512_CODE Word lane(std::uint32_t x) {
    return _mm256_castsi128_si256(_mm_cvtsi32_si128(static_cast<int>(x)));
  }
  OSTRAKA_INLINE OSTRAKA_AVX512_CODE std::uint32_t number(Word x) {
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm256_castsi256_si128(x)));
  }
  OSTRAKA_INLINE OSTRAKA_AVX512_CODE Word term(const std::uint8_t* words, int w, int i) {
    std::uint32_t word;
    std::memcpy(&word, words + w * 4, sizeof word);
    return lane(word + kSine[i]);
  }
};

// Eight states and the data that each of them has to take, as many blocks for each.
struct Lanes {
  alignas(32) std::uint32_t state[4][kMd5Lanes];
  const std::uint8_t* data[kMd5Lanes];
};

#define OSTRAKA_MD5_LANES                                                  \
  __m256i* const state = reinterpret_cast<__m256i*>(lanes.state);          \
  __m256i a = state[0], b = state[1], c = state[2], d = state[3];          \
  for (std::size_t at = 0; at < blocks * kBlockBytes; at += kBlockBytes) { \
    const __m256i old_a = a, old_b = b, old_c = c, old_d = d;              \
    __m256i words[16];                                                     \
    load_words(lanes.data, at, words);                                     \
    OSTRAKA_MD5_BLOCK                                                      \
    a = Set::add(a, old_a), b = Set::add(b, old_b);                        \
    c = Set::add(c, old_c), d = Set::add(d, old_d);                        \
  }                                                                        \
  state[0] = a, state[1] = b, state[2] = c, state[3] = d;

OSTRAKA_AVX2_CODE void run_lanes_avx2(Lanes& lanes, std::size_t blocks) {
  using Set = Avx2;
  OSTRAKA_MD5_LANES
}

OSTRAKA_AVX512_CODE void run_lanes_avx512(Lanes& lanes, std::size_t blocks) {
  using Set = Avx512;
  OSTRAKA_MD5_LANES
}

OSTRAKA_AVX512_CODE void run_alone_avx512(State& state, const std::uint8_t* data, std::size_t blocks) {
  using Set = Avx512Alone;
  __m256i a = Set::lane(state[0]), b = Set::lane(state[1]), c = Set::lane(state[2]), d = Set::lane(state[3]);
  for (const std::uint8_t* words = data; words != data + blocks * kBlockBytes; words += kBlockBytes) {
    const __m256i old_a = a, old_b = b, old_c = c, old_d = d;
    OSTRAKA_MD5_BLOCK
    a = Set::add(a, old_a), b = Set::add(b, old_b);
    c = Set::add(c, old_c), d = Set::add(d, old_d);
  }
  state = {Set::number(a), Set::number(b), Set::number(c), Set::number(d)};
}

void run_alone_openssl(State& state, const std::uint8_t* data, std::size_t blocks) {
  MD5_CTX ctx{};
  ctx.A = state[0], ctx.B = state[1], ctx.C = state[2], ctx.D = state[3];
  MD5_Update(&ctx, data, blocks * kBlockBytes);
  state = {ctx.A, ctx.B, ctx.C, ctx.D};
}

void run_alone(Md5Kernel kernel, State& state, const std::uint8_t* data, std::size_t blocks) {
  if (blocks == 0) return;
  if (kernel == Md5Kernel::avx512)
    run_alone_avx512(state, data, blocks);
  else
    run_alone_openssl(state, data, blocks);
}

// A message with whole blocks left.
struct Lane {
  State* state;
  const std::uint8_t* data;
  std::size_t blocks;
};

// Runs the blocks that all of them have, at least two messages.
void run_common(Md5Kernel kernel, std::span<Lane> active) {
  const auto fewer = [](const Lane& x, const Lane& y) { return x.blocks < y.blocks; };
  const std::size_t blocks = std::min_element(active.begin(), active.end(), fewer)->blocks;
  Lanes lanes;
  for (std::size_t lane = 0; lane < kMd5Lanes; ++lane) {
    const Lane& source = active[std::min(lane, active.size() - 1)];  // idle lanes repeat the last one
    for (std::size_t i = 0; i < 4; ++i) lanes.state[i][lane] = (*source.state)[i];
    lanes.data[lane] = source.data;
  }
  if (kernel == Md5Kernel::avx512)
    run_lanes_avx512(lanes, blocks);
  else
    run_lanes_avx2(lanes, blocks);
  for (std::size_t lane = 0; lane < active.size(); ++lane) {
    for (std::size_t i = 0; i < 4; ++i) (*active[lane].state)[i] = lanes.state[i][lane];
    active[lane].data += blocks * kBlockBytes;
    active[lane].blocks -= blocks;
  }
}

}  // namespace

bool is_supported(Md5Kernel kernel) noexcept {
  switch (kernel) {
    case Md5Kernel::avx2:
      return __builtin_cpu_supports("avx2") != 0;
    case Md5Kernel::avx512:
      return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("avx512f") != 0 &&
             __builtin_cpu_supports("avx512vl") != 0;
    case Md5Kernel::scalar:
      break;
  }
  return true;
}

Md5Kernel best_md5_kernel() noexcept {
  static const Md5Kernel best = is_supported(Md5Kernel::avx512) ? Md5Kernel::avx512
                                : is_supported(Md5Kernel::avx2) ? Md5Kernel::avx2
                                                                : Md5Kernel::scalar;
  return best;
}

ByteSpan Md5::take_head(ByteSpan bytes, Md5Kernel kernel) {
  const std::size_t begun = length_ % kBlockBytes;
  if (begun == 0) return bytes;
  const std::size_t taken = std::min(kBlockBytes - begun, bytes.size());
  if (taken > 0) std::memcpy(block_.data() + begun, bytes.data(), taken);
  length_ += taken;
  if (begun + taken == kBlockBytes) run_alone(kernel, state_, block_.data(), 1);
  return bytes.subspan(taken);
}

void Md5::keep_tail(ByteSpan bytes) noexcept {
  if (!bytes.empty()) std::memcpy(block_.data(), bytes.data(), bytes.size());
  length_ += bytes.size();
}

void Md5::update(ByteSpan bytes, Md5Kernel kernel) {
  const ByteSpan rest = take_head(bytes, kernel);
  const std::size_t whole = rest.size() / kBlockBytes * kBlockBytes;
  run_alone(kernel, state_, rest.data(), whole / kBlockBytes);
  length_ += whole;
  keep_tail(rest.subspan(whole));
}

std::string Md5::finish() {
  const std::uint64_t bits = length_ * 8;
  std::array<std::uint8_t, 2 * kBlockBytes> padding{0x80};
  const std::size_t begun = length_ % kBlockBytes;
  const std::size_t zeros_end = (begun < 56 ? 56 : 120) - begun;
  std::memcpy(padding.data() + zeros_end, &bits, sizeof bits);
  update(ByteSpan(padding).first(zeros_end + sizeof bits));
  std::string out(16, '\0');
  std::memcpy(out.data(), state_.data(), out.size());
  *this = Md5();
  return out;
}

void Md5Batch::add(Md5& message, ByteSpan bytes) {
  CHECK(!is_full());
  jobs_[size_++] = {&message, bytes};
}

void Md5Batch::run(Md5Kernel kernel) {
  std::array<Lane, kMd5Lanes> lanes;
  std::size_t active = 0;
  for (const Job& job : std::span(jobs_).first(std::exchange(size_, 0))) {
    Md5& message = *job.message;
    const ByteSpan rest = message.take_head(job.bytes, kernel);
    const std::size_t blocks = rest.size() / kBlockBytes;
    if (blocks > 0) lanes[active++] = {&message.state_, rest.data(), blocks};
    message.length_ += blocks * kBlockBytes;
    message.keep_tail(rest.subspan(blocks * kBlockBytes));
  }
  while (active > 0) {
    if (active == 1 || kernel == Md5Kernel::scalar) {
      const Lane& lane = lanes[--active];
      run_alone(kernel, *lane.state, lane.data, lane.blocks);
      continue;
    }
    run_common(kernel, std::span(lanes).first(active));
    const auto is_done = [](const Lane& lane) { return lane.blocks == 0; };
    active = static_cast<std::size_t>(std::remove_if(lanes.begin(), lanes.begin() + active, is_done) -
                                      lanes.begin());
  }
}

}  // namespace ostraka
