#include "base/placement_group.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/hash.h"
#include "base/limits.h"

namespace ostraka {

std::uint16_t placement_group(const DeploymentId& deployment, BucketId bucket,
                              std::string_view key) noexcept {
  std::array<char, 8 + kMaxKeyBytes> message;
  const auto id = static_cast<std::uint64_t>(bucket);
  for (std::size_t i = 0; i < 8; ++i)
    message[i] = static_cast<char>(static_cast<std::uint8_t>(id >> (56 - 8 * i)));
  // Longer keys than kMaxKeyBytes never reach the object layer; hashing their beginning keeps this total.
  const std::size_t bytes = std::min(key.size(), kMaxKeyBytes);
  if (bytes > 0) std::memcpy(message.data() + 8, key.data(), bytes);
  const std::string_view text(message.data(), 8 + bytes);
  return static_cast<std::uint16_t>(siphash24(deployment.bytes, text) % kPlacementGroups);
}

}  // namespace ostraka
