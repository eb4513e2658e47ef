#include "base/checksum.h"

#include <array>

#include "base/check.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/xxhash.h"

namespace ostraka {

namespace {

struct Row {
  ChecksumAlgorithm algorithm;
  std::string_view name;
  std::size_t size;
};
constexpr std::array<Row, 11> kRows{{{ChecksumAlgorithm::none, "", 0},
                                     {ChecksumAlgorithm::crc32, "CRC32", 4},
                                     {ChecksumAlgorithm::crc32c, "CRC32C", 4},
                                     {ChecksumAlgorithm::crc64nvme, "CRC64NVME", 8},
                                     {ChecksumAlgorithm::sha1, "SHA1", 20},
                                     {ChecksumAlgorithm::sha256, "SHA256", 32},
                                     {ChecksumAlgorithm::md5, "MD5", 16},
                                     {ChecksumAlgorithm::sha512, "SHA512", 64},
                                     {ChecksumAlgorithm::xxhash64, "XXHASH64", 8},
                                     {ChecksumAlgorithm::xxhash3, "XXHASH3", 8},
                                     {ChecksumAlgorithm::xxhash128, "XXHASH128", 16}}};

const Row& row_of(ChecksumAlgorithm algorithm) noexcept {
  const auto index = static_cast<std::size_t>(algorithm);
  CHECK(index < kRows.size());
  return kRows[index];
}

template <class Word, Word (*kKernel)(Word, ByteSpan) noexcept>
class CrcChecksum final : public Checksum {
 public:
  void update(ByteSpan bytes) override { crc_ = kKernel(crc_, bytes); }
  std::string finish() override {
    std::string out(sizeof(Word), '\0');
    for (auto at = out.rbegin(); at != out.rend(); ++at) {
      *at = static_cast<char>(crc_ & 255);
      crc_ = static_cast<Word>(crc_ >> 8);
    }
    return out;
  }

 private:
  Word crc_ = 0;  // finish() shifts it back to 0
};

class DigestChecksum final : public Checksum {
 public:
  explicit DigestChecksum(DigestKind kind) : digest_(kind) {}
  void update(ByteSpan bytes) override { digest_.update(bytes); }
  std::string finish() override { return digest_.finish(); }

 private:
  Digest digest_;
};

class Xxh64Checksum final : public Checksum {
 public:
  Xxh64Checksum() : state_(XXH64_createState()) {
    CHECK(state_ != nullptr);
    XXH64_reset(state_.get(), 0);
  }
  void update(ByteSpan bytes) override { XXH64_update(state_.get(), bytes.data(), bytes.size()); }
  std::string finish() override {
    XXH64_canonical_t canonical;
    XXH64_canonicalFromHash(&canonical, XXH64_digest(state_.get()));
    XXH64_reset(state_.get(), 0);
    return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
  }

 private:
  struct Free {
    void operator()(XXH64_state_t* state) const noexcept { XXH64_freeState(state); }
  };
  std::unique_ptr<XXH64_state_t, Free> state_;
};

template <bool kWide>
class Xxh3Checksum final : public Checksum {
 public:
  Xxh3Checksum() : state_(XXH3_createState()) {
    CHECK(state_ != nullptr);
    reset();
  }
  void update(ByteSpan bytes) override {
    if constexpr (kWide) {
      XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
    } else {
      XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
    }
  }
  std::string finish() override {
    if constexpr (kWide) {
      XXH128_canonical_t canonical;
      XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
      reset();
      return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
    } else {
      XXH64_canonical_t canonical;
      XXH64_canonicalFromHash(&canonical, XXH3_64bits_digest(state_.get()));
      reset();
      return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
    }
  }

 private:
  void reset() {
    if constexpr (kWide) {
      XXH3_128bits_reset(state_.get());
    } else {
      XXH3_64bits_reset(state_.get());
    }
  }
  struct Free {
    void operator()(XXH3_state_t* state) const noexcept { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

}  // namespace

std::string_view to_string(ChecksumAlgorithm algorithm) noexcept {
  return row_of(algorithm).name;
}

std::optional<ChecksumAlgorithm> parse_checksum_algorithm(std::string_view name) noexcept {
  for (const Row& row : kRows) {
    if (row.algorithm != ChecksumAlgorithm::none && iequals(row.name, name)) return row.algorithm;
  }
  return std::nullopt;
}

std::size_t checksum_size(ChecksumAlgorithm algorithm) noexcept {
  return row_of(algorithm).size;
}

bool is_crc(ChecksumAlgorithm algorithm) noexcept {
  return algorithm == ChecksumAlgorithm::crc32 || algorithm == ChecksumAlgorithm::crc32c ||
         algorithm == ChecksumAlgorithm::crc64nvme;
}

std::unique_ptr<Checksum> make_checksum(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::none:
      return nullptr;
    case ChecksumAlgorithm::crc32:
      return std::make_unique<CrcChecksum<std::uint32_t, crc32>>();
    case ChecksumAlgorithm::crc32c:
      return std::make_unique<CrcChecksum<std::uint32_t, crc32c>>();
    case ChecksumAlgorithm::crc64nvme:
      return std::make_unique<CrcChecksum<std::uint64_t, crc64nvme>>();
    case ChecksumAlgorithm::sha1:
      return std::make_unique<DigestChecksum>(DigestKind::sha1);
    case ChecksumAlgorithm::sha256:
      return std::make_unique<DigestChecksum>(DigestKind::sha256);
    case ChecksumAlgorithm::md5:
      return std::make_unique<DigestChecksum>(DigestKind::md5);
    case ChecksumAlgorithm::sha512:
      return std::make_unique<DigestChecksum>(DigestKind::sha512);
    case ChecksumAlgorithm::xxhash64:
      return std::make_unique<Xxh64Checksum>();
    case ChecksumAlgorithm::xxhash3:
      return std::make_unique<Xxh3Checksum<false>>();
    case ChecksumAlgorithm::xxhash128:
      return std::make_unique<Xxh3Checksum<true>>();
  }
  CHECK(false && "a checksum algorithm that does not exist");
  return nullptr;
}

}  // namespace ostraka
