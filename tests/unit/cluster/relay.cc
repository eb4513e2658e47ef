#include "relay.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/write.hpp>

namespace ostraka::cluster {

namespace {
constexpr auto kAwaitTuple = boost::asio::as_tuple(kAwait);
}  // namespace

Relay::Relay(Shard& shard, std::uint16_t to)
    : shard_(shard),
      to_(to),
      acceptor_(shard.executor(), Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)) {
  gate_.spawn(shard_.executor(), accept());
}

Relay::~Relay() = default;

std::uint16_t Relay::port() const {
  return acceptor_.local_endpoint().port();
}

void Relay::end(Pair& pair) {
  boost::system::error_code ignored;
  pair.client.close(ignored);
  pair.server.close(ignored);
}

Task<> Relay::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  for (const auto& pair : pairs_) end(*pair);
  co_await gate_.close();
}

void Relay::silence_present() {
  for (const auto& pair : pairs_) pair->silent = true;
}

Task<> Relay::accept() {
  for (;;) {
    auto pair = std::make_shared<Pair>(shard_.executor());
    const auto outcome = co_await acceptor_.async_accept(pair->client, kAwaitTuple);
    if (std::get<0>(outcome)) co_return;
    ++accepted;
    pair->silent = deaf;
    pairs_.push_back(pair);
    gate_.spawn(shard_.executor(), serve(this, pair));
  }
}

Task<> Relay::serve(Relay* self, std::shared_ptr<Pair> pair) {
  const Tcp::endpoint server(boost::asio::ip::address_v4::loopback(), self->to_);
  const auto outcome = co_await pair->server.async_connect(server, kAwaitTuple);
  if (std::get<0>(outcome)) {
    self->end(*pair);
    co_return;
  }
  self->gate_.spawn(self->shard_.executor(), pass_on(self, pair, true));
  self->gate_.spawn(self->shard_.executor(), pass_on(self, pair, false));
}

Task<> Relay::pass_on(Relay* self, std::shared_ptr<Pair> pair, bool from_client) {
  Socket& from = from_client ? pair->client : pair->server;
  Socket& to = from_client ? pair->server : pair->client;
  std::array<char, 65536> piece;
  for (;;) {
    const auto got = co_await from.async_read_some(boost::asio::buffer(piece), kAwaitTuple);
    const std::size_t bytes = std::get<1>(got);
    if (std::get<0>(got)) break;
    const std::string_view text(piece.data(), bytes);
    if (from_client && !self->lose_answers_to.empty() && self->lost < self->lose_at_most &&
        text.find(self->lose_answers_to) != std::string_view::npos) {
      ++self->lost;
      pair->lose = true;
    }
    if (!from_client && pair->lose) break;  // it has been carried out
    if ((pair->silent || self->deaf) && !from_client) continue;
    if (self->deaf && from_client) continue;
    const auto sent =
        co_await boost::asio::async_write(to, boost::asio::buffer(piece.data(), bytes), kAwaitTuple);
    if (std::get<0>(sent)) break;
  }
  self->end(*pair);
}

}  // namespace ostraka::cluster
