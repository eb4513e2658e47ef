// A TCP relay on the test's own shard, between a client and a server on this machine, that loses what the
// test wants lost.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <string>

#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

class Relay {
 public:
  Relay(Shard& shard, std::uint16_t to);
  ~Relay();  // after close()
  std::uint16_t port() const;
  Task<> close();

  // Connections whose request has this text have their answers lost, and are closed instead.
  std::string lose_answers_to;
  int lose_at_most = 0;
  int lost = 0;
  // What comes from the server on the connections there are is kept; new ones work.
  void silence_present();
  // No connection is passed on, those there are say nothing.
  bool deaf = false;
  std::size_t accepted = 0;

 private:
  using Tcp = boost::asio::ip::tcp;
  using Socket = boost::asio::basic_stream_socket<Tcp, IoExecutor>;
  struct Pair {
    explicit Pair(IoExecutor executor) : client(executor), server(executor) {}
    Socket client, server;
    bool silent = false;
    bool lose = false;
  };
  Task<> accept();
  static Task<> serve(Relay* self, std::shared_ptr<Pair> pair);
  static Task<> pass_on(Relay* self, std::shared_ptr<Pair> pair, bool from_client);
  void end(Pair& pair);

  Shard& shard_;
  const std::uint16_t to_;
  boost::asio::basic_socket_acceptor<Tcp, IoExecutor> acceptor_;
  Gate gate_;
  std::vector<std::shared_ptr<Pair>> pairs_;
};

}  // namespace ostraka::cluster
