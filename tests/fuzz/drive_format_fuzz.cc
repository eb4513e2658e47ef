// links: disk
// format.json of a drive folder.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "disk/drive_format.h"

using namespace ostraka;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto format = disk::decode_drive_format(text, "/drive");
  if (!format) return 0;
  const auto again = disk::decode_drive_format(disk::encode_drive_format(*format), "/drive");
  if (!again || again->drive() != format->drive()) std::abort();
  return 0;
}
