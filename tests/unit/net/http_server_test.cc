#include "net/http_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <set>
#include <thread>

#include "base/encoding.h"
#include "net/limits.h"
#include "test_server.h"

namespace ostraka::net {
namespace {

using namespace std::chrono_literals;

std::string get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
}

// Until what the server does on its own threads has happened; false after 20 s.
template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 20000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

bool can_connect(std::uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  const bool connected = ::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  ::close(socket);
  return connected;
}

TEST_F(ServerTest, AnswersOnAKeptConnection) {
  start();
  RawClient client(server_->port());
  std::set<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    client.send(get("/info"));
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.header("server"), "Ostraka");
    EXPECT_TRUE(parse_http_date(response.header("date")));
    EXPECT_EQ(response.header("connection"), "");
    EXPECT_TRUE(response.body.ends_with(" 127.0.0.1"));
    const std::string id = response.body.substr(4, 16);
    EXPECT_EQ(id.find_first_not_of("0123456789ABCDEF"), std::string::npos);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 5U);
  EXPECT_EQ(service_.calls, 5);
}

TEST_F(ServerTest, AHeaderValueCannotStartAnotherHeader) {
  start();
  RawClient client(server_->port());
  client.send(get("/info"));
  const auto response = client.response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response.header("injected"), "");
  EXPECT_EQ(response.header("x-bad"), "one  Injected: two");
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  RawClient client(server_->port());
  client.send(get("/slow") + "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
              "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
              "chunked\r\n\r\n2\r\nde\r\n1;x=y\r\nf\r\n0\r\nT: v\r\n\r\n" +
              get("/hello"));
  for (const char* expected : {"slow", "abc", "def", "hello"}) {
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response.body, expected);
  }
}

TEST_F(ServerTest, ReadsARequestThatComesByteByByte) {
  start();
  RawClient client(server_->port());
  for (const char c : std::string(
           "\r\nPUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")) {
    client.send(std::string(1, c));
    std::this_thread::sleep_for(200us);  // so that the kernel does not put them together
  }
  const auto response = client.response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response.body, "abc");
}

TEST_F(ServerTest, TakesLargeBodiesBothWays) {
  start();
  RawClient client(server_->port());
  const std::string body(10U << 20, 'b');
  client.send("PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n" + body + get("/hello"));
  EXPECT_EQ(client.response().body, std::to_string(body.size()));
  EXPECT_EQ(client.response().body, "hello");
  std::string chunked = "PUT /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::size_t total = 0;
  for (std::size_t size = 1; size < 300000; size = size * 3 + 1) {
    std::array<char, 16> hex_size{};
    std::snprintf(hex_size.data(), hex_size.size(), "%zX", size);
    chunked += std::string(hex_size.data()) + "\r\n" + std::string(size, 'c') + "\r\n";
    total += size;
  }
  client.send(chunked + "0\r\n\r\n");
  EXPECT_EQ(client.response().body, std::to_string(total));
  for (const char* kind : {"/big/", "/chunked/"}) {
    client.send(get(kind + std::string("7000001")));
    const auto response = client.response();
    ASSERT_TRUE(response);
    ASSERT_EQ(response.body.size(), 7000001U);
    for (std::size_t i = 0; i < response.body.size(); i += 997)
      ASSERT_EQ(response.body[i], 'a' + i % 300000 % 23);
  }
}

TEST_F(ServerTest, HeadHasNoBodyButItsLength) {
  start();
  RawClient client(server_->port());
  client.send("HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\nHEAD /big/77 HTTP/1.1\r\nHost: h\r\n\r\n" +
              get("/204") + get("/hello"));
  EXPECT_EQ(client.response(true).header("content-length"), "5");
  EXPECT_EQ(client.response(true).header("content-length"), "77");
  const auto none = client.response();
  EXPECT_EQ(none.status, 204);
  EXPECT_EQ(none.header("content-length"), "");
  EXPECT_EQ(client.response().body, "hello");
}

TEST_F(ServerTest, SaysContinueOnlyWhenTheBodyIsRead) {
  start();
  RawClient client(server_->port());
  const std::string head = " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
  client.send("PUT /echo" + head);
  EXPECT_EQ(client.response().status, 100);
  client.send("abc");
  EXPECT_EQ(client.response().body, "abc");
  client.send("PUT /echo" + head + "abc");  // did not wait: no 100 needed
  EXPECT_EQ(client.response().status, 200);
  // An empty body: the words come, and the connection goes on.
  client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.response().status, 100);
  EXPECT_EQ(client.response().status, 200);
  client.send("PUT /ignore" + head);
  const auto refused = client.response();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused.status, 200);
  EXPECT_EQ(refused.header("connection"), "close");  // nobody knows whether the body comes
  EXPECT_EQ(client.rest(), "");
}

TEST_F(ServerTest, AShortUnreadBodyIsSkippedAndALongOneEndsTheConnection) {
  start();
  {
    RawClient client(server_->port());
    client.send("PUT /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" +
                std::string(100000, 'x') + get("/hello"));
    EXPECT_EQ(client.response().body, "ignored");
    EXPECT_EQ(client.response().body, "hello");
  }
  RawClient client(server_->port());
  client.send("PUT /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n" +
              std::string(5000000, 'x'));
  const auto response = client.response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response.body, "ignored");
  EXPECT_EQ(response.header("connection"), "close");
  EXPECT_EQ(client.rest(), "");  // an orderly end, though much was unread
}

TEST_F(ServerTest, ConnectionCloseAndHttp10) {
  start();
  {
    RawClient client(server_->port());
    client.send("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: Foo, CLOSE\r\n\r\n");
    EXPECT_EQ(client.response().header("connection"), "close");
    EXPECT_EQ(client.rest(), "");
  }
  {
    RawClient client(server_->port());
    client.send("GET /chunked/100 HTTP/1.0\r\n\r\n");
    const auto response = client.response();
    EXPECT_EQ(response.header("transfer-encoding"), "");
    EXPECT_EQ(response.body.size(), 100U);
  }
  RawClient client(server_->port());
  client.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get("/hello"));
  EXPECT_EQ(client.response().header("connection"), "keep-alive");
  EXPECT_EQ(client.response().body, "hello");
}

struct BadHead {
  std::string bytes;
  int status;
  std::string code;
};
TEST_F(ServerTest, BadHeadsGetAnS3ErrorAndTheEndOfTheConnection) {
  start();
  const std::string many(40000, 'a');
  const std::vector<BadHead> cases = {
      {"GARBAGE\r\n\r\n", 400, "BadRequest"},
      {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400, "BadRequest"},
      {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
       "BadRequest"},
      {"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "NotImplemented"},
      {"GET / HTTP/1.1\r\nHost: h\r\nX: " + many + "\r\n\r\n", 400, "RequestHeaderSectionTooLarge"},
      {"GET /" + many.substr(0, 20000) + " HTTP/1.1\r\nHost: h\r\n\r\n", 400, "RequestHeaderSectionTooLarge"},
      {"\x16\x03\x01\x02", 400, "BadRequest"},  // a TLS client, which waits for us
  };
  for (const BadHead& bad : cases) {
    RawClient client(server_->port());
    client.send(bad.bytes);
    const auto response = client.response();
    ASSERT_TRUE(response) << bad.bytes.substr(0, 60);
    EXPECT_EQ(response.status, bad.status) << bad.bytes.substr(0, 60);
    EXPECT_NE(response.body.find("<Code>" + bad.code + "</Code>"), std::string::npos) << response.body;
    EXPECT_NE(response.body.find("<RequestId>" + response.header("x-amz-request-id")), std::string::npos);
    EXPECT_EQ(response.header("connection"), "close");
    ::shutdown(client.fd(), SHUT_WR);
    EXPECT_EQ(client.rest(), "");
  }
  EXPECT_EQ(service_.calls, 0);
}

TEST_F(ServerTest, BadChunksAndTruncatedBodiesAreErrorsOfTheBody) {
  start();
  {
    RawClient client(server_->port());
    client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n");
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(response.header("connection"), "close");
    EXPECT_EQ(service_.last_read_error, static_cast<int>(Errc::malformed));
  }
  RawClient client(server_->port());
  client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  ::shutdown(client.fd(), SHUT_WR);
  const auto response = client.response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(service_.last_read_error, static_cast<int>(Errc::incomplete_body));
}

TEST_F(ServerTest, NoAnswerIsA500AndABrokenOneIsCut) {
  start();
  for (const char* target : {"/nothing", "/throw"}) {
    RawClient client(server_->port());
    client.send(get(target));
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response.status, 500);
    EXPECT_EQ(response.header("connection"), "close");
    EXPECT_NE(response.body.find("InternalError"), std::string::npos);
  }
  {
    RawClient client(server_->port());
    client.send(get("/short"));
    EXPECT_FALSE(client.response());
    EXPECT_FALSE(client.rest());  // reset
  }
  RawClient client(server_->port());
  client.send(get("/replaced") + get("/hello"));
  const auto response = client.response();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, "instead");
  EXPECT_EQ(client.response().body, "hello");
}

TEST_F(ServerTest, SlowClientsAreCutOff) {
  HttpServerConfig config = on_loopback();
  config.head_timeout = 250ms;
  config.idle_timeout = 250ms;
  config.read_timeout = 250ms;
  config.write_timeout = 250ms;
  start(config);
  {
    RawClient client(server_->port());
    EXPECT_EQ(client.rest(), "");  // never a byte
  }
  {
    RawClient client(server_->port());
    client.send("GET / HTTP/1.1\r\n");
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response.status, 400);
    EXPECT_NE(response.body.find("RequestTimeout"), std::string::npos);
  }
  {
    RawClient client(server_->port());
    client.send(get("/hello"));
    EXPECT_TRUE(client.response());
    EXPECT_EQ(client.rest(), "");  // idle
  }
  {
    RawClient client(server_->port());
    client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    const auto response = client.response();
    ASSERT_TRUE(response);  // the service still answers
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(service_.last_read_error, static_cast<int>(Errc::deadline));
  }
  RawClient client(server_->port());
  const int before = service_.write_errors;
  client.send(get("/big/500000000"));  // and reads nothing
  EXPECT_TRUE(eventually([&] { return service_.write_errors > before; }));
}

TEST_F(ServerTest, ASlowButSteadyClientIsServed) {
  HttpServerConfig config = on_loopback();
  config.read_timeout = 400ms;
  start(config);
  RawClient client(server_->port());
  const std::string piece(kLeastBytesPerTimeout, 'x');
  client.send("PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(10 * piece.size()) +
              "\r\n\r\n");
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(60ms);  // in all longer than the timeout
    client.send(piece);
  }
  EXPECT_EQ(client.response().body, std::to_string(10 * piece.size()));
}

// Bytes that drip in keep nothing alive beyond the timeout, however the body is framed, and a short body is
// in time.
TEST_F(ServerTest, ADrippingBodyIsCutOff) {
  HttpServerConfig config = on_loopback();
  config.read_timeout = 400ms;
  start(config);
  struct Case {
    std::string framing, drop;
  };
  for (const Case& drip :
       {Case{"Content-Length: 1000000", "x"}, Case{"Transfer-Encoding: chunked", "1\r\nx\r\n"}}) {
    RawClient client(server_->port());
    service_.last_read_error = -1;
    client.send("PUT /echo HTTP/1.1\r\nHost: h\r\n" + drip.framing + "\r\n\r\n");
    const auto begin = std::chrono::steady_clock::now();
    while (service_.last_read_error == -1 && std::chrono::steady_clock::now() - begin < 15s) {
      client.send(drip.drop);
      std::this_thread::sleep_for(50ms);
    }
    EXPECT_EQ(service_.last_read_error, static_cast<int>(Errc::deadline));
  }
}

TEST_F(ServerTest, ConnectionsOverTheLimitAreToldToSlowDown) {
  HttpServerConfig config = on_loopback();
  config.max_connections = 2;
  start(config);
  {
    RawClient first(server_->port());
    RawClient second(server_->port());
    for (RawClient* client : {&first, &second}) {
      client->send(get("/hello"));
      EXPECT_TRUE(client->response());
    }
    RawClient third(server_->port());
    const auto response = third.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response.status, 503);
    EXPECT_NE(response.body.find("SlowDown"), std::string::npos);
  }
  Gauge& connections = metrics_.gauge("ostraka_http_connections", "");
  EXPECT_TRUE(eventually([&] { return connections.value() == 0; }));
  RawClient again(server_->port());
  again.send(get("/hello"));
  EXPECT_TRUE(again.response());
  EXPECT_GT(metrics_.counter("ostraka_http_sent_bytes_total", "").value(), 0U);
  EXPECT_GT(metrics_.counter("ostraka_http_received_bytes_total", "").value(), 0U);
}

TEST_F(ServerTest, ConnectionsAreSpreadOverTheShards) {
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 64; ++i) clients.push_back(std::make_unique<RawClient>(server_->port()));
  for (int round = 0; round < 3; ++round) {
    for (auto& client : clients) client->send(get("/hello"));
    for (auto& client : clients) EXPECT_EQ(client->response().body, "hello");
  }
  EXPECT_EQ(metrics_.gauge("ostraka_http_connections", "").value(), 64);
}

TEST_F(ServerTest, StopClosesIdleConnectionsAtOnceAndLetsRequestsFinish) {
  start();
  RawClient idle(server_->port());
  idle.send(get("/hello"));
  EXPECT_TRUE(idle.response());
  RawClient fresh(server_->port());
  RawClient busy(server_->port());
  busy.send(get("/slow") + get("/hello"));
  ASSERT_TRUE(eventually([&] { return service_.calls == 2; }));
  const TimePoint before = clock_.now();
  stop(30s);
  EXPECT_LT(clock_.now() - before, 10s);
  EXPECT_EQ(busy.response().body, "slow");
  EXPECT_EQ(busy.rest(), "");  // the second was not begun
  EXPECT_EQ(idle.rest(), "");
  EXPECT_EQ(fresh.rest(), "");
  EXPECT_FALSE(can_connect(server_->port()));
}

TEST_F(ServerTest, BeforeItStopsEachAnswerEndsItsConnection) {
  start();
  RawClient kept(server_->port());
  kept.send(get("/hello"));
  EXPECT_EQ(kept.response().header("connection"), "");
  server_->begin_leaving();
  RawClient fresh(server_->port());  // still taken
  for (RawClient* client : {&kept, &fresh}) {
    client->send(get("/hello"));
    const RawResponse last = client->response();
    EXPECT_EQ(last.body, "hello");
    EXPECT_EQ(last.header("connection"), "close");
    EXPECT_EQ(client->rest(), "");
  }
  stop(30s);
}

TEST_F(ServerTest, StopCutsWhatDoesNotFinish) {
  start();
  RawClient stuck(server_->port());
  stuck.send("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  ASSERT_TRUE(eventually([&] { return service_.calls == 1; }));
  stop(50ms);
  EXPECT_EQ(service_.last_read_error, static_cast<int>(Errc::closed));
}

TEST_F(ServerTest, ListensOnIpv6AndOnAllAddresses) {
  if (const int probe = ::socket(AF_INET6, SOCK_STREAM, 0); probe < 0) {
    GTEST_SKIP() << "no IPv6 here";
  } else {
    ::close(probe);
  }
  HttpServerConfig config = on_loopback();
  config.address = ":0";
  start(config);
  for (const bool v6 : {false, true}) {
    RawClient client(server_->port(), v6);
    client.send(get("/info"));
    EXPECT_TRUE(client.response().body.ends_with(v6 ? " ::1" : " 127.0.0.1"));
  }
  stop();
  config.address = "[::1]:0";
  start(config);
  RawClient client(server_->port(), true);
  client.send(get("/hello"));
  EXPECT_TRUE(client.response());
}

TEST_F(ServerTest, ABadAddressIsNamed) {
  start();
  const std::string taken = "127.0.0.1:" + std::to_string(server_->port());
  for (const std::string& address :
       {taken, std::string("nonsense"), std::string("300.1.1.1:80"), std::string("::1:80")}) {
    HttpServerConfig config;
    config.address = address;
    HttpServer other(shards_, service_, config, metrics_);
    const Result<> started = other.start();
    ASSERT_FALSE(started);
    EXPECT_NE(started.error().detail.find(address), std::string::npos) << started.error().detail;
    const bool says_in_use = started.error().detail.find("in use") != std::string::npos;
    EXPECT_EQ(says_in_use, address == taken) << started.error().detail;
  }
}

}  // namespace
}  // namespace ostraka::net
