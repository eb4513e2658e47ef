#include "net/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>

#include "base/check.h"
#include "base/log.h"
#include "net/address.h"
#include "net/connection.h"
#include "runtime/event.h"

namespace ostraka::net {
namespace {

using Tcp = boost::asio::ip::tcp;
using Acceptor = boost::asio::basic_socket_acceptor<Tcp, IoExecutor>;
constexpr auto kAwaitTuple = boost::asio::as_tuple(kAwait);
constexpr int kBacklog = 4096;
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);  // when the process is out of descriptors

std::string address_of(const sockaddr_storage& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (peer.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(peer).sin_addr, text.data(), text.size());
    return text.data();
  }
  const in6_addr& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    ::inet_ntop(AF_INET, &address.s6_addr[12], text.data(), text.size());
  } else {
    ::inet_ntop(AF_INET6, &address, text.data(), text.size());
  }
  return text.data();
}

Result<> listen_on(Acceptor& acceptor, const Tcp::endpoint& endpoint, bool both_families) {
  boost::system::error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Acceptor::reuse_address(true), error);
  if (!error && both_families) acceptor.set_option(boost::asio::ip::v6_only(false), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (!error) acceptor.non_blocking(true, error);
  if (!error) return {};
  boost::system::error_code ignored;
  acceptor.close(ignored);
  return fail(Errc::io, error.message());
}

}  // namespace

// Belongs to shard 0 once it runs.
struct HttpServer::Listener {
  explicit Listener(const IoExecutor& executor) : acceptor(executor) {}
  Acceptor acceptor;
  Event stop_accepting;
  Event stop_refreshing;
};

HttpServer::HttpServer(ShardPool& shards, Service& service, HttpServerConfig config, MetricRegistry& metrics)
    : shards_(shards), config_(std::move(config)) {
  CHECK(!config_.peers || (config_.peers->tls && config_.peers->service != nullptr));
  for (std::size_t i = 0; i < shards.size(); ++i) {
    homes_.push_back(std::make_unique<ConnectionHome>(shards[i], service, config_, metrics));
  }
}

HttpServer::~HttpServer() {
  CHECK(!running_);
}

Result<> HttpServer::start() {
  CHECK(!running_ && !listener_);
  TRY(address, parse_host_port(config_.address));
  Shard& shard = shards_[0];
  listener_ = std::make_unique<Listener>(shard.executor());
  Result<> listening = fail(Errc::io, "no such address");
  if (address.host.empty()) {
    listening = listen_on(listener_->acceptor, Tcp::endpoint(Tcp::v6(), address.port), true);
    // A system without IPv6.
    if (!listening) listening = listen_on(listener_->acceptor, Tcp::endpoint(Tcp::v4(), address.port), false);
  } else {
    boost::system::error_code error;
    boost::asio::ip::basic_resolver<Tcp, IoExecutor> resolver(shard.executor());
    const auto found =
        resolver.resolve(address.host, std::to_string(address.port), Tcp::resolver::passive, error);
    if (error) {
      listener_.reset();
      return fail(Errc::invalid_argument, "cannot listen on " + config_.address + ": " + error.message());
    }
    for (const auto& entry : found) {
      listening = listen_on(listener_->acceptor, entry.endpoint(), false);
      if (listening) break;
    }
  }
  if (!listening) {
    listener_.reset();
    return fail(Errc::io, "cannot listen on " + config_.address + ": " + listening.error().detail);
  }
  port_ = listener_->acceptor.local_endpoint().port();
  running_ = true;
  gate_.spawn(shard.executor(), accept_connections());
  if (config_.tls || config_.peers) gate_.spawn(shard.executor(), refresh_certificates());
  return {};
}

Task<> HttpServer::accept_connections() {
  Clock& clock = shards_[0].clock();
  Acceptor& acceptor = listener_->acceptor;
  while (!stopping_.load()) {
    const auto waited = co_await acceptor.async_wait(Acceptor::wait_read, kAwaitTuple);
    if (std::get<0>(waited)) continue;  // cancelled to stop
    for (;;) {
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      const int socket = ::accept4(acceptor.native_handle(), reinterpret_cast<sockaddr*>(&peer), &size,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket >= 0) {
        hand_over(socket, peer.ss_family == AF_INET6, address_of(peer));
        continue;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      log::warn("cannot accept connections error={}",
                boost::system::error_code(errno, boost::system::system_category()).message());
      const TimePoint until = clock.now() + kAcceptPause;
      co_await listener_->stop_accepting.wait_until(clock, until);
      break;
    }
  }
  boost::system::error_code ignored;
  acceptor.close(ignored);
}

void HttpServer::hand_over(int socket, bool is_v6, std::string remote) {
  SocketHandle handle(socket);
  std::size_t clients = 0, peers = 0;  // a connection whose other end is not known yet counts as a client
  ConnectionHome* least = homes_[0].get();
  for (const auto& home : homes_) {
    const std::size_t load = home->load.load(std::memory_order_relaxed);
    const std::size_t of_peers = std::min(load, home->peers.load(std::memory_order_relaxed));
    peers += of_peers;
    clients += load - of_peers;
    if (load < least->load.load(std::memory_order_relaxed)) least = home.get();
  }
  const bool only_peers = clients >= config_.max_connections;
  if (only_peers) {
    const std::size_t spare = config_.peers ? config_.peers->max_connections : 0;
    if (clients + peers >= config_.max_connections + spare) {
      least->metrics.refused.add();
      if (!config_.tls) send_slow_down(socket);
      return;
    }
  }
  least->load.fetch_add(1, std::memory_order_relaxed);
  const bool spawned = gate_.spawn(least->shard.executor(), run_connection(least, std::move(handle), is_v6,
                                                                           std::move(remote), only_peers));
  if (!spawned) least->load.fetch_sub(1, std::memory_order_relaxed);
}

Task<> HttpServer::stop_accepting() {
  listener_->stop_accepting.set();
  listener_->stop_refreshing.set();
  boost::system::error_code ignored;
  listener_->acceptor.cancel(ignored);
  co_return;
}

Task<> HttpServer::refresh_certificates() {
  Clock& clock = shards_[0].clock();
  for (;;) {
    if (config_.peers) config_.peers->tls->tell_expiry(clock.unix_ms() / 1000);
    const TimePoint next = deadline_after(clock.now(), config_.tls_refresh);
    const bool stop = co_await listener_->stop_refreshing.wait_until(clock, next);
    if (stop) co_return;
    if (config_.tls) co_await config_.tls->refresh();
    if (config_.peers) co_await config_.peers->tls->refresh();
  }
}

void HttpServer::begin_leaving() noexcept {
  for (const auto& home : homes_) home->leaving.store(true, std::memory_order_relaxed);
}

Task<> HttpServer::stop(Duration limit) {
  if (!running_ || stopping_.exchange(true)) co_return;
  const TimePoint until = deadline_after(shards_[0].clock().now(), limit);
  gate_.spawn(shards_[0].executor(), stop_accepting());
  for (const auto& home : homes_) gate_.spawn(home->shard.executor(), wind_down(home.get(), until));
  co_await gate_.close();
  running_ = false;
}

}  // namespace ostraka::net
