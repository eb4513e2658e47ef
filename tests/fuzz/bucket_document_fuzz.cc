// links: object
// Reads a bucket document; what is accepted must come back the same.
#include "base/check.h"
#include "object/bucket_store.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto info = ostraka::object::decode_bucket("photos", text);
  if (!info) return 0;
  const auto deleting = ostraka::object::decode_deletion(text);
  if (!deleting) return 0;
  const std::string encoded = ostraka::object::encode_bucket(*info, *deleting);
  const auto again = ostraka::object::decode_bucket("photos", encoded);
  CHECK(again.has_value() && again->id == info->id && again->created_ms == info->created_ms);
  CHECK(*ostraka::object::decode_deletion(encoded) == *deleting);
  return 0;
}
