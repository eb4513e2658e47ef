// links: base disk erasure
// Heal queue entries as drives give them back: decoding never crashes, and what decodes encodes to the same
// bytes.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/hash.h"
#include "erasure/heal_queue.h"

using ostraka::as_bytes;
using ostraka::ByteSpan;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteSpan bytes(data, size);
  const auto check = [](ByteSpan entry) {
    const auto decoded = ostraka::erasure::decode_heal_entry(entry);
    if (!decoded) return;
    CHECK(ostraka::erasure::encode(*decoded) == ostraka::as_text(entry));
    CHECK(!ostraka::erasure::heal_entry_name(*decoded).empty());
  };
  check(bytes);
  // the same with a checksum that holds, so that the fields are reached
  std::string sealed(ostraka::as_text(bytes));
  const std::uint64_t sum = ostraka::xxh3_64(bytes);
  sealed.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  check(as_bytes(sealed));
  return 0;
}
