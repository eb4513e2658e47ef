// The additional checksums of S3 in headers and XML: x-amz-checksum-*, x-amz-trailer, Content-MD5. Source: S3
// user guide, "Checking object integrity".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/checksum.h"
#include "disk/version_record.h"
#include "net/service.h"
#include "net/xml_writer.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

struct ChecksumClaim {
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::none;
  std::optional<std::string> value;  // raw, from a header
  bool in_trailer = false;           // the value follows the body
};

std::string_view checksum_header(ChecksumAlgorithm algorithm) noexcept;   // "x-amz-checksum-crc32"
std::string_view checksum_element(ChecksumAlgorithm algorithm) noexcept;  // "ChecksumCRC32"

// What a request with a body claims. Errors: InvalidRequest.
S3Result<ChecksumClaim> read_checksum_claim(const net::Headers& headers);
S3Result<std::optional<std::string>> read_content_md5(const net::Headers& headers);  // raw; InvalidDigest
// x-amz-checksum-algorithm and x-amz-checksum-type, where a request chooses what is to be computed. Errors:
// InvalidRequest.
S3Result<ChecksumAlgorithm> read_wanted_algorithm(const net::Headers& headers);
S3Result<std::optional<ChecksumType>> read_checksum_type(const net::Headers& headers);
// May this algorithm have this type; COMPOSITE needs parts, FULL_OBJECT of parts needs a CRC.
bool fits_multipart(ChecksumAlgorithm algorithm, ChecksumType type) noexcept;

std::string_view to_text(ChecksumType type) noexcept;  // FULL_OBJECT, COMPOSITE
// Base64, with "-parts" when composite; empty when the record has none.
std::string checksum_text(const disk::VersionRecord& record);
void add_checksum_headers(net::Headers& out, const disk::VersionRecord& record);
void write_checksum(net::XmlWriter& xml, const disk::VersionRecord& record);  // the value and ChecksumType
void write_part_checksum(net::XmlWriter& xml, ChecksumAlgorithm algorithm, const disk::PartRecord& part);

// Number of parts a multipart object was completed from; 0 for an object that was put whole.
std::uint32_t parts_count(const disk::VersionRecord& record) noexcept;

}  // namespace ostraka::s3api
