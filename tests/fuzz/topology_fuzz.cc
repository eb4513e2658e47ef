// links: cluster
// Reads a topology; what is accepted must come back as it is.
#include "base/check.h"
#include "cluster/topology.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto topology = ostraka::cluster::decode_topology(text);
  if (!topology) return 0;
  const std::string json = encode_topology(*topology);
  const auto again = ostraka::cluster::decode_topology(json);
  CHECK(again.has_value() && encode_topology(*again) == json);
  std::vector<ostraka::cluster::DriveUrl> drives;
  for (const auto& slot : topology->slots) {
    const auto url = ostraka::cluster::parse_drive_url(to_string(slot.url));
    CHECK(url.has_value());
    drives.push_back(*url);
  }
  CHECK(first_difference(*topology, drives).empty());
  return 0;
}
