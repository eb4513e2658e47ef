// links: disk
// What smartctl prints about a device.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "disk/smart.h"

using namespace ostraka;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto report = disk::parse_smart(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!report) return 0;
  if (report->model.size() > 64 || report->serial.size() > 64) std::abort();
  for (const std::string* text : {&report->model, &report->serial})
    for (const char c : *text)
      if (c < ' ' || c > '~') std::abort();
  return 0;
}
