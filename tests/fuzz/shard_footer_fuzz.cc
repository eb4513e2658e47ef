// links: disk
// The end of a shard file. A first byte of 1 makes trailer and checksum fit, so that the fields of the footer
// are reached.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/hash.h"
#include "disk/shard_file.h"

using namespace ostraka;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 9) return 0;
  std::uint64_t file_bytes = 0;
  std::memcpy(&file_bytes, data + 1, sizeof file_bytes);
  std::string tail(reinterpret_cast<const char*>(data) + 9, size - 9);
  if (data[0] == 1) {
    const std::uint64_t footer_bytes = tail.size();
    tail.append(reinterpret_cast<const char*>(&footer_bytes), sizeof footer_bytes);
    tail.append("OSTTRAIL");
    const Hash128 hash = xxh3_128(as_bytes(tail));
    tail.append(reinterpret_cast<const char*>(&hash.low), sizeof hash.low);
    tail.append(reinterpret_cast<const char*>(&hash.high), sizeof hash.high);
  }
  const auto footer = disk::decode_shard_tail(as_bytes(tail), file_bytes);
  if (!footer) return 0;
  if (footer->data_bytes() + disk::shard_tail_bytes(footer->blocks.size()) != file_bytes) std::abort();
  disk::ShardRef ref;
  ref.data = footer->data;
  if (disk::check_shard(*footer, ref) && footer->blocks.size() > 0) std::abort();
  return 0;
}
