#pragma once

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "net/address.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

inline std::string number(const char* name, std::uint64_t value) {
  return std::string("\"") + name + "\":\"" + std::to_string(value) + "\"";
}

inline std::string key_value(const std::string& key, std::uint64_t revision, const std::string& value = {}) {
  return R"({"key":")" + base64(key) + R"(","value":")" + base64(value) + R"(",)" +
         number("create_revision", revision) + "," + number("mod_revision", revision) + "}";
}

inline std::string erased(const std::string& key, std::uint64_t revision) {
  return R"({"type":"DELETE","kv":)" + key_value(key, revision) + "}";
}

// A member at revision 10, on the test's own shard. It answers ranges and watches; what changes something it
// refuses, with 404.
class ScriptedEtcd {
 public:
  ScriptedEtcd(Shard& shard, std::uint64_t of)
      : cluster(of),
        shard_(shard),
        acceptor_(shard.executor(), Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)) {
    gate_.spawn(shard.executor(), accept(this));
  }
  Task<> close() {
    if (std::exchange(closed_, true)) co_return;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (const auto& socket : sockets_) socket->close(ignored);
    co_await gate_.close();
  }
  net::HostPort address() const { return {"127.0.0.1", acceptor_.local_endpoint().port()}; }
  std::string message(std::uint64_t revision, const std::string& more) const {
    return R"({"result":{"header":{)" + number("cluster_id", cluster) + "," + number("member_id", 1) + "," +
           number("revision", revision) + "}" + more + "}}\n";
  }
  std::string events(std::uint64_t revision, const std::string& all, bool fragment = false) const {
    return message(revision,
                   std::string(fragment ? R"(,"fragment":true)" : "") + ",\"events\":[" + all + "]");
  }

  std::uint64_t cluster;
  std::string holds;  // what is answered to each range
  std::size_t changes = 0;
  // What each watch says; the last one goes on, those before break.
  std::vector<std::string> watches{""};
  std::size_t watched = 0;
  std::size_t range_bytes = 0;  // 0: all that a range has; otherwise it dribbles on

 private:
  using Tcp = boost::asio::ip::tcp;
  using Socket = boost::asio::basic_stream_socket<Tcp, IoExecutor>;
  using SocketPtr = std::shared_ptr<Socket>;

  static Task<> accept(ScriptedEtcd* self) {
    for (;;) {
      auto socket = std::make_shared<Socket>(self->shard_.executor());
      const auto outcome = co_await self->acceptor_.async_accept(*socket, boost::asio::as_tuple(kAwait));
      if (std::get<0>(outcome)) co_return;
      self->sockets_.push_back(socket);
      self->gate_.spawn(self->shard_.executor(), serve(self, socket));
    }
  }
  static Task<bool> send(SocketPtr socket, std::string text) {
    const auto sent =
        co_await boost::asio::async_write(*socket, boost::asio::buffer(text), boost::asio::as_tuple(kAwait));
    co_return !std::get<0>(sent);
  }
  static Task<> serve(ScriptedEtcd* self, SocketPtr socket) {
    std::string unread;
    for (;;) {
      std::string request;
      const bool whole = co_await read_request(socket, unread, request);
      if (!whole) co_return;
      const bool watch = request.find("/v3/watch") != std::string::npos;
      bool more = true;
      if (request.find("/v3/kv/txn") != std::string::npos) {
        ++self->changes;
        std::string text = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        more = co_await send(socket, std::move(text));
      } else if (!watch) {
        more = co_await answer_range(self, socket);
      } else {
        const std::size_t at = std::min(self->watched++, self->watches.size() - 1);
        std::string text =
            "HTTP/1.1 200 OK\r\n\r\n" + self->message(10, R"(,"created":true)") + self->watches[at];
        more = co_await send(socket, std::move(text)) && at + 1 == self->watches.size();
      }
      if (more) continue;
      boost::system::error_code ignored;
      socket->close(ignored);
      co_return;
    }
  }
  static Task<bool> read_request(SocketPtr socket, std::string& unread, std::string& request) {
    for (;;) {
      const std::size_t head = unread.find("\r\n\r\n");
      const std::size_t length = unread.find("Content-Length: ");
      if (head != std::string::npos) {
        const std::size_t whole = head + 4 + std::stoul(unread.substr(length + 16));
        if (unread.size() >= whole) {
          request = unread.substr(0, whole);
          unread.erase(0, whole);
          co_return true;
        }
      }
      std::array<char, 4096> piece;
      const auto got =
          co_await socket->async_read_some(boost::asio::buffer(piece), boost::asio::as_tuple(kAwait));
      if (std::get<0>(got)) co_return false;
      unread.append(piece.data(), std::get<1>(got));
    }
  }
  static Task<bool> answer_range(ScriptedEtcd* self, SocketPtr socket) {
    const std::string text = R"({"header":{)" + number("cluster_id", self->cluster) + "," +
                             number("member_id", 1) + "," + number("revision", 10) + R"(},"kvs":[)" +
                             self->holds + "]}";
    const std::size_t bytes = std::max(text.size(), self->range_bytes);
    std::string whole = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" + text;
    bool sent = co_await send(socket, std::move(whole));
    for (std::size_t i = text.size(); sent && i < bytes; ++i) {
      co_await sleep_for(self->shard_.clock(), std::chrono::milliseconds(10));
      sent = co_await send(socket, std::string(" "));
    }
    co_return sent;
  }

  Shard& shard_;
  boost::asio::basic_socket_acceptor<Tcp, IoExecutor> acceptor_;
  std::vector<SocketPtr> sockets_;
  bool closed_ = false;
  Gate gate_;
};

}  // namespace ostraka::cluster
