// HTTP/1.1 on a socket: hands requests to a Service. Keep-alive, pipelining (one request after the other on a
// connection), 100-continue, chunked bodies, TLS; limits and timeouts on everything.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "net/peer_tls.h"
#include "net/service.h"
#include "net/tls.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::net {

struct ConnectionHome;

// The nodes of a cluster, on the same port: what shows a node's certificate gets `service`, and nothing else
// does.
struct PeerPort {
  std::shared_ptr<PeerTls> tls;
  Service* service = nullptr;  // outlives the server
  // Longer than any peer keeps a connection that it does not use (HttpClientConfig::keep_idle), so that none
  // is closed just as it is used again.
  Duration idle_timeout = std::chrono::seconds(120);
  // On top of those of HttpServerConfig. A client that comes to one of them has kStrangerTimeout until it is
  // known to be none, and is sent away.
  std::size_t max_connections = 4096;
};

struct HttpServerConfig {
  std::string address =
      "127.0.0.1:9000";  // host:port, [IPv6]:port, :port for all addresses; port 0: any that is free
  std::shared_ptr<TlsContext> tls;                  // empty: plain HTTP
  Duration tls_refresh = std::chrono::seconds(10);  // how often the certificate's files are looked at
  Duration head_timeout =
      std::chrono::seconds(30);  // from the first byte of a head to its last, and for a handshake
  Duration idle_timeout = std::chrono::seconds(90);  // between two requests
  Duration read_timeout =
      std::chrono::seconds(30);  // for the next kLeastBytesPerTimeout of a body, or its rest
  Duration write_timeout = std::chrono::seconds(30);  // for the peer to take some bytes
  std::size_t max_connections = 8192;                 // more get 503 SlowDown
  std::optional<PeerPort> peers;
};

// One acceptor gives each connection to the shard with the fewest. Create, start and destroy it on one
// thread; stop() may run on any shard of any pool. The service must outlive it.
class HttpServer {
 public:
  HttpServer(ShardPool& shards, Service& service, HttpServerConfig config, MetricRegistry& metrics);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();  // after stop(), if it was started

  // Listens. Errors name the address: invalid_argument (not an address, or no such host), io (in use, not
  // allowed).
  Result<> start();
  std::uint16_t port() const noexcept { return port_; }  // the real one, once started
  // Soon it stops: from now on each answer to a client ends its connection, and so those who keep
  // connections come back as new ones, to whoever serves then. All else goes on; peers keep theirs. Any
  // thread.
  void begin_leaving() noexcept;
  // Accepts no more, closes what is idle at once, lets running requests finish for up to `limit`, then cuts
  // their connections; returns when the last one has returned from the service.
  Task<> stop(Duration limit);

 private:
  struct Listener;
  Task<> accept_connections();
  Task<> stop_accepting();
  Task<> refresh_certificates();
  void hand_over(int socket, bool is_v6, std::string remote);

  ShardPool& shards_;
  const HttpServerConfig config_;
  std::vector<std::unique_ptr<ConnectionHome>> homes_;
  std::unique_ptr<Listener> listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  bool running_ = false;
  Gate gate_;
};

}  // namespace ostraka::net
