// An HTTP/1.1 client with a pool of kept connections, for peers, etcd and webhooks. Bodies stream both ways.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/service.h"
#include "net/stream.h"
#include "net/tls.h"
#include "runtime/shard.h"

namespace ostraka::net {

struct HttpClientConfig {
  std::shared_ptr<TlsClientContext> tls;               // needed only for requests with tls
  Duration connect_timeout = std::chrono::seconds(5);  // with the TLS handshake
  Duration stall_timeout = std::chrono::seconds(30);   // for the peer to take or send some bytes
  Duration keep_idle = std::chrono::seconds(20);       // how long an unused connection is kept
  std::size_t max_idle_per_peer = 16;
};

struct ClientRequest {
  HostPort peer;
  bool tls = false;
  std::string method = "GET";
  std::string target = "/";  // path and query as they go on the wire
  Headers headers;           // without Host (unless it differs from peer), Content-Length and Connection
  std::string body;
  // Instead of body: read until its end while the request is sent. Must stay until request() returns.
  BodySource* source = nullptr;
  std::optional<std::uint64_t> source_length;  // nullopt: chunked transfer coding
  TimePoint deadline = kNoDeadline;            // for the response's head; stall_timeout holds in any case
  // Whether sending it twice does no harm: then it is tried again on a new connection when a kept one turns
  // out to be dead.
  bool repeatable = false;
};

struct ClientResponse {
  unsigned status = 0;
  Headers headers;
  std::optional<std::uint64_t> content_length;
  // Read to its end, the connection is kept; destroyed before, it is closed.
  std::unique_ptr<BodySource> body;
};

// Belongs to one shard; destroy it there, after the responses it gave.
class HttpClient {
 public:
  HttpClient(Shard& shard, HttpClientConfig config);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  // Any status is a success here. Errors: unavailable (no connection could be made: the request was not
  // sent), closed, deadline, malformed (an answer that is not HTTP), invalid_argument (tls without a context;
  // a control character in method, target or a header).
  Task<Result<ClientResponse>> request(ClientRequest request);
  std::size_t idle_connections() const noexcept;
  // Ends what is under way, bodies included, with Errc::closed. Later requests make new connections.
  void abort();

 private:
  struct Wire;
  class ResponseBody;
  struct Key {
    std::string host;
    std::uint16_t port;
    bool tls;
    auto operator<=>(const Key&) const = default;
  };
  Task<Result<std::unique_ptr<Wire>>> connect(const ClientRequest& request);
  std::unique_ptr<Wire> take_idle(const Key& key);
  void give_back(std::unique_ptr<Wire> wire);
  Task<Result<>> send(Wire& wire, const ClientRequest& request);
  Task<Result<ClientResponse>> receive(std::unique_ptr<Wire>& wire, const ClientRequest& request);
  void drop_expired();

  Shard& shard_;
  const HttpClientConfig config_;
  StreamWatch watch_;
  std::map<Key, std::vector<std::unique_ptr<Wire>>> idle_;
};

}  // namespace ostraka::net
