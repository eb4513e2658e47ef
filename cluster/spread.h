// How much of the data each drive should carry: in proportion to its size, while no node has more shards of a
// group than it may. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"

namespace ostraka::cluster {

// A drive that shards are placed on.
struct PlacementDrive {
  DriveId id;
  std::string node = {};    // those of one name fail together; empty: all of one node
  std::uint64_t bytes = 0;  // its size; 0: not known, taken for that of the others in the middle
};

struct Spread {
  std::vector<double> shares;     // by drive: in how many of all groups it should be, 0 to 1; sum: set_drives
  std::vector<unsigned> node_of;  // by drive: an index into what follows
  std::vector<double> node_shares;  // shards of a group on the node, in the mean
  unsigned node_cap = 1;            // shards of one group that a node may have
};

// The cap is the least that leaves the shares within kSpreadTolerance of the drives' sizes, or as near as
// they get with one of max(parity, least possible): losing a node then costs at most `parity` shards wherever
// the topology allows it, and fewer where that costs nothing. drives: at least set_drives of them, which is
// at least 1.
Spread spread_over(const std::vector<PlacementDrive>& drives, unsigned set_drives, unsigned parity);

}  // namespace ostraka::cluster
