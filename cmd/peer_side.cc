#include "cmd/peer_side.h"

#include <algorithm>

#include "base/log.h"
#include "cluster/limits.h"
#include "cmd/version.h"

namespace ostraka::cmd {

std::size_t peer_bytes_per_shard(const ServerConfig& config, unsigned threads) {
  return std::max<std::size_t>(2 * cluster::kMaxPeerBody, config.buffer_memory_bytes / 4 / threads);
}

Result<PeerSide> make_peer_side(Fs& fs, MetricRegistry& metrics, const ServerConfig& config,
                                const std::vector<Shard*>& shards) {
  PeerSide out;
  TRY(tls, net::PeerTls::load(fs, config.cluster_certs_dir));
  out.tls = std::move(tls);
  metrics.gauge_callback("ostraka_peer_certificate_expires_timestamp_seconds",
                         "When this node's certificate expires, unix time", {},
                         [tls = out.tls] { return static_cast<double>(tls->expires_unix_s()); });
  cluster::PeerServerConfig server;
  server.self = out.tls->self().node;
  server.build = version();
  server.body_bytes_per_shard = peer_bytes_per_shard(config, static_cast<unsigned>(shards.size()));
  out.server = std::make_unique<cluster::PeerServer>(shards, metrics, std::move(server));
  log::info("peers know this node as {}", to_uri(out.tls->self()));
  return out;
}

}  // namespace ostraka::cmd
