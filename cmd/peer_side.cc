#include "cmd/peer_side.h"

#include <algorithm>

#include "base/log.h"
#include "cluster/limits.h"
#include "cmd/version.h"

namespace ostraka::cmd {

std::size_t peer_bytes_per_shard(const ServerConfig& config, unsigned threads) {
  return std::max<std::size_t>(2 * cluster::kMaxPeerBody, config.buffer_memory_bytes / 4 / threads);
}

PeerSide make_peer_side(Random& random, MetricRegistry& metrics, const ServerConfig& config,
                        std::shared_ptr<net::PeerTls> tls, const std::vector<Shard*>& shards, Shard& main) {
  PeerSide out;
  out.tls = std::move(tls);
  metrics.gauge_callback("ostraka_peer_certificate_expires_timestamp_seconds",
                         "When this node's certificate expires, unix time", {},
                         [tls = out.tls] { return static_cast<double>(tls->expires_unix_s()); });
  cluster::PeerServerConfig server;
  server.self = out.tls->self().node;
  server.build = version();
  server.body_bytes_per_shard = peer_bytes_per_shard(config, static_cast<unsigned>(shards.size()));
  out.server = std::make_unique<cluster::PeerServer>(shards, metrics, std::move(server));
  cluster::HttpTransportConfig transport;
  transport.tls = out.tls;
  std::vector<Shard*> callers = shards;
  callers.push_back(&main);
  out.transport =
      std::make_unique<cluster::HttpTransport>(std::move(callers), random, metrics, std::move(transport));
  log::info("peers know this node as {}", to_uri(out.tls->self()));
  return out;
}

std::map<cluster::NodeName, net::HostPort> addresses_of(const cluster::Topology& topology) {
  std::map<cluster::NodeName, net::HostPort> out;
  for (const cluster::Topology::Slot& slot : topology.slots) {
    if (slot.state == cluster::SlotState::removed) continue;
    net::HostPort& address = out[slot.url.node];
    address.host = slot.url.node;
    address.port = slot.url.port;
  }
  return out;
}

}  // namespace ostraka::cmd
