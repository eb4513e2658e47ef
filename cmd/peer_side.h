// This node's side of calls between nodes: its certificates, and what answers peers on the S3 port. Read
// docs/cluster.md.
#pragma once

#include <memory>
#include <vector>

#include "base/metrics.h"
#include "cluster/peer_server.h"
#include "cmd/config.h"
#include "net/http_server.h"
#include "net/peer_tls.h"
#include "runtime/fs.h"
#include "runtime/shard.h"

namespace ostraka::cmd {

struct PeerSide {
  std::shared_ptr<net::PeerTls> tls;  // this node's name is tls->self().node
  std::unique_ptr<cluster::PeerServer> server;

  net::PeerPort port() const {
    net::PeerPort out;
    out.tls = tls;
    out.service = server.get();
    return out;
  }
};

// What the bodies of peers' calls may take, a shard: a quarter of memory.buffers, all shards together.
std::size_t peer_bytes_per_shard(const ServerConfig& config, unsigned threads);

// From config.cluster_certs_dir, which is set. shards: those that serve. Errors: those of PeerTls::load.
Result<PeerSide> make_peer_side(Fs& fs, MetricRegistry& metrics, const ServerConfig& config,
                                const std::vector<Shard*>& shards);

}  // namespace ostraka::cmd
