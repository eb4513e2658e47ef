// links: cluster
// Reads a placement table; what is accepted must be complete, and come back as it is.
#include "base/check.h"
#include "cluster/placement.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ostraka::cluster::Placement;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto placement = Placement::from_json(ostraka::DeploymentId{}, text);
  if (!placement) return 0;
  for (unsigned g = 0; g < ostraka::kPlacementGroups; ++g) {
    const auto& group = placement->group(static_cast<std::uint16_t>(g));
    CHECK(group.epoch > 0 && group.drives.size() == placement->set_drives());
  }
  const std::string json = placement->to_json();
  const auto again = Placement::from_json(ostraka::DeploymentId{}, json);
  CHECK(again.has_value() && again->to_json() == json);
  return 0;
}
