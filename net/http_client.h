// An HTTP/1.1 client with a pool of kept connections, for peers, etcd and webhooks. Bodies stream both ways.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/service.h"
#include "net/stream.h"
#include "net/tls.h"
#include "runtime/shard.h"

namespace ostraka::net {

// How an attempt to connect ended.
struct ConnectOutcome {
  const HostPort& peer;
  const std::string& tls_name;
  bool connected = false;
  bool ran_out = false;  // the request's own deadline came before anything was known
  bool silent = false;   // that or the connect timeout came, and nothing was heard of the peer
  bool alive = false;    // that or the connect timeout came, but something was heard of the peer
  bool refused = false;  // by the host: no process listens there
  Duration took{};       // silent: for how long, without what our own thread stood still
  std::string why = {};  // it failed
};

struct HttpClientConfig {
  std::shared_ptr<const TlsConnector> tls;  // needed only for requests with tls
  // For a connection with its TLS handshake, as long as nothing is heard of the peer: what comes of a
  // handshake, and answers to others, are signs of life. In all three times as long. Time in which the
  // shard's own thread did not get to run does not count.
  Duration connect_timeout = std::chrono::seconds(5);
  Duration stall_timeout = std::chrono::seconds(30);  // for the peer to take or send some bytes
  Duration keep_idle = std::chrono::seconds(20);      // how long an unused connection is kept
  std::size_t max_idle_per_peer = 16;                 // 0: none is used twice
  // At a time: a handshake costs both ends about a millisecond of CPU. Who comes later waits in line, for a
  // connection that is given back or for its turn; when the peer refuses one, all in line are turned away.
  std::size_t max_connects_per_peer = 4;
  // After so long without a sign of life from the other host, a connection breaks even when nothing is sent
  // on it, or nothing gets through. Zero: the kernel's times, which are hours.
  Duration dead_after{};
  std::function<void(const ConnectOutcome&)> on_connect;  // told of each attempt
};

struct ClientRequest {
  HostPort peer;
  bool tls = false;
  std::string tls_name;  // what the other side's certificate must carry; empty: peer.host
  std::string method = "GET";
  std::string target = "/";  // path and query as they go on the wire
  Headers headers;           // without Host (unless it differs from peer), Content-Length and Connection
  std::string body;
  // After body, in one gather write. What they show must stay until request() returns.
  std::vector<ByteSpan> parts;
  // Instead of body: read until its end while the request is sent. Must stay until request() returns.
  BodySource* source = nullptr;
  std::optional<std::uint64_t> source_length;  // nullopt: chunked transfer coding
  TimePoint deadline = kNoDeadline;            // for the response's head
  TimePoint end_by = kNoDeadline;              // for all of it, the response's body too
  std::optional<Duration> stall;               // instead of stall_timeout
  bool may_connect = true;                     // false: only over a kept connection, else unavailable
  // Told, once there is a connection, how the request can be ended with closed: until request() returns, and
  // on the client's shard.
  std::function<void(std::function<void()>)> on_sending;
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

// Who makes requests. Belongs to one shard; destroy it there or when it has ended, after the responses it
// gave.
class HttpCaller {
 public:
  virtual ~HttpCaller() = default;
  // Any status is a success here. Errors: unavailable (no connection could be made: the request was not
  // sent), closed, deadline, malformed (an answer that is not HTTP), invalid_argument (tls without a context;
  // a control character in method, target or a header).
  virtual Task<Result<ClientResponse>> request(ClientRequest request) = 0;
  // Ends what is under way on connections, bodies included, with Errc::closed; a request that is still
  // connecting goes on, to the next address. Later requests make new connections.
  virtual void abort() = 0;
};
// Makes one for the shard; empty where one is passed on: HttpClient. A simulator has its own.
using HttpDial = std::function<std::unique_ptr<HttpCaller>(Shard& shard, HttpClientConfig config)>;
std::unique_ptr<HttpCaller> dial(const HttpDial& with, Shard& shard, HttpClientConfig config);

// Over the network.
class HttpClient final : public HttpCaller {
 public:
  HttpClient(Shard& shard, HttpClientConfig config);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient() override;

  Task<Result<ClientResponse>> request(ClientRequest request) override;
  void abort() override;
  std::size_t idle_connections() const noexcept;

 private:
  struct Contact;
  struct Wire;
  struct Seeker;
  struct Peer;
  class ResponseBody;
  struct Key {
    std::string host;
    std::uint16_t port;
    bool tls;
    std::string tls_name;
    auto operator<=>(const Key&) const = default;
  };
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;
  static Key key_of(const ClientRequest& request);
  Duration stall_of(const ClientRequest& request) const noexcept;
  Peer& peer_of(const Key& key);
  Task<Result<std::unique_ptr<Wire>>> obtain(const ClientRequest& request);
  void admit(Peer& peer);
  static void turn_away(Peer& peer, const Error& why);
  void watch_seekers();
  void look();
  static void note_progress(Seeker& seeker);
  bool takes_too_long(Seeker& seeker, Duration passed) const;
  Task<Result<std::unique_ptr<Wire>>> connect(const ClientRequest& request, Peer& peer, Seeker& self);
  Task<Result<std::unique_ptr<Wire>>> try_connect(const ClientRequest& request, Seeker& self);
  Task<Result<Endpoints>> look_up(const HostPort& peer, TimePoint deadline);
  std::unique_ptr<Wire> take_idle(const Key& key);
  void give_back(std::unique_ptr<Wire> wire);
  Task<Result<>> send(Wire& wire, const ClientRequest& request);
  Task<Result<ClientResponse>> receive(std::unique_ptr<Wire>& wire, const ClientRequest& request);
  void drop_expired();
  bool is_current(const Wire& wire) const noexcept;  // its certificates are those of today

  Shard& shard_;
  const HttpClientConfig config_;
  StreamWatch watch_;
  const Duration look_period_;
  TimePoint looked_{};
  std::unique_ptr<Clock::Timer> look_timer_;  // runs only while somebody needs a connection
  std::map<Key, std::unique_ptr<Peer>> peers_;
  std::uint64_t aborts_ = 0;
  std::map<std::pair<std::string, std::uint16_t>, Endpoints>
      last_known_;  // for when names cannot be looked up
};

}  // namespace ostraka::net
