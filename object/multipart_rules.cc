#include "object/multipart_rules.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "base/hash.h"
#include "object/limits.h"

namespace ostraka::object {

namespace {

using disk::PartRecord;
using disk::VersionRecord;

std::string named(const PartRecord& part) {
  return "part " + std::to_string(part.number);
}

// The parts that the client names, in its order.
Result<std::vector<PartRecord>> choose(const CompleteSpec& spec, ChecksumAlgorithm algorithm,
                                       const std::vector<PartRecord>& parts) {
  std::vector<PartRecord> chosen;
  chosen.reserve(spec.parts.size());
  for (const CompletePart& wanted : spec.parts) {
    if (!chosen.empty() && wanted.number <= chosen.back().number) return fail(Errc::invalid_part_order);
    const auto found =
        std::lower_bound(parts.begin(), parts.end(), wanted.number,
                         [](const PartRecord& part, std::uint32_t number) { return part.number < number; });
    if (found == parts.end() || found->number != wanted.number || hex(found->md5) != to_lower(wanted.etag))
      return fail(Errc::invalid_part, "part " + std::to_string(wanted.number));
    // A checksum of another algorithm than the upload's was verified when the part came, and is not kept.
    if (wanted.checksum && wanted.algorithm == algorithm && *wanted.checksum != found->checksum)
      return fail(Errc::invalid_part, named(*found) + ": checksum");
    chosen.push_back(*found);
  }
  for (std::size_t i = 0; i + 1 < chosen.size(); ++i) {
    if (chosen[i].size < kMinPartBytes) return fail(Errc::part_too_small, named(chosen[i]));
  }
  return chosen;
}

std::string whole_checksum(ChecksumAlgorithm algorithm, ChecksumType type,
                           const std::vector<PartRecord>& parts) {
  if (type == ChecksumType::full_object) {
    std::string crc = parts.front().checksum;
    for (std::size_t i = 1; i < parts.size(); ++i)
      crc = combine_crc(algorithm, crc, parts[i].checksum, parts[i].size);
    return crc;
  }
  const auto sum = make_checksum(algorithm);
  for (const PartRecord& part : parts) sum->update(as_bytes(part.checksum));
  return sum->finish();
}

}  // namespace

std::string make_upload_id(VersionId id, Random& random) {
  std::array<std::uint8_t, 8> chance;
  random.fill(chance);
  return to_string(id) + hex(ByteSpan(chance));
}

bool is_upload_id(std::string_view text) noexcept {
  return text.size() == kUploadIdBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string part_sub(std::string_view upload_id, std::uint32_t number) {
  std::string sub(upload_id);
  sub.push_back(static_cast<char>(number >> 8 & 0xff));
  sub.push_back(static_cast<char>(number & 0xff));
  return sub;
}

std::optional<std::uint32_t> part_number_of(std::string_view upload_id, std::string_view sub) noexcept {
  if (sub.size() != upload_id.size() + 2 || sub.substr(0, upload_id.size()) != upload_id) return std::nullopt;
  const auto high = static_cast<std::uint8_t>(sub[upload_id.size()]);
  const auto low = static_cast<std::uint8_t>(sub[upload_id.size() + 1]);
  return std::uint32_t{high} << 8 | low;
}

ChecksumAlgorithm effective_algorithm(const VersionRecord& upload) noexcept {
  return upload.checksum_algorithm == ChecksumAlgorithm::none ? ChecksumAlgorithm::crc64nvme
                                                              : upload.checksum_algorithm;
}

Result<ChecksumType> resolve_checksum_type(ChecksumAlgorithm algorithm, std::optional<ChecksumType> wanted) {
  const bool full_only = algorithm == ChecksumAlgorithm::none || algorithm == ChecksumAlgorithm::crc64nvme;
  if (!wanted) return full_only ? ChecksumType::full_object : ChecksumType::composite;
  const bool fits = *wanted == ChecksumType::full_object ? full_only || is_crc(algorithm) : !full_only;
  if (!fits) {
    return fail(Errc::invalid_argument,
                std::string("the checksum type does not fit the algorithm ").append(to_string(algorithm)));
  }
  return *wanted;
}

Result<VersionRecord> assemble(const CompleteSpec& spec, const VersionRecord& upload,
                               const std::vector<PartRecord>& parts) {
  if (spec.parts.empty() || spec.parts.size() > kMaxParts)
    return fail(Errc::invalid_argument, "number of parts");
  const ChecksumAlgorithm algorithm = effective_algorithm(upload);
  TRY(chosen, choose(spec, algorithm, parts));
  VersionRecord record;
  record.kind = disk::RecordKind::object;
  std::string md5s;
  for (const PartRecord& part : chosen) {
    record.size += part.size;
    md5s += part.md5;
  }
  if (record.size > kMaxObjectBytes) return fail(Errc::too_large, "the object is too large");
  if (spec.object_size && *spec.object_size != record.size)
    return fail(Errc::invalid_argument, "the parts are not as large as x-amz-mp-object-size says");
  if (spec.checksum_type && *spec.checksum_type != upload.checksum_type)
    return fail(Errc::invalid_argument, "the checksum type is not the upload's");
  record.etag = hex(digest(DigestKind::md5, md5s)) + "-" + std::to_string(chosen.size());
  record.checksum_algorithm = algorithm;
  record.checksum_type = upload.checksum_type;
  record.checksum = whole_checksum(algorithm, upload.checksum_type, chosen);
  if (spec.checksum && *spec.checksum != record.checksum)
    return fail(Errc::bad_digest, "the object's checksum");
  record.parts = std::move(chosen);
  return record;
}

}  // namespace ostraka::object
