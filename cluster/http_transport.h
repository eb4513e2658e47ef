// Transport over the network: HTTP/1.1 on kept connections, under mutual TLS. Protocol: cluster/FORMAT.md,
// "Peer protocol".
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/metrics.h"
#include "cluster/transport.h"
#include "net/address.h"
#include "net/http_client.h"
#include "net/tls.h"
#include "runtime/gate.h"
#include "runtime/random.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

struct HttpTransportConfig {
  std::shared_ptr<const net::TlsConnector> tls;        // net::PeerTls; nullptr: plain HTTP, in tests
  Duration connect_timeout = std::chrono::seconds(2);  // as HttpClientConfig's
  Duration stall_timeout = std::chrono::seconds(60);   // for calls without a deadline
  Duration dead_after = std::chrono::seconds(12);      // without a sign of life from the other host
  std::size_t max_idle_per_peer = 32;                  // kept connections, a shard
  net::HttpDial dial = {};                             // empty: over the network
};

// What a node says of itself.
struct PeerHello {
  NodeName node;
  std::string build;
  unsigned oldest_version = 0, newest_version = 0;  // of the protocol
};

class HttpTransport final : public Transport {
 public:
  // shards: all on which calls are made. They and the others outlive the transport.
  HttpTransport(std::vector<Shard*> shards, Random& random, MetricRegistry& metrics,
                HttpTransportConfig config);
  HttpTransport(const HttpTransport&) = delete;
  HttpTransport& operator=(const HttpTransport&) = delete;
  ~HttpTransport() override;

  // Where the nodes are: from now on these. Calls that are under way go on.
  void set_nodes(const std::map<NodeName, net::HostPort>& nodes);
  Task<Result<PeerAnswer>> call(Ctx& ctx, const NodeName& node, PeerCall call,
                                std::vector<disk::BlockTarget> into) override;
  void heard_from(const NodeName& node) override;
  std::optional<TimePoint> refused_at(const NodeName& node) const override;
  // Asks anew. Errors as those of a call.
  Task<Result<PeerHello>> hello(Ctx& ctx, const NodeName& node);
  // Closes all connections, on their shards, which must run. No call may be under way, and none follows.
  Task<> close();

 private:
  struct Peer;
  struct Pool;  // of one shard
  using Peers = std::map<NodeName, std::shared_ptr<Peer>, std::less<>>;

  std::shared_ptr<Peer> find(const NodeName& node) const;
  Pool& pool_of(Shard& shard);
  net::HttpCaller& client_of(Shard& shard);
  void connect_ended(Clock& clock, const net::ConnectOutcome& outcome);
  net::ClientRequest request_to(const Peer& peer, const Ctx& ctx) const;
  Task<Result<PeerAnswer>> exchange(Ctx& ctx, Peer& peer, PeerCall call, std::vector<disk::BlockTarget> into);
  // Agrees on a version. Whatever goes wrong is unavailable, as nothing of a call was sent, but where there
  // is none in common: unsupported_version.
  Task<Result<PeerHello>> negotiate(Ctx& ctx, Peer& peer, bool may_connect);
  Task<Result<PeerHello>> ask_hello(Ctx& ctx, Peer& peer, bool may_connect);
  void note_failure(Peer& peer, TimePoint now, const std::string& why);
  void note_success(Peer& peer, TimePoint now);
  static Task<> drop(Pool* pool);

  Random& random_;
  MetricRegistry& metrics_;
  const HttpTransportConfig config_;
  std::unordered_map<const Shard*, std::unique_ptr<Pool>> pools_;  // not changed once made
  mutable std::mutex mutex_;
  std::shared_ptr<const Peers> peers_;
  std::map<NodeName, std::shared_ptr<Peer>> known_;  // all that ever were, so that they keep their breakers
  Gate gate_;
};

}  // namespace ostraka::cluster
