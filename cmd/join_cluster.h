// Joining a cluster: what a node has to know before it opens its drives: the topology that all nodes agree
// on, and which of its drives were in service before.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/placement.h"
#include "cluster/topology.h"
#include "cmd/config.h"
#include "net/http_client.h"
#include "runtime/ctx.h"
#include "runtime/fs.h"
#include "runtime/random.h"

namespace ostraka::cmd {

struct Membership {
  cluster::Topology topology;
  std::vector<bool> seen;  // by slot: it was in service once, so its folder must not be taken for a new one
  std::optional<cluster::Placement> table;  // none: not made yet
};

struct JoinDeps {
  Clock& clock;
  Random& random;
  Fs& fs;
  const ServerConfig& config;  // of a cluster
  cluster::NodeName self;
  net::HttpDial dial = {};  // how etcd is reached; empty: over the network
};

// Reads the topology from etcd, or makes it when this is the first node that starts. Asks etcd once, so call
// it again after unavailable and in_doubt. Other errors, for people: invalid_argument (the command line is
// not what the other nodes were told; the store in etcd is that of one node), wrong_drive (the drives of this
// node are not those of the cluster in etcd), and those of etcd_config(), EtcdControlStore::load() and of the
// documents.
Task<Result<Membership>> join_cluster(Ctx& ctx, JoinDeps deps);

// The folders of this node's drives, by slot. Those that were removed are none. One that was added and
// neither named here nor in service before is left alone, which is logged: nobody said that it may be
// formatted.
std::vector<std::string> own_folders(const Membership& cluster, const cluster::NodeName& self,
                                     const std::vector<cluster::DriveUrl>& told);

}  // namespace ostraka::cmd
