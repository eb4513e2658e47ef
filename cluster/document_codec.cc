#include "cluster/document_codec.h"

#include "base/hash.h"

namespace ostraka::cluster {

namespace {

constexpr char kFormatVersion = 1;
constexpr char kErasedFlag = 1;
constexpr std::size_t kHeaderBytes = 2 + 8;
constexpr std::size_t kChecksumBytes = 8;

void append_u64(std::string& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

std::uint64_t load_u64(std::string_view bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  return value;
}

std::uint64_t checksum(std::string_view name, std::string_view value) {
  std::string covered;
  covered.reserve(8 + name.size() + value.size());
  append_u64(covered, name.size());
  covered.append(name).append(value);
  return xxh3_64(as_bytes(covered));
}

}  // namespace

std::string encode_document(std::string_view name, const StoredDocument& document) {
  std::string out;
  out.reserve(kHeaderBytes + document.content.size() + kChecksumBytes);
  out.push_back(kFormatVersion);
  out.push_back(document.erased ? kErasedFlag : char{0});
  append_u64(out, document.revision);
  out.append(document.content);
  append_u64(out, checksum(name, out));
  return out;
}

Result<StoredDocument> decode_document(std::string_view name, std::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kChecksumBytes) return fail(Errc::corrupt, "control document: too short");
  // The version stands outside of the checksum's meaning: a newer format may end in another checksum.
  if (bytes[0] > kFormatVersion || bytes[0] < 0)
    return fail(Errc::unsupported_version, "control document: written by a newer release");
  const std::string_view covered = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (bytes[0] != kFormatVersion || checksum(name, covered) != load_u64(bytes.substr(covered.size())))
    return fail(Errc::corrupt, "control document: checksum does not match");
  if ((bytes[1] & ~kErasedFlag) != 0) return fail(Errc::corrupt, "control document: unknown flags");
  StoredDocument document;
  document.erased = (bytes[1] & kErasedFlag) != 0;
  document.revision = load_u64(bytes.substr(2));
  document.content = covered.substr(kHeaderBytes);
  if (document.revision == 0 || (document.erased && !document.content.empty()))
    return fail(Errc::corrupt, "control document: impossible values");
  return document;
}

}  // namespace ostraka::cluster
