// Values of the inline column: a shard and what proves that it is the right one. Byte format: disk/FORMAT.md,
// "Inline value".
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "disk/meta_index.h"

namespace ostraka::disk {

void put_inline(IndexBatch& batch, std::string_view key, VersionId id, ByteSpan shard);
// Cuts `value` down to the shard. corrupt, also when it belongs to another version.
Result<> check_inline(std::string& value, VersionId id);

}  // namespace ostraka::disk
