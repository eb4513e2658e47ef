#include "cluster/etcd_document.h"

#include "base/encoding.h"
#include "cluster/limits.h"

namespace ostraka::cluster {

namespace {

constexpr std::string_view kVersion = "1 ";
constexpr std::size_t kMarkDigits = 16;
constexpr std::size_t kHeadBytes = kVersion.size() + kMarkDigits + 1;  // and the end of line

}  // namespace

std::string encode_etcd_document(std::string_view mark, std::string_view content) {
  std::string out;
  out.reserve(kHeadBytes + content.size());
  return out.append(kVersion).append(mark).append("\n").append(content);
}

Result<EtcdDocument> decode_etcd_document(std::string_view name, std::string_view value) {
  const std::string where = "control document " + std::string(name) + " in etcd: ";
  const auto blank = value.find(' ');
  const auto version = parse_u64(value.substr(0, std::min(blank, value.size())));
  if (name.empty() || name.size() > kMaxDocumentNameBytes)
    return fail(Errc::malformed, where + "no name for one");
  if (blank == std::string_view::npos || !version || *version == 0)
    return fail(Errc::malformed, where + "not a document");
  if (*version != 1)
    return fail(Errc::unsupported_version,
                where + "version " + std::to_string(*version) + " is not known here");
  if (value.size() < kHeadBytes || value.substr(0, kVersion.size()) != kVersion ||
      value[kHeadBytes - 1] != '\n')
    return fail(Errc::malformed, where + "not a document");
  if (value.size() - kHeadBytes > kMaxDocumentBytes) return fail(Errc::too_large, where + "too large");
  const std::string_view mark = value.substr(kVersion.size(), kMarkDigits);
  if (!unhex(mark)) return fail(Errc::malformed, where + "no mark");
  return EtcdDocument{std::string(mark), std::string(value.substr(kHeadBytes))};
}

}  // namespace ostraka::cluster
