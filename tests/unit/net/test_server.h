// A server over loopback with a small service to poke at, a blocking client that sees every byte, and
// certificates made on the spot.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "net/http_server.h"
#include "net/service.h"
#include "runtime/shard.h"

namespace ostraka::net {

// The target says what to do: see test_server.cc.
class TestService final : public Service {
 public:
  Task<> serve(Ctx& ctx, RequestHead& head, BodySource& body, ResponseSink& sink) override;
  std::atomic<int> calls{0};
  std::atomic<int> write_errors{0};
  std::atomic<int> last_read_error{-1};  // an Errc
};

struct RawResponse {
  int status = 0;  // 0: the connection ended before a whole answer
  explicit operator bool() const { return status != 0; }
  std::multimap<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

// A blocking socket; every wait ends after 20 s at most.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port, bool v6 = false);
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient();
  void send(std::string_view bytes);
  RawResponse response(bool to_head = false);
  // What still comes until the server closes; nullopt: reset, or not closed in time.
  std::optional<std::string> rest();
  bool has_bytes_within_ms(int ms);
  int fd() const { return fd_; }

 private:
  bool fill();
  int fd_;
  std::string buffer_;
  bool reset_ = false;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest();
  ~ServerTest() override;
  void start(HttpServerConfig config = {});
  void stop(Duration limit = std::chrono::seconds(10));
  static HttpServerConfig on_loopback();

  SystemClock clock_;
  MetricRegistry metrics_;
  TestService service_;
  Shard here_;  // runs on the test's thread
  ShardPool shards_;
  std::unique_ptr<HttpServer> server_;
};

struct Certificate {
  std::string certificate, key;  // PEM
};
Certificate make_certificate(
    const std::string& common_name);  // for 127.0.0.1 and localhost; its own authority
void write_certificate(const std::string& folder, const Certificate& certificate);

}  // namespace ostraka::net
