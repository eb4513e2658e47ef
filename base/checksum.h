// The additional checksums of S3 (x-amz-checksum-*): streaming, raw big-endian bytes as AWS encodes them, and
// the combination of part CRCs into the CRC of the whole. Source: S3 user guide, "Checking object integrity".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ostraka {

enum class ChecksumAlgorithm : std::uint8_t {  // stored on drives: never renumber
  none = 0,
  crc32 = 1,
  crc32c = 2,
  crc64nvme = 3,
  sha1 = 4,
  sha256 = 5,
  md5 = 6,
  sha512 = 7,
  xxhash64 = 8,
  xxhash3 = 9,
  xxhash128 = 10,
};
enum class ChecksumType : std::uint8_t { full_object = 0, composite = 1 };

std::string_view to_string(
    ChecksumAlgorithm algorithm) noexcept;  // "CRC32", "CRC64NVME", ... as in x-amz-checksum-algorithm
std::optional<ChecksumAlgorithm> parse_checksum_algorithm(
    std::string_view name) noexcept;                              // case-insensitive
std::size_t checksum_size(ChecksumAlgorithm algorithm) noexcept;  // raw bytes
bool is_crc(ChecksumAlgorithm
                algorithm) noexcept;  // these combine, so a multipart object can have a full-object checksum

// A streaming checksum. Not thread safe.
class Checksum {
 public:
  virtual ~Checksum() = default;
  virtual void update(ByteSpan bytes) = 0;
  virtual std::string
  finish() = 0;  // raw bytes in the order AWS base64-encodes them; ready for a new message then
};
std::unique_ptr<Checksum> make_checksum(ChecksumAlgorithm algorithm);  // nullptr for none

// CRC of a||b from the raw CRCs of a and b and the length of b. algorithm must be a CRC.
std::string combine_crc(ChecksumAlgorithm algorithm, std::string_view crc_a, std::string_view crc_b,
                        std::uint64_t length_b);

// Kernels, seeded with the previous value (0 at the start), as zlib's crc32(). Vectorised where the CPU can.
std::uint32_t crc32(std::uint32_t seed, ByteSpan bytes) noexcept;
std::uint32_t crc32c(std::uint32_t seed, ByteSpan bytes) noexcept;
std::uint64_t crc64nvme(std::uint64_t seed, ByteSpan bytes) noexcept;

}  // namespace ostraka
