// Topology: the nodes and drives of a cluster, one document of the control store. The first node that starts
// makes it, and every node compares its own command line with it. Byte format: cluster/FORMAT.md, "Topology".
#pragma once

#include <cstdint>
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

struct Topology {
  struct Slot {
    DriveUrl url;
    DriveId id;
  };
  DeploymentId deployment;
  unsigned data_shards = 1, parity_shards = 0;
  std::int64_t created_ms = 0;  // unix time
  std::vector<Slot> slots;      // given out once and never again

  std::vector<DriveId> ids() const;
  std::vector<NodeName> nodes() const;  // each once, in order of their first slot
};

// With new ids.
Topology make_topology(Random& random, std::int64_t now_ms, const std::vector<DriveUrl>& drives,
                       unsigned data_shards, unsigned parity_shards);
std::string encode_topology(const Topology& topology);
Result<Topology> decode_topology(std::string_view json);  // malformed, unsupported_version

// The first thing that a node was told otherwise, for people; empty: it was told the same.
std::string first_difference(const Topology& topology, const std::vector<DriveUrl>& drives);

}  // namespace ostraka::cluster
