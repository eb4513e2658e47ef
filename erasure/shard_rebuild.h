// Rebuilding the shard files of one part, stripe by stripe: k good blocks are read, wherever they are, the
// missing ones computed, and files staged with them. At most two slabs at a time, and never at the cost of
// clients who wait for one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "disk/drive.h"
#include "erasure/codec.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

// One drive as a source of the part's blocks.
struct RebuildSource {
  std::shared_ptr<disk::ShardReader> reader;  // null: nothing can be read there,
  bool unopened = false;  // or nobody has looked yet: the file is opened when it is needed
  bool certain = false;   // without a reader: the drive has said that there is no good shard
};

struct RebuildSpec {
  Geometry geometry;
  disk::PartRecord part;
  std::vector<RebuildSource> sources;  // by slot
  std::vector<std::uint8_t> targets;   // slots
};

struct Rebuilt {
  std::vector<std::uint8_t> staged;  // targets that have a durable file now, which no record names yet
  // corrupt: fewer than k good blocks of a stripe are left, and all drives have answered. unavailable: fewer
  // than k could be had now. overloaded, deadline: not now.
  Result<> status;
  std::uint64_t bytes_read = 0, bytes_written = 0;
  bool damage_found = false;          // a file that was to be opened is not there, or not whole
  std::vector<std::uint8_t> corrupt;  // slots, no targets, of which a block that was read is
};

Task<Rebuilt> rebuild_part(CorePtr core, const Ctx& ctx, RebuildSpec spec);

}  // namespace ostraka::erasure
