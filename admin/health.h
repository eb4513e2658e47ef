// What the state of the drives means for the store: can it read, can it write, how much more may be lost.
// Pure functions, no I/O.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "disk/drive.h"
#include "erasure/codec.h"

namespace ostraka::admin {

// How the drives form erasure sets. Every entry of a set is an index into the list of drives.
struct Layout {
  erasure::Geometry geometry;
  std::vector<std::vector<std::uint16_t>>
      sets;  // distinct sets of geometry.drives() drives; the order within one does not matter
};

enum class Health : std::uint8_t {
  ok,           // every drive is there and takes writes, and nothing waits to be healed
  degraded,     // drives are missing or full, or keys wait; everything can be read, and written to the others
  read_only,    // some set is below its write quorum, or the node may not write; everything can be read
  unavailable,  // some set can not even be read
};
std::string_view to_string(Health health) noexcept;

// At its reserve, or within a MiB of it: hardly anything more is written to it.
bool is_full(const disk::DriveInfo& drive) noexcept;

// What writes need of a cluster besides drives.
struct ClusterState {
  std::size_t nodes = 1, nodes_reached = 1;  // more than half of them hold a key's commit lease
  bool may_write = true;  // this node knows all changes of the control store that others rely on
};

struct Assessment {
  Health health = Health::ok;
  unsigned online = 0;       // drives
  unsigned write_spare = 0;  // more drives that any set may lose before writes stop
  unsigned read_spare = 0;   // before reads stop
  std::string sentence;      // for people
};

// drives: in the order that layout.sets refers to.
Assessment assess(const Layout& layout, std::span<const disk::DriveInfo> drives,
                  const ClusterState& cluster = {});
// Before the node serves at all: it waits until `needed` drives answer.
Assessment assess_start(std::size_t needed, std::span<const disk::DriveInfo> drives);

}  // namespace ostraka::admin
