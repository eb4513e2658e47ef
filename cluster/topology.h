// Topology: the nodes and drives of a cluster, one document of the control store. The first node that starts
// makes it, every node compares its own command line with it, and operators change it (topology_change.h).
// Byte format: cluster/FORMAT.md, "Topology".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "cluster/transport.h"
#include "runtime/random.h"

namespace ostraka::cluster {

inline constexpr std::string_view kTopologyDocument = "cluster/topology";

// A drive as the command line names it: http://node1:9000/data/d1.
struct DriveUrl {
  NodeName node;
  std::uint16_t port = 0;  // of the node, for clients and peers
  std::string folder;      // on the node; absolute
  bool operator==(const DriveUrl&) const = default;
};
std::string to_string(const DriveUrl& url);
// http:// or https://, which mean the same: nodes always talk over TLS. Errors: invalid_argument, for people.
Result<DriveUrl> parse_drive_url(std::string_view text);

enum class SlotState : std::uint8_t {
  in_service,  // it takes its part, also while it is away
  draining,    // it serves what it has, and is to give all of it
  removed,  // the cluster has nothing more to do with it; the slot stays in the list, and is never used again
};
std::string_view to_string(SlotState state) noexcept;

struct Topology {
  struct Slot {
    DriveUrl url;
    DriveId id;
    SlotState state = SlotState::in_service;
    bool added = false;  // to a cluster that was there: a node need not have been told of it
  };
  DeploymentId deployment;
  unsigned data_shards = 1, parity_shards = 0;
  std::int64_t created_ms = 0;  // unix time
  std::vector<Slot> slots;      // given out once and never again

  std::vector<DriveId> ids() const;
  std::vector<NodeName> nodes()
      const;  // each once, in order of their first slot; those of removed slots only are none
  // The slot of that place, removed ones left out: a place may be given to a new slot once its drive is
  // removed.
  std::optional<std::size_t> slot_at(const DriveUrl& url) const;
};

// With new ids.
Topology make_topology(Random& random, std::int64_t now_ms, const std::vector<DriveUrl>& drives,
                       unsigned data_shards, unsigned parity_shards);
std::string encode_topology(const Topology& topology);
Result<Topology> decode_topology(std::string_view json);  // malformed, unsupported_version

// The first thing that a node was told otherwise, for people; empty: it was told the same. Drives that were
// added or removed since the cluster was founded need not be named, and removed ones may be.
std::string first_difference(const Topology& topology, const std::vector<DriveUrl>& drives);

}  // namespace ostraka::cluster
