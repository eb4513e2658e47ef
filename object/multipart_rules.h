// The rules of multipart uploads that need no drive: names of uploads and parts, checksums, what a completed
// object is made of. Source: S3 API reference, CompleteMultipartUpload; S3 user guide, "Checking object
// integrity".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "object/object_layer.h"
#include "runtime/random.h"

namespace ostraka::object {

// kUploadIdBytes characters, fit for a URL; ids sort by the time of `id`, and the rest cannot be guessed.
std::string make_upload_id(VersionId id, Random& random);
bool is_upload_id(std::string_view text) noexcept;

// The row key of a part: upload id, then the number in two bytes, big-endian.
std::string part_sub(std::string_view upload_id, std::uint32_t number);
std::optional<std::uint32_t> part_number_of(std::string_view upload_id, std::string_view sub) noexcept;

// The checksum that an upload's parts get: what was asked for at its creation, or CRC64NVME as AWS does.
ChecksumAlgorithm effective_algorithm(const disk::VersionRecord& upload) noexcept;
// The type of a completed object's checksum. Errors: invalid_argument for a type that the algorithm cannot
// have.
Result<ChecksumType> resolve_checksum_type(ChecksumAlgorithm algorithm, std::optional<ChecksumType> wanted);

// Checks the client's list against the parts that are there (ascending by number), and gives the object's
// record but for its attributes: size, parts, ETag, checksum. Errors: invalid_part_order, invalid_part,
// part_too_small, too_large, bad_digest, invalid_argument.
Result<disk::VersionRecord> assemble(const CompleteSpec& spec, const disk::VersionRecord& upload,
                                     const std::vector<disk::PartRecord>& parts);

}  // namespace ostraka::object
