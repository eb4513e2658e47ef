// This node's side of calls between nodes: its certificates, and what answers peers on the S3 port. Read
// docs/cluster.md.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/metrics.h"
#include "cluster/http_transport.h"
#include "cluster/peer_server.h"
#include "cluster/topology.h"
#include "cmd/config.h"
#include "net/http_server.h"
#include "net/peer_tls.h"
#include "runtime/shard.h"

namespace ostraka::cmd {

struct PeerSide {
  std::shared_ptr<net::PeerTls> tls;  // this node's name is tls->self().node
  std::unique_ptr<cluster::PeerServer> server;
  std::unique_ptr<cluster::HttpTransport> transport;

  net::PeerPort port() const {
    net::PeerPort out;
    out.tls = tls;
    out.service = server.get();
    return out;
  }
};

// What the bodies of peers' calls may take, a shard: a quarter of memory.buffers, all shards together, but at
// least two of the largest bodies.
std::size_t peer_bytes_per_shard(const ServerConfig& config, unsigned threads);

// tls: of config.cluster_certs_dir. shards: those that serve; calls are made on them and on `main`. Close the
// transport before it goes.
PeerSide make_peer_side(Random& random, MetricRegistry& metrics, const ServerConfig& config,
                        std::shared_ptr<net::PeerTls> tls, const std::vector<Shard*>& shards, Shard& main);

// Where the nodes of the topology are, but for those that were removed.
std::map<cluster::NodeName, net::HostPort> addresses_of(const cluster::Topology& topology);

}  // namespace ostraka::cmd
