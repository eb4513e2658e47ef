// Which placement group a key is in. The same for ever: objects must be found again by later releases.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>

#include "base/ids.h"
#include "base/limits.h"

namespace ostraka {

using GroupBits = std::bitset<kPlacementGroups>;  // a set of placement groups

// SipHash-2-4 keyed by the deployment id, of the bucket id (8 bytes, big-endian) and the key, modulo
// kPlacementGroups.
std::uint16_t placement_group(const DeploymentId& deployment, BucketId bucket, std::string_view key) noexcept;

}  // namespace ostraka
