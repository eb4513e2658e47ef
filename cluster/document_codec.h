// The bytes of one control document on a drive. Byte format: cluster/FORMAT.md, "Control document".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ostraka::cluster {

struct StoredDocument {
  std::uint64_t revision = 0;
  bool erased = false;
  std::string content;
  bool operator==(const StoredDocument&) const = default;
};

// `name` is not stored in the value, but its checksum covers it: a value under another name is corrupt.
std::string encode_document(std::string_view name, const StoredDocument& document);
Result<StoredDocument> decode_document(std::string_view name,
                                       std::string_view bytes);  // corrupt, unsupported_version

}  // namespace ostraka::cluster
