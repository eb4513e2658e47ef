// One connection of the server: reads heads, calls the service, keeps the order. Internal to net/.
#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <optional>
#include <string>

#include "net/http_date.h"
#include "net/http_head.h"
#include "net/http_server.h"
#include "net/input_buffer.h"
#include "net/stream.h"
#include "net/wire_answer.h"
#include "net/wire_body.h"
#include "runtime/event.h"

namespace ostraka::net {

struct HttpMetrics {
  explicit HttpMetrics(MetricRegistry& registry);
  Gauge& connections;
  Gauge& requests;  // in flight
  Counter& bytes_in;
  Counter& bytes_out;
  Counter& bad_heads;
  Counter& refused;
};

// Runs in the connection's coroutine, on its home's shard.
class Connection
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // only_peers: there are too many clients already.
  Connection(ConnectionHome& home, std::string remote, bool only_peers);
  ~Connection();
  Task<> run(SocketHandle socket, bool is_v6);
  void close_if_idle();
  void kill() { stream_.close(); }

 private:
  Task<bool> open(SocketHandle socket, bool is_v6);
  Task<bool> shake_hands(TimePoint deadline);
  bool is_peer() const noexcept { return !stream_.peer().empty(); }
  bool should_end() const noexcept;  // after the request that runs
  // nullopt: the peer has ended, or idled for too long, or the server stops.
  Task<Result<std::optional<ParsedRequest>>> read_head();
  Task<bool> serve(ParsedRequest request);  // whether the connection goes on
  Task<> call_service(Ctx& ctx, RequestHead& head, WireBody& body, WireAnswer& answer);
  Task<> refuse(Error error);  // an answer to a head that is none
  Task<> linger();
  void count_bytes();
  WireAnswerSpec answer_spec(const ParsedRequest& request) const;

  ConnectionHome& home_;
  const std::string remote_;
  const bool only_peers_;
  std::uint64_t generation_ = 0;  // of the certificates that a peer was let in with
  Stream stream_;
  InputBuffer input_;
  std::uint64_t counted_in_ = 0;
  std::uint64_t counted_out_ = 0;
  bool first_ = true;    // no request yet
  TimePoint head_by_{};  // the first, or a handshake
  bool idle_ = true;     // nothing would be lost by closing
};

// What the connections of one shard share. Belongs to the shard, except what is atomic.
struct ConnectionHome {
  ConnectionHome(Shard& shard, Service& service, const HttpServerConfig& config, MetricRegistry& registry);
  std::string next_request_id();  // 16 upper-case hexadecimal digits, unique

  Shard& shard;
  Service& service;
  const HttpServerConfig& config;
  HttpMetrics metrics;
  StreamWatch watch;
  HttpDate date;
  std::uint64_t request_number;
  boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>> connections;
  Event changed;  // a connection has gone
  bool stopping = false;
  std::atomic<bool> leaving{false};   // clients' connections end with their next answer
  std::atomic<std::size_t> load{0};   // connections given to this shard and not ended
  std::atomic<std::size_t> peers{0};  // of these, the ones that are known to be of peers
};

Task<> run_connection(ConnectionHome* home, SocketHandle socket, bool is_v6, std::string remote,
                      bool only_peers);
// Closes what is idle, waits for the rest until `until`, then cuts it and waits until it has gone.
Task<> wind_down(ConnectionHome* home, TimePoint until);

// Best effort: tells a client that speaks no TLS that there are too many connections.
void send_slow_down(int socket);
// The body of an S3 error that the server itself answers.
std::string error_xml(std::string_view code, std::string_view message, std::string_view request_id);

}  // namespace ostraka::net
