// Keys of the index: byte order is bucket, space, then UTF-8 order of the object key. Byte format:
// disk/FORMAT.md, "Row key".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "disk/drive.h"

namespace ostraka::disk {

inline constexpr std::size_t kRowKeyHead = 9;  // bucket id and space

// bucket (8 bytes, big-endian) | space | key with 00 as 00 FF, ended by 00 01 | sub
std::string row_key(BucketId bucket, KeySpace space, std::string_view key, std::string_view sub);
inline std::string row_key(const ObjectRef& ref) {
  return row_key(ref.bucket, ref.space, ref.key, ref.sub);
}

// The first bytes of every row key whose object key starts with `prefix`.
std::string row_key_prefix(BucketId bucket, KeySpace space, std::string_view prefix);

// The smallest byte string greater than every one that starts with `bytes`; empty when there is none.
std::string after_prefix(std::string_view bytes);

// Where the versions' inline shards lie: the row key and the inverted version id, big-endian.
std::string inline_key(std::string_view row_key, VersionId id);

// Appends the object key in a row key to `key` and gives what follows it (the sub). nullopt: not a row key.
std::optional<std::string_view> split_row_key(std::string_view row_key, std::string& key);

// Of a row key, or of an inline key; kRowKeyHead bytes at least.
BucketId bucket_of(std::string_view row_key) noexcept;
inline KeySpace space_of(std::string_view row_key) noexcept {
  return static_cast<KeySpace>(row_key[8]);
}
// The row key and the version id in an inline key. nullopt: not one.
struct InlineKey {
  std::string_view row_key;
  VersionId id;
};
std::optional<InlineKey> split_inline_key(std::string_view inline_key) noexcept;

// The sub of a part row, and of all parts of an upload up to its number.
std::string part_sub(std::string_view upload_id, std::uint32_t number);

}  // namespace ostraka::disk
