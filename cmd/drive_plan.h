// Which folder is which drive: from what lies in the folders at the start to the seats of the deployment.
// Pure logic, no I/O.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/topology.h"
#include "disk/drive_format.h"
#include "erasure/codec.h"

namespace ostraka::cmd {

// A folder as it was found.
struct FoundFolder {
  std::string path;
  bool exists = false;
  Result<std::optional<disk::DriveFormat>> format;  // of disk::inspect_drive
};

// One drive of the deployment and the folder that is, or should be, its own.
struct Seat {
  std::string folder;        // a URL for a drive of another node
  bool elsewhere = false;    // on another node
  bool usable = false;       // the folder held this drive
  bool awaited = false;      // it does not, and holds nothing else: the drive may still be mounted there
  std::string problem = {};  // else: why it is left out, for people
};

struct DrivePlan {
  bool fresh = false;        // every folder is empty: format them together
  disk::DriveFormat format;  // of slot 0; not set when fresh
  std::vector<Seat> seats;   // by slot
  std::vector<std::string>
      notices;  // for people: what is odd but harmless, such as folders that changed places
};

// Errors, for people: invalid_argument (another number of folders than the deployment has drives, another
// geometry than wanted), wrong_drive (nothing agrees on a deployment, or some folders are empty and the
// others unusable: nothing is formatted then).
Result<DrivePlan> plan_drives(const std::vector<FoundFolder>& folders,
                              std::optional<erasure::Geometry> wanted);

// The seats of a cluster, of which `self` has some. folders: its own, in the order of their slots. new_slots:
// the slots whose folders are empty and that were never in service; they are to be formatted. Errors, for
// people: wrong_drive (two of the folders hold the same drive).
struct NodePlan {
  DrivePlan drives;
  std::vector<std::size_t> new_slots;
};
Result<NodePlan> plan_node_drives(const cluster::Topology& topology, const cluster::NodeName& self,
                                  const std::vector<FoundFolder>& folders, const std::vector<bool>& seen);

// The geometry of a new deployment when none is wanted: up to 16 drives form one set, with the default
// parity.
erasure::Geometry default_geometry(std::size_t drives);

}  // namespace ostraka::cmd
