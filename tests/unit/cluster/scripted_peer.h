// A server without TLS that answers as it is told: the answers in turn, a connection each for as long as the
// texts last; an answer that is empty closes the connection after the request has been read.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cluster/peer_frame.h"

namespace ostraka::cluster {

inline BufferChain chain_of(const std::vector<std::string>& texts) {
  BufferChain out;
  for (const std::string& text : texts) {
    Buffer buffer = Buffer::on_heap(text.size());
    std::memcpy(buffer.data(), text.data(), text.size());
    const ByteSpan bytes = buffer.span().first(text.size());
    out.push_back(Slice{std::move(buffer), bytes});
  }
  return out;
}

class ScriptedPeer {
 public:
  explicit ScriptedPeer(std::vector<std::vector<std::string>> connections)
      : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, connections = std::move(connections)] { run(connections); });
  }
  ~ScriptedPeer() {
    ::shutdown(listener_, SHUT_RDWR);
    {
      const std::lock_guard lock(mutex_);
      if (current_ >= 0) ::shutdown(current_, SHUT_RDWR);
      ended_ = true;
    }
    thread_.join();
    ::close(listener_);
  }
  std::uint16_t port() const { return port_; }
  int posts() const { return posts_; }

  static std::string http(const std::string& body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  static std::string hello(unsigned oldest = 1, unsigned newest = 1) {
    return http(R"({"node":"node1","build":"x","versions":[)" + std::to_string(oldest) + "," +
                std::to_string(newest) + "]}");
  }
  static std::string answer(const std::string& head, const std::string& body, const std::string& method) {
    return http(encode_frame(FrameKind::answer, method, head, chain_of({body})) + body);
  }

 private:
  // Reads one request with its body.
  bool read_request(int socket) {
    std::string head;
    char c = 0;
    while (!head.ends_with("\r\n\r\n")) {
      if (::recv(socket, &c, 1, 0) != 1) return false;
      head += c;
    }
    const std::size_t at = head.find("Content-Length: ");
    std::size_t left = at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
    while (left > 0) {
      if (::recv(socket, &c, 1, 0) != 1) return false;
      --left;
    }
    if (head.starts_with("POST")) ++posts_;
    return true;
  }
  void run(const std::vector<std::vector<std::string>>& connections) {
    for (const auto& answers : connections) {
      const int socket = ::accept(listener_, nullptr, nullptr);
      if (socket < 0 || !set_current(socket)) return;
      for (const std::string& text : answers) {
        if (!read_request(socket)) break;
        ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
        if (text.empty()) break;
      }
      ::shutdown(socket, SHUT_RDWR);
      set_current(-1);
      ::close(socket);
    }
  }
  bool set_current(int socket) {
    const std::lock_guard lock(mutex_);
    current_ = socket;
    if (ended_ && socket >= 0) ::close(socket);
    return !ended_;
  }
  std::mutex mutex_;
  int current_ = -1;
  bool ended_ = false;
  int listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> posts_{0};
  std::thread thread_;
};

}  // namespace ostraka::cluster
