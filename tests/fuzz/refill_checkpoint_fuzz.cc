// links: object
// Reads the checkpoint of a refill; what is accepted must come back the same.
#include "base/check.h"
#include "object/refill_checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto checkpoint = ostraka::object::decode_refill_checkpoint(text)) {
    const auto again = ostraka::object::decode_refill_checkpoint(ostraka::object::encode(*checkpoint));
    CHECK(again.has_value() && *again == *checkpoint);
  }
  return 0;
}
