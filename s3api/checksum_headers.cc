#include "s3api/checksum_headers.h"

#include <array>

#include "base/encoding.h"
#include "base/hash.h"

namespace ostraka::s3api {

namespace {

struct Names {
  std::string_view header;
  std::string_view element;
};

// By the number of the algorithm.
constexpr std::array<Names, 11> kNames{{
    {"", ""},
    {"x-amz-checksum-crc32", "ChecksumCRC32"},
    {"x-amz-checksum-crc32c", "ChecksumCRC32C"},
    {"x-amz-checksum-crc64nvme", "ChecksumCRC64NVME"},
    {"x-amz-checksum-sha1", "ChecksumSHA1"},
    {"x-amz-checksum-sha256", "ChecksumSHA256"},
    {"x-amz-checksum-md5", "ChecksumMD5"},
    {"x-amz-checksum-sha512", "ChecksumSHA512"},
    {"x-amz-checksum-xxhash64", "ChecksumXXHASH64"},
    {"x-amz-checksum-xxhash3", "ChecksumXXHASH3"},
    {"x-amz-checksum-xxhash128", "ChecksumXXHASH128"},
}};

constexpr std::string_view kPrefix = "x-amz-checksum-";

// none when the name is not that of a checksum value (x-amz-checksum-type, -mode and -algorithm are not).
ChecksumAlgorithm algorithm_of_header(std::string_view name) noexcept {
  if (name.size() <= kPrefix.size() || !iequals(name.substr(0, kPrefix.size()), kPrefix))
    return ChecksumAlgorithm::none;
  for (std::size_t i = 1; i < kNames.size(); ++i) {
    if (iequals(name, kNames[i].header)) return static_cast<ChecksumAlgorithm>(i);
  }
  return ChecksumAlgorithm::none;
}

S3Result<> take_value(const net::Header& header, ChecksumClaim& claim) {
  const ChecksumAlgorithm algorithm = algorithm_of_header(header.first);
  if (algorithm == ChecksumAlgorithm::none) return {};
  if (claim.algorithm != ChecksumAlgorithm::none) {
    return refuse(error::kInvalidRequest,
                  "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
  }
  claim.algorithm = algorithm;
  claim.value = unbase64(header.second);
  if (!claim.value || claim.value->size() != checksum_size(algorithm)) {
    return refuse(error::kInvalidRequest, "Value for " + to_lower(header.first) + " header is invalid.");
  }
  return {};
}

S3Result<> take_trailer_names(std::string_view names, ChecksumClaim& claim) {
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(','), names.size());
    const std::string_view name = trim(names.substr(0, end));
    names.remove_prefix(std::min(end + 1, names.size()));
    const ChecksumAlgorithm algorithm = algorithm_of_header(name);
    if (algorithm == ChecksumAlgorithm::none) {
      return refuse(error::kInvalidRequest,
                    "The value specified in the x-amz-trailer header is not supported");
    }
    if (claim.algorithm != ChecksumAlgorithm::none) {
      return refuse(error::kInvalidRequest,
                    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
    }
    claim.algorithm = algorithm;
    claim.in_trailer = true;
  }
  return {};
}

}  // namespace

std::string_view checksum_header(ChecksumAlgorithm algorithm) noexcept {
  return kNames[static_cast<std::size_t>(algorithm)].header;
}

std::string_view checksum_element(ChecksumAlgorithm algorithm) noexcept {
  return kNames[static_cast<std::size_t>(algorithm)].element;
}

S3Result<ChecksumClaim> read_checksum_claim(const net::Headers& headers) {
  ChecksumClaim claim;
  for (const net::Header& header : headers.all()) S3_TRY_VOID(take_value(header, claim));
  S3_TRY_VOID(take_trailer_names(headers.get("x-amz-trailer"), claim));
  const std::string* announced = headers.find("x-amz-sdk-checksum-algorithm");
  if (announced == nullptr) return claim;
  const auto algorithm = parse_checksum_algorithm(*announced);
  if (!algorithm || (claim.algorithm != ChecksumAlgorithm::none && *algorithm != claim.algorithm)) {
    return refuse(error::kInvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.");
  }
  // A Content-MD5 satisfies SDKs that were asked for an integrity check of any kind.
  if (claim.algorithm == ChecksumAlgorithm::none && headers.find("content-md5") == nullptr) {
    return refuse(
        error::kInvalidRequest,
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
        "headers were found.");
  }
  return claim;
}

S3Result<std::optional<std::string>> read_content_md5(const net::Headers& headers) {
  const std::string* text = headers.find("content-md5");
  if (text == nullptr) return std::optional<std::string>();
  auto raw = unbase64(*text);
  if (!raw || raw->size() != digest_size(DigestKind::md5)) {
    return refuse(S3Error(error::kInvalidDigest).with("Content-MD5", *text));
  }
  return raw;
}

S3Result<ChecksumAlgorithm> read_wanted_algorithm(const net::Headers& headers) {
  const std::string* text = headers.find("x-amz-checksum-algorithm");
  if (text == nullptr) return ChecksumAlgorithm::none;
  const auto algorithm = parse_checksum_algorithm(*text);
  if (!algorithm || *algorithm == ChecksumAlgorithm::none) {
    return refuse(error::kInvalidRequest,
                  "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
                  "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256, MD5, SHA512, XXHASH64, XXHASH3, XXHASH128]");
  }
  return *algorithm;
}

S3Result<std::optional<ChecksumType>> read_checksum_type(const net::Headers& headers) {
  const std::string* text = headers.find("x-amz-checksum-type");
  if (text == nullptr) return std::optional<ChecksumType>();
  if (iequals(*text, "FULL_OBJECT")) return std::optional(ChecksumType::full_object);
  if (iequals(*text, "COMPOSITE")) return std::optional(ChecksumType::composite);
  return refuse(error::kInvalidRequest, "Value for x-amz-checksum-type header is invalid.");
}

bool fits_multipart(ChecksumAlgorithm algorithm, ChecksumType type) noexcept {
  if (type == ChecksumType::full_object) return is_crc(algorithm);
  return algorithm != ChecksumAlgorithm::crc64nvme;
}

std::string_view to_text(ChecksumType type) noexcept {
  return type == ChecksumType::full_object ? "FULL_OBJECT" : "COMPOSITE";
}

std::string checksum_text(const disk::VersionRecord& record) {
  if (record.checksum_algorithm == ChecksumAlgorithm::none || record.checksum.empty()) return {};
  std::string text = base64(record.checksum);
  if (record.checksum_type == ChecksumType::composite) text += '-' + std::to_string(parts_count(record));
  return text;
}

void add_checksum_headers(net::Headers& out, const disk::VersionRecord& record) {
  std::string text = checksum_text(record);
  if (text.empty()) return;
  out.add(std::string(checksum_header(record.checksum_algorithm)), std::move(text));
  out.add("x-amz-checksum-type", std::string(to_text(record.checksum_type)));
}

void write_checksum(net::XmlWriter& xml, const disk::VersionRecord& record) {
  const std::string text = checksum_text(record);
  if (text.empty()) return;
  xml.element(checksum_element(record.checksum_algorithm), text);
  xml.element("ChecksumType", to_text(record.checksum_type));
}

void write_part_checksum(net::XmlWriter& xml, ChecksumAlgorithm algorithm, const disk::PartRecord& part) {
  if (algorithm == ChecksumAlgorithm::none || part.checksum.empty()) return;
  xml.element(checksum_element(algorithm), base64(part.checksum));
}

std::uint32_t parts_count(const disk::VersionRecord& record) noexcept {
  if (record.upload_id.empty() || record.kind != disk::RecordKind::object) return 0;
  const std::size_t dash = record.etag.rfind('-');  // "<md5 of the md5s>-<parts>"
  if (dash == std::string::npos) return static_cast<std::uint32_t>(record.parts.size());
  const auto parts = parse_u64(std::string_view(record.etag).substr(dash + 1));
  return parts ? static_cast<std::uint32_t>(*parts) : static_cast<std::uint32_t>(record.parts.size());
}

}  // namespace ostraka::s3api
