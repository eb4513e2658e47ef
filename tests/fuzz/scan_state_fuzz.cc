// links: object
// Reads the scanner's system records; what is accepted must come back the same.
#include "base/check.h"
#include "object/scan_state.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto state = ostraka::object::decode_scan_state(text)) {
    const auto again = ostraka::object::decode_scan_state(ostraka::object::encode(*state));
    CHECK(again.has_value() && *again == *state);
  }
  if (const auto verified = ostraka::object::decode_verified_state(text)) {
    const auto again = ostraka::object::decode_verified_state(ostraka::object::encode(*verified));
    CHECK(again.has_value() && *again == *verified);
  }
  return 0;
}
