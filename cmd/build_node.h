// build_node(): every object of a running node, each given its collaborators in its constructor. main() calls
// it with the kernel's clock, randomness and files; a simulator calls it with its own.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/admin_peers.h"
#include "admin/admin_service.h"
#include "base/metrics.h"
#include "cluster/remote_drive.h"
#include "cluster/topology.h"
#include "cluster/transport.h"
#include "cmd/config.h"
#include "control/control_store.h"
#include "disk/drive.h"
#include "disk/local_drive.h"
#include "net/http_client.h"
#include "net/service.h"
#include "runtime/clock.h"
#include "runtime/ctx.h"
#include "runtime/fs.h"
#include "runtime/random.h"
#include "runtime/shard.h"

namespace ostraka::cmd {

inline constexpr std::string_view kPlacementDocument = "cluster/placement";
inline constexpr std::string_view kDriveCalls = "drive.";
inline constexpr std::string_view kLockCalls = "lock.";
inline constexpr std::string_view kControlCalls = "control.";
inline constexpr std::array<std::string_view, 4> kPeerCalls{
    kDriveCalls, kLockCalls, kControlCalls, admin::kAdminCalls};  // that a node of a cluster serves

// The drives of the deployment, by slot; those that are away too.
struct NodeDrives {
  DeploymentId deployment;
  erasure::Geometry geometry;
  std::vector<DriveId> ids;
  std::vector<cluster::NodeName> nodes;     // that they are on; empty names: there is only one
  std::vector<std::string> paths;           // folders, or URLs of drives of a cluster
  std::vector<std::uint64_t> file_systems;  // drives with the same number share one; 0: not known
  std::vector<bool> awaited;  // not there, with nothing else amiss: it serves as soon as it is mounted
  std::vector<std::unique_ptr<disk::Drive>> drives;
  std::vector<disk::LocalDrive*> local;       // the same drives; null: on another node
  std::vector<cluster::RemoteDrive*> remote;  // the same drives; null: on this one
  std::vector<bool> removed = {};             // the cluster has nothing to do with it any more; empty: none
};

// What a node of a cluster needs beyond its drives. All of it outlives the node.
struct Peers {
  cluster::NodeName self;
  std::string address;  // where the others reach it; for people
  cluster::Transport& transport;
  // Calls of peers with that prefix go to the service; null: there is none yet, or any more.
  std::function<void(const std::string& prefix, cluster::PeerService* service)> serve;
  // Drives of slots that are added while the node runs, and where its nodes are then. Thread safe; empty: the
  // node goes on with the drives that it began with.
  std::function<std::unique_ptr<cluster::RemoteDrive>(cluster::RemoteDriveSpec spec)> remote = {};
  std::function<void(const cluster::Topology& now)> meet = {};
  std::string boot = {};  // of the kernel, until the machine is booted again; empty: not known
};

// All but `drives` outlives the node.
struct Deps {
  Clock& clock;
  Random& random;
  Fs& fs;
  MetricRegistry& metrics;
  std::vector<Shard*> shards = {};  // that serve: the node's own work uses their buffers; none: the one that
                                    // build_node() runs on
  std::optional<Peers> peers = {};  // none: this is the only node
  net::HttpDial dial = {};          // how etcd is reached; empty: over the network
};

// Owns what serves. Close it before it is destroyed, while the shards still run; destroy it before they go.
class Node {
 public:
  virtual ~Node() = default;
  // Loads the control store, whose work runs on ctx.shard from then on, makes the placement table at the
  // first start, and serves S3 from then on; until then its services answer that the node is starting.
  // Errors, for people: unavailable (too few drives answer, or etcd does not; call it again),
  // unsupported_version, corrupt.
  virtual Task<Result<>> load(Ctx& ctx) = 0;
  virtual std::size_t drives_to_load() const noexcept = 0;  // that must answer
  virtual net::Service& s3() noexcept = 0;                  // for the S3 address: S3 and the probes
  virtual admin::AdminService& console() noexcept = 0;      // for the console address
  virtual control::ControlStore& control_store() noexcept = 0;
  // Waits for what runs in the background. No request may be under way.
  virtual Task<> close() = 0;
};

// config outlives the node. Errors, for people: invalid_argument (a setting does not fit the geometry).
Result<std::unique_ptr<Node>> make_node(Deps deps, NodeDrives drives, const ServerConfig& config);

// Made and loaded. The errors of both.
Task<Result<std::unique_ptr<Node>>> build_node(Ctx& ctx, Deps deps, NodeDrives drives,
                                               const ServerConfig& config);

// What a shard's buffers must hold for one stripe of any storage class of the geometry, parity included.
std::size_t slab_bytes(const erasure::Geometry& standard, const erasure::Geometry& reduced);

}  // namespace ostraka::cmd
