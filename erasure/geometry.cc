#include <fmt/format.h>

#include <algorithm>

#include "base/limits.h"
#include "erasure/codec.h"

namespace ostraka::erasure {

unsigned Geometry::write_quorum() const noexcept {
  return std::max(unsigned{data_shards}, drives() / 2 + 1);
}

Result<Geometry> make_geometry(unsigned data_shards, unsigned parity_shards) {
  if (data_shards < 1 || data_shards > kMaxDataShards)
    return fail(Errc::invalid_argument,
                fmt::format("{} data shards: must be 1 to {}", data_shards, kMaxDataShards));
  if (parity_shards > kMaxParityShards)
    return fail(Errc::invalid_argument,
                fmt::format("{} parity shards: must be at most {}", parity_shards, kMaxParityShards));
  if (parity_shards > data_shards)
    return fail(Errc::invalid_argument,
                fmt::format("{}+{}: more parity than data", data_shards, parity_shards));
  return Geometry{static_cast<std::uint8_t>(data_shards), static_cast<std::uint8_t>(parity_shards)};
}

unsigned default_parity(unsigned drives) noexcept {
  if (drives < 2) return 0;
  if (drives < 4) return 1;
  return drives < 8 ? 2 : 4;
}

}  // namespace ostraka::erasure
