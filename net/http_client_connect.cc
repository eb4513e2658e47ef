// How HttpClient comes by connections.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>

#include "base/check.h"
#include "net/http_client.h"
#include "net/http_client_peer.h"

namespace ostraka::net {
namespace {

using Tcp = boost::asio::ip::tcp;
constexpr std::size_t kMaxLastKnown = 1024;  // hosts
constexpr int kPatience = 3;  // times the connect timeout, with a peer that shows signs of life

// Shared with the handler of a lookup: once it has begun, nothing can cut it short.
struct Lookup {
  explicit Lookup(const IoExecutor& executor) : resolver(executor) {}
  boost::asio::ip::basic_resolver<Tcp, IoExecutor> resolver;
  boost::system::error_code error;
  std::vector<Tcp::endpoint> endpoints;
  Event done;
};

// The kernel's watch over a connection whose other end may be gone without a word.
void set_dead_after(int socket, Duration dead_after) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(dead_after).count();
  const int on = 1, probes = 3;
  const int period_s = static_cast<int>(std::max<std::int64_t>(1, ms / 1000 / (probes + 1)));
  const auto limit_ms = static_cast<unsigned>(ms);
  // Best effort: without them a dead connection is only noticed later.
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &period_s, sizeof period_s);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &period_s, sizeof period_s);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof limit_ms);
}

Error cannot_connect(const HostPort& peer, const std::string& why) {
  return Error{Errc::unavailable, "cannot connect to " + to_string(peer) + ": " + why};
}

}  // namespace

// --- connections that are kept

HttpClient::Key HttpClient::key_of(const ClientRequest& request) {
  return {request.peer.host, request.peer.port, request.tls,
          request.tls_name.empty() ? request.peer.host : request.tls_name};
}

HttpClient::Peer& HttpClient::peer_of(const Key& key) {
  std::unique_ptr<Peer>& peer = peers_[key];
  if (!peer) peer = std::make_unique<Peer>(key);
  return *peer;
}

std::size_t HttpClient::idle_connections() const noexcept {
  std::size_t count = 0;
  for (const auto& [key, peer] : peers_) count += peer->idle.size();
  return count;
}

void HttpClient::abort() {
  ++aborts_;
  watch_.close_all();
  for (const auto& [key, peer] : peers_) peer->idle.clear();
}

void HttpClient::drop_expired() {
  const TimePoint oldest = shard_.clock().now() - config_.keep_idle;
  for (auto at = peers_.begin(); at != peers_.end();) {
    Peer& peer = *at->second;
    std::erase_if(peer.idle,
                  [oldest](const std::unique_ptr<Wire>& wire) { return wire->idle_since < oldest; });
    const bool unused = peer.contact.use_count() == 1;  // neither by connections nor by who needs one
    at = unused ? peers_.erase(at) : std::next(at);
  }
}

bool HttpClient::is_current(const Wire& wire) const noexcept {
  return !wire.contact->key.tls || wire.generation == config_.tls->generation();
}

std::unique_ptr<HttpClient::Wire> HttpClient::take_idle(const Key& key) {
  drop_expired();
  const auto found = peers_.find(key);
  if (found == peers_.end()) return nullptr;
  std::vector<std::unique_ptr<Wire>>& idle = found->second->idle;
  while (!idle.empty()) {
    std::unique_ptr<Wire> wire = std::move(idle.back());
    idle.pop_back();
    if (!is_current(*wire) || !wire->stream.is_quiet()) continue;
    wire->reused = true;
    return wire;
  }
  return nullptr;
}

void HttpClient::give_back(std::unique_ptr<Wire> wire) {
  drop_expired();
  if (config_.max_idle_per_peer == 0 || !is_current(*wire)) return;
  Peer& peer = *peers_.at(wire->contact->key);  // not dropped while the connection is there
  if (!peer.line.empty()) {
    if (!wire->stream.is_quiet()) return;
    Seeker& first = peer.line.front();
    peer.line.pop_front();
    wire->reused = true;
    first.given = std::move(wire);
    first.woken.set();
    return;
  }
  if (peer.idle.size() >= config_.max_idle_per_peer) return;
  wire->idle_since = shard_.clock().now();
  peer.idle.push_back(std::move(wire));
}

// --- whose turn it is, and how long it may take

Task<Result<std::unique_ptr<HttpClient::Wire>>> HttpClient::obtain(const ClientRequest& request) {
  const Key key = key_of(request);
  Peer& peer = peer_of(key);  // not dropped while somebody seeks
  Seeker self(peer.contact);
  watch_seekers();
  if (peer.connecting.size() < config_.max_connects_per_peer) {
    peer.connecting.push_back(self);
  } else {
    peer.line.push_back(self);
    const TimePoint own = std::min(request.deadline, request.end_by);
    const bool in_time = co_await self.woken.wait_until(shard_.clock(), own);
    if (self.given) co_return std::move(self.given);
    if (self.failure) co_return tl::unexpected<Error>(std::move(*self.failure));
    if (!in_time) {
      self.unlink();
      co_return tl::unexpected<Error>(cannot_connect(request.peer, "others do so, and it takes too long"));
    }
  }
  auto wire = co_await connect(request, peer, self);
  // Meanwhile one may have been given back.
  if (!wire)
    if (auto kept = take_idle(key)) co_return kept;
  co_return wire;
}

void HttpClient::admit(Peer& peer) {
  while (!peer.line.empty() && peer.connecting.size() < config_.max_connects_per_peer) {
    Seeker& first = peer.line.front();
    peer.line.pop_front();
    peer.connecting.push_back(first);
    first.woken.set();
  }
}

void HttpClient::turn_away(Peer& peer, const Error& why) {
  while (!peer.line.empty()) {
    Seeker& first = peer.line.front();
    peer.line.pop_front();
    first.failure = why;
    first.woken.set();
  }
}

void HttpClient::watch_seekers() {
  if (look_timer_) return;
  looked_ = shard_.clock().now();
  look_timer_ = shard_.clock().arm(shard_.executor(), looked_ + look_period_, [this] { look(); });
}

// What came of a handshake counts as a sign of life of its peer.
void HttpClient::note_progress(Seeker& seeker) {
  if (seeker.tls == nullptr) return;
  const int state = SSL_get_state(seeker.tls->session());
  const bool unanswered = state == TLS_ST_BEFORE || state == TLS_ST_CW_CLNT_HELLO;
  if (!unanswered && std::exchange(seeker.tls_state, state) != state) ++seeker.contact->signs;
}

bool HttpClient::takes_too_long(Seeker& seeker, Duration passed) const {
  seeker.spent += passed;
  seeker.silent += passed;
  if (std::exchange(seeker.signs, seeker.contact->signs) != seeker.contact->signs) seeker.silent = {};
  return seeker.silent >= config_.connect_timeout || seeker.spent / kPatience >= config_.connect_timeout;
}

void HttpClient::look() {
  look_timer_.reset();
  const TimePoint now = shard_.clock().now();
  // While this thread does not get to run, what the peers send is not seen: that time is not theirs.
  const Duration passed = std::min(now - looked_, 2 * look_period_);
  bool more = false;
  for (const auto& [key, peer] : peers_) {
    for (Seeker& seeker : peer->connecting) note_progress(seeker);
    for (Seeker& seeker : peer->connecting) {
      more = true;
      if (!takes_too_long(seeker, passed) || seeker.stream == nullptr) continue;
      seeker.too_long = true;
      seeker.stream->close();  // ends its wait by posting: nobody leaves here
    }
    for (auto at = peer->line.begin(); at != peer->line.end();) {
      more = true;
      Seeker& seeker = *at++;
      if (!takes_too_long(seeker, passed)) continue;
      seeker.failure = cannot_connect({key.host, key.port}, "the peer is too slow");
      seeker.unlink();
      seeker.woken.set();
    }
  }
  if (more) watch_seekers();
}

// --- making one

Task<Result<HttpClient::Endpoints>> HttpClient::look_up(const HostPort& peer, TimePoint deadline) {
  boost::system::error_code error;
  const auto literal = boost::asio::ip::make_address(peer.host, error);
  if (!error) co_return Endpoints{Tcp::endpoint(literal, peer.port)};
  const auto lookup = std::make_shared<Lookup>(shard_.executor());
  auto found = [lookup](const boost::system::error_code& failure, const auto& results) {
    lookup->error = failure;
    for (const auto& entry : results) lookup->endpoints.push_back(entry.endpoint());
    lookup->done.set();
  };
  lookup->resolver.async_resolve(peer.host, std::to_string(peer.port), std::move(found));
  const bool in_time = co_await lookup->done.wait_until(shard_.clock(), deadline);
  if (!in_time) lookup->resolver.cancel();  // one that still waits for the resolver's thread need not begin
  const std::pair<std::string, std::uint16_t> key(peer.host, peer.port);
  if (in_time && !lookup->error) {
    if (last_known_.size() >= kMaxLastKnown) last_known_.clear();
    last_known_[key] = lookup->endpoints;
    co_return std::move(lookup->endpoints);
  }
  if (const auto last = last_known_.find(key); last != last_known_.end()) co_return last->second;
  const std::string why = in_time ? lookup->error.message() : "its name is not found in time";
  co_return fail(Errc::unavailable, peer.host + ": " + why);
}

Task<Result<std::unique_ptr<HttpClient::Wire>>> HttpClient::connect(const ClientRequest& request, Peer& peer,
                                                                    Seeker& self) {
  const TimePoint begin = shard_.clock().now();
  const std::uint64_t signs = peer.contact->signs;
  const std::uint64_t aborts = aborts_;
  const TimePoint own = std::min(request.deadline, request.end_by);
  auto wire = co_await try_connect(request, self);
  const bool was_silent = peer.contact->signs == signs;
  if (wire) ++peer.contact->signs;
  self.unlink();
  const TimePoint end = shard_.clock().now();
  const bool ran_out = !wire && !self.too_long && end >= own;
  if (config_.on_connect) {
    ConnectOutcome outcome{.peer = request.peer, .tls_name = request.tls_name};
    const bool late = self.too_long || ran_out;
    const bool heard = self.too_long ? self.silent < config_.connect_timeout : !was_silent;
    outcome.connected = wire.has_value();
    outcome.ran_out = ran_out;
    outcome.silent = late && !heard;
    outcome.alive = late && heard;
    outcome.refused = !wire && self.refused;
    outcome.took = late ? self.silent : end - begin;
    if (!wire) outcome.why = wire.error().detail;
    config_.on_connect(outcome);
  }
  // Refused, or there is no way there: the others would learn the same, one after the other.
  const bool refused = !wire && !self.too_long && !ran_out && aborts == aborts_;
  if (refused && was_silent) turn_away(peer, wire.error());
  admit(peer);
  co_return wire;
}

Task<Result<std::unique_ptr<HttpClient::Wire>>> HttpClient::try_connect(const ClientRequest& request,
                                                                        Seeker& self) {
  const TimePoint now = shard_.clock().now();
  const TimePoint own = std::min(request.deadline, request.end_by);
  const TimePoint limit = std::min(own, deadline_after(now, config_.connect_timeout));
  const TimePoint found_by = std::max(now, limit - (limit - now) / 4);  // time for the rest
  CO_TRY(endpoints, co_await look_up(request.peer, found_by));
  std::string why = "no address";
  bool refused = !endpoints.empty();
  for (const Tcp::endpoint& endpoint : endpoints) {
    auto wire = std::make_unique<Wire>(watch_, self.contact);
    self.stream = &wire->stream;
    Result<> connected = co_await wire->stream.connect(endpoint, own);
    refused &= connected.failed_with(Errc::unavailable);
    if (connected && config_.dead_after > Duration())
      set_dead_after(wire->stream.native_handle(), config_.dead_after);
    if (connected && request.tls) {
      wire->generation = config_.tls->generation();
      auto session = config_.tls->connect(wire->stream.native_handle(), self.contact->key.tls_name);
      self.tls = session.get();
      if (session) {
        connected = co_await wire->stream.start_tls(std::move(session), own);
      } else {
        connected = fail(Errc::unavailable, "no TLS session");
      }
      note_progress(self);
      self.tls = nullptr;
    }
    self.stream = nullptr;
    if (connected) co_return wire;
    why = self.too_long ? "the peer is too slow" : connected.error().detail;
    if (self.too_long) break;
  }
  self.refused = refused && !self.too_long;
  co_return tl::unexpected<Error>(cannot_connect(request.peer, why));
}

}  // namespace ostraka::net
