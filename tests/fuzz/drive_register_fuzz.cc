// links: cluster
// Reads a drive register; what is accepted must come back as it is.
#include "base/check.h"
#include "cluster/drive_register.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto drives = ostraka::cluster::decode_drive_register(text);
  if (!drives) return 0;
  const std::string json = ostraka::cluster::encode_drive_register(*drives);
  const auto again = ostraka::cluster::decode_drive_register(json);
  CHECK(again.has_value() && *again == *drives);
  return 0;
}
