// From the folders of the configuration to drives: inspected and opened in parallel, formatted only when
// nothing was ever stored in any of them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "cluster/placement.h"
#include "cluster/remote_drive.h"
#include "cluster/topology.h"
#include "cmd/build_node.h"
#include "disk/meta_index.h"
#include "erasure/codec.h"
#include "runtime/clock.h"
#include "runtime/fs.h"
#include "runtime/random.h"
#include "runtime/workers.h"

namespace ostraka::cmd {

struct DriveOpening {
  Clock& clock;
  Random& random;
  Fs& fs;
  disk::MetaIndexFactory& indexes;
  WorkersFactory& workers;
  MetricRegistry& metrics;
  std::vector<std::string> folders;
  std::optional<erasure::Geometry> wanted;
  bool may_format = true;  // false: empty folders are an error
};

// Blocks. A drive that is left out comes with the others, offline; why is logged, and it returns by itself
// once the cause is gone. Errors, for people: those of plan_drives(), invalid_argument (too few folders for
// the geometry), and of formatting.
Result<NodeDrives> open_drives(DriveOpening opening);

// The drives of a cluster: those of this node opened, or formatted when they are new; the others by `remote`,
// one of each slot, also of slots that are removed or left out here. opening.folders: own_folders(); `wanted`
// says nothing here.
// Blocks. Errors, for people: those of plan_node_drives() and of formatting.
struct ClusterOpening {
  const cluster::Topology& topology;
  const cluster::NodeName& self;
  const std::vector<bool>& seen;  // of join_cluster()
  std::function<std::unique_ptr<cluster::RemoteDrive>(cluster::RemoteDriveSpec spec)> remote;
  // As it is; null: not made yet. A drive that is formatted now has only the groups that it says.
  const cluster::Placement* table = nullptr;
};
Result<NodeDrives> open_cluster_drives(DriveOpening opening, ClusterOpening cluster);

}  // namespace ostraka::cmd
