// links: disk
// Key rows, version records and row keys from a drive. A first byte of 1 mends the row's checksum, so that
// the fields are reached.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/hash.h"
#include "disk/key_state.h"
#include "disk/row_key.h"
#include "disk/version_record.h"

using namespace ostraka;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 0:
    case 1: {
      if (data[0] == 1) {
        const std::uint64_t hash = xxh3_64(as_bytes(input));
        input.append(reinterpret_cast<const char*>(&hash), sizeof hash);
      }
      const auto state = disk::decode_key_row(input);
      if (!state) break;
      const auto again = disk::decode_key_row(disk::encode_key_row(*state));
      if (!again || again->versions.size() != state->versions.size()) std::abort();
      if (again->birth != state->birth || again->refilling != state->refilling) std::abort();
      break;
    }
    case 2: {
      const auto record = disk::decode_version_record(as_bytes(input));
      if (!record) break;
      const std::string encoded = disk::encode(*record);
      const auto again = disk::decode_version_record(as_bytes(encoded));
      if (!again || disk::encode(*again) != encoded) std::abort();
      break;
    }
    default: {
      std::string key;
      const auto sub = disk::split_row_key(input, key);
      if (!sub) break;
      const std::string head = input.substr(0, disk::kRowKeyHead);
      if (head + disk::row_key(BucketId{}, disk::KeySpace::object, key, *sub).substr(disk::kRowKeyHead) !=
          input)
        std::abort();
    }
  }
  return 0;
}
