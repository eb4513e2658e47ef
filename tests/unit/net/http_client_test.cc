#include "net/http_client.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "runtime/fs.h"
#include "test_server.h"

namespace ostraka::net {
namespace {

using namespace std::chrono_literals;

struct Answer {
  unsigned status = 0;
  std::string body;
  std::string why;  // of a failure
  Errc code = Errc::internal;
};

Task<Answer> fetch(HttpClient* client, ClientRequest request) {
  Answer out;
  auto response = co_await client->request(std::move(request));
  if (!response) {
    out.why = response.error().detail;
    out.code = response.code();
    co_return out;
  }
  out.status = response->status;
  auto body = co_await read_all(*response->body, 64U << 20);
  if (!body) {
    out.code = body.code();
    out.why = body.error().detail;
    co_return out;
  }
  out.body = std::move(*body);
  co_return out;
}

// So many bytes, of one letter.
class Letters final : public BodySource {
 public:
  explicit Letters(std::size_t count) : left_(count) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    const std::size_t now = std::min(left_, out.size());
    std::memset(out.data(), 'l', now);
    left_ -= now;
    co_return now;
  }

 private:
  std::size_t left_;
};

// Answers each connection with the next text, after its request's head has come, and closes it.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::string> answers) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answers = std::move(answers)] {
      for (const std::string& answer : answers) {
        const int socket = ::accept(listener_, nullptr, nullptr);
        std::string head;
        char c = 0;
        while (!head.ends_with("\r\n\r\n") && ::recv(socket, &c, 1, 0) == 1) head += c;
        ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
        ::shutdown(socket, SHUT_WR);
        while (::recv(socket, &c, 1, 0) == 1) {
        }
        ::close(socket);
      }
    });
  }
  ~ScriptedServer() {
    thread_.join();
    ::close(listener_);
  }
  std::uint16_t port() const { return port_; }

 private:
  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

class HttpClientTest : public ServerTest {
 protected:
  ClientRequest to(const std::string& target, std::uint16_t port = 0) {
    ClientRequest request;
    request.peer = {"127.0.0.1", port != 0 ? port : server_->port()};
    request.target = target;
    return request;
  }
  Answer run(HttpClient& client, ClientRequest request) {
    return run_to_end(here_, fetch(&client, std::move(request)));
  }
};

TEST_F(HttpClientTest, KeepsItsConnection) {
  start();
  HttpClient client(here_, {});
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(run(client, to("/hello")).body, "hello");
    EXPECT_EQ(client.idle_connections(), 1U);
  }
  EXPECT_EQ(metrics_.gauge("ostraka_http_connections", "").value(), 1);
}

TEST_F(HttpClientTest, SendsAndReceivesBodies) {
  start();
  HttpClient client(here_, {});
  ClientRequest small = to("/echo");
  small.method = "POST";
  small.body = "abc";
  EXPECT_EQ(run(client, std::move(small)).body, "abc");
  for (const bool chunked : {false, true}) {
    Letters letters(5'000'001);
    ClientRequest streamed = to("/echo");
    streamed.method = "PUT";
    streamed.source = &letters;
    if (!chunked) streamed.source_length = 5'000'001;
    EXPECT_EQ(run(client, std::move(streamed)).body, std::string(5'000'001, 'l'));
  }
  EXPECT_EQ(run(client, to("/chunked/1000000")).body.size(), 1'000'000U);
  ClientRequest head = to("/big/77");
  head.method = "HEAD";
  const Answer answer = run(client, std::move(head));
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(run(client, to("/204")).status, 204U);
  EXPECT_EQ(client.idle_connections(), 1U);
}

TEST_F(HttpClientTest, ASourceShorterThanAnnouncedIsAnError) {
  start();
  HttpClient client(here_, {});
  Letters letters(10);
  ClientRequest request = to("/echo");
  request.method = "PUT";
  request.source = &letters;
  request.source_length = 11;
  EXPECT_EQ(run(client, std::move(request)).code, Errc::incomplete_body);
  EXPECT_EQ(client.idle_connections(), 0U);
}

Task<unsigned> fetch_head_only(HttpClient* client, ClientRequest request) {
  auto response = co_await client->request(std::move(request));
  co_return response ? response->status : 0;
}
TEST_F(HttpClientTest, AnUnreadBodyClosesTheConnection) {
  start();
  HttpClient client(here_, {});
  EXPECT_EQ(run_to_end(here_, fetch_head_only(&client, to("/big/5000000"))), 200U);
  EXPECT_EQ(client.idle_connections(), 0U);
}

TEST_F(HttpClientTest, AConnectionThatTheServerClosedIsNotUsed) {
  start();
  HttpClient client(here_, {});
  EXPECT_EQ(run(client, to("/hello")).body, "hello");
  const std::uint16_t port = server_->port();
  stop();
  HttpServerConfig config;
  config.address = "127.0.0.1:" + std::to_string(port);
  start(config);
  EXPECT_EQ(run(client, to("/hello")).body, "hello");
}

TEST_F(HttpClientTest, AnswersOfOtherServers) {
  const std::vector<std::pair<std::string, std::string>> good = {
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"},
      {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", "ok"},
  };
  const std::vector<std::pair<std::string, Errc>> bad = {
      {"", Errc::closed},
      {"HTTP/1.1 200", Errc::closed},
      {"SSH-2.0-OpenSSH\r\n\r\n", Errc::malformed},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", Errc::incomplete_body},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", Errc::incomplete_body},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", Errc::malformed},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Errc::malformed},
  };
  std::vector<std::string> script;
  for (const auto& [text, body] : good) script.push_back(text);
  for (const auto& [text, code] : bad) script.push_back(text);
  ScriptedServer server(script);
  HttpClientConfig config;
  config.max_idle_per_peer = 0;  // a connection a text
  HttpClient client(here_, config);
  for (const auto& [text, body] : good) {
    const Answer answer = run(client, to("/", server.port()));
    EXPECT_EQ(answer.status, 200U) << text << answer.why;
    EXPECT_EQ(answer.body, body);
  }
  for (const auto& [text, code] : bad) EXPECT_EQ(run(client, to("/", server.port())).code, code) << text;
}

TEST_F(HttpClientTest, DeadlinesHold) {
  start();
  HttpClientConfig config;
  config.stall_timeout = 50ms;
  HttpClient impatient(here_, config);
  EXPECT_EQ(run(impatient, to("/slow")).code, Errc::deadline);
  HttpClient client(here_, {});
  ClientRequest request = to("/slow");
  request.deadline = clock_.now() + 20ms;
  EXPECT_EQ(run(client, std::move(request)).code, Errc::deadline);
  ClientRequest late = to("/hello");
  late.deadline = clock_.now() - 1ms;
  EXPECT_EQ(run(client, std::move(late)).code, Errc::deadline);
}

TEST_F(HttpClientTest, AnUnreachablePeerIsUnavailableAndNamed) {
  start();
  const std::uint16_t port = server_->port();
  stop();
  HttpClient client(here_, {});
  const Answer answer = run(client, to("/", port));
  EXPECT_EQ(answer.code, Errc::unavailable);
  EXPECT_NE(answer.why.find("127.0.0.1:" + std::to_string(port)), std::string::npos) << answer.why;
}

TEST_F(HttpClientTest, GathersABodyFromItsParts) {
  start();
  HttpClient client(here_, {});
  const std::string first(70'000, 'f'), second(300'000, 's');
  ClientRequest request = to("/echo");
  request.method = "POST";
  request.body = "head";
  request.parts = {as_bytes(first), ByteSpan(), as_bytes(second)};
  EXPECT_EQ(run(client, std::move(request)).body, "head" + first + second);
}

TEST_F(HttpClientTest, LooksNamesUp) {
  start();
  HttpClient client(here_, {});
  for (int i = 0; i < 2; ++i) {
    ClientRequest request = to("/info");
    request.peer.host = "localhost";
    EXPECT_TRUE(run(client, std::move(request)).body.ends_with(" 127.0.0.1"));
  }
  EXPECT_EQ(client.idle_connections(), 1U);
}

TEST_F(HttpClientTest, TellsHowConnectingWent) {
  start();
  std::vector<std::string> told;
  HttpClientConfig config;
  config.on_connect = [&told](const ConnectOutcome& outcome) {
    told.push_back(outcome.tls_name + (outcome.connected ? " connected" : " failed") +
                   (outcome.why.empty() ? "" : " why"));
  };
  HttpClient client(here_, config);
  const auto ask = [&](const std::string& name, bool may_connect) {
    ClientRequest request = to("/hello");
    request.tls_name = name;
    request.may_connect = may_connect;
    return run(client, std::move(request)).code;
  };
  EXPECT_EQ(ask("one", false), Errc::unavailable);
  EXPECT_TRUE(told.empty());
  ask("one", true);
  ask("one", false);  // over the one that is kept
  EXPECT_EQ(service_.calls, 2);
  stop();
  EXPECT_EQ(ask("two", true), Errc::unavailable);
  EXPECT_EQ(told, (std::vector<std::string>{"one connected", "two failed why"}));
}

TEST_F(HttpClientTest, ARequestCannotSmuggleAnother) {
  start();
  HttpClient client(here_, {});
  ClientRequest request = to("/hello HTTP/1.1\r\nHost: h\r\n\r\nGET /x");
  EXPECT_EQ(run(client, std::move(request)).code, Errc::invalid_argument);
  ClientRequest header = to("/hello");
  header.headers.add("X", "a\r\nY: b");
  EXPECT_EQ(run(client, std::move(header)).code, Errc::invalid_argument);
  EXPECT_EQ(service_.calls, 0);
}

class TlsTest : public HttpClientTest {
 protected:
  TlsTest() {
    std::string pattern = testing::TempDir() + "ostraka-tls-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~TlsTest() override {
    stop();
    std::filesystem::remove_all(folder_);
  }
  void start_tls(const Certificate& certificate, Duration refresh = 10s) {
    write_certificate(folder_, certificate);
    auto tls = TlsContext::load(fs_, folder_);
    ASSERT_TRUE(tls) << tls.error().detail;
    HttpServerConfig config;
    config.tls = *tls;
    config.tls_refresh = refresh;
    start(config);
  }
  static HttpClientConfig trusting(const Certificate& certificate) {
    HttpClientConfig config;
    config.tls = TlsClientContext::trust(certificate.certificate).value();
    return config;
  }
  ClientRequest secure(const std::string& target) {
    ClientRequest request = to(target);
    request.tls = true;
    return request;
  }
  PosixFs fs_;
  std::string folder_;
};

TEST_F(TlsTest, ServesOverTls) {
  const Certificate certificate = make_certificate("one");
  start_tls(certificate);
  HttpClient client(here_, trusting(certificate));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(run(client, secure("/info")).body.ends_with("127.0.0.1 tls"));
  EXPECT_EQ(metrics_.gauge("ostraka_http_connections", "").value(), 1);
  Letters letters(3'000'000);
  ClientRequest request = secure("/echo");
  request.method = "PUT";
  request.source = &letters;
  request.source_length = 3'000'000;
  EXPECT_EQ(run(client, std::move(request)).body, std::string(3'000'000, 'l'));
  const Answer big = run(client, secure("/big/7000001"));
  ASSERT_EQ(big.body.size(), 7000001U) << big.why;
  for (std::size_t i = 0; i < big.body.size(); i += 997) ASSERT_EQ(big.body[i], 'a' + i % 300000 % 23);
  EXPECT_EQ(run(client, secure("/short")).code, Errc::closed);
}

TEST_F(TlsTest, StrangersAreNotTrustedAndPlainClientsGetNothing) {
  start_tls(make_certificate("one"));
  HttpClient client(here_, trusting(make_certificate("one")));
  const Answer answer = run(client, secure("/hello"));
  EXPECT_EQ(answer.code, Errc::unavailable);
  EXPECT_NE(answer.why.find("TLS"), std::string::npos) << answer.why;
  RawClient plain(server_->port());
  plain.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_FALSE(plain.response());
  EXPECT_EQ(service_.calls, 0);
  HttpClient without(here_, {});
  EXPECT_EQ(run(without, secure("/hello")).code, Errc::invalid_argument);
}

TEST_F(TlsTest, ASilentClientIsCutOffInTheHandshake) {
  write_certificate(folder_, make_certificate("one"));
  HttpServerConfig config;
  config.tls = TlsContext::load(fs_, folder_).value();
  config.head_timeout = 50ms;
  start(config);
  RawClient silent(server_->port());
  EXPECT_EQ(silent.rest(), "");
}

TEST_F(TlsTest, ANewCertificateIsTakenAndABadOneIsNot) {
  const Certificate first = make_certificate("first");
  const Certificate second = make_certificate("second");
  start_tls(first, 5ms);
  HttpClientConfig for_first = trusting(first);
  HttpClientConfig for_second = trusting(second);
  for_first.max_idle_per_peer = 0;
  for_second.max_idle_per_peer = 0;
  HttpClient old_client(here_, for_first);
  HttpClient new_client(here_, for_second);
  EXPECT_EQ(run(old_client, secure("/hello")).body, "hello");
  EXPECT_EQ(run(new_client, secure("/hello")).code, Errc::unavailable);
  write_certificate(folder_, second);
  bool taken = false;
  for (int i = 0; i < 2000 && !taken; ++i) {
    taken = run(new_client, secure("/hello")).body == "hello";
    if (!taken) std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(taken);
  ASSERT_TRUE(fs_.write_file(folder_ + "/private.key", first.key));  // does not fit
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(5ms);
    EXPECT_EQ(run(new_client, secure("/hello")).body, "hello");
  }
}

TEST_F(TlsTest, LoadNamesWhatIsWrong) {
  EXPECT_TRUE(TlsContext::load(fs_, folder_).failed_with(Errc::not_found));
  const Certificate certificate = make_certificate("one");
  write_certificate(folder_, {certificate.certificate, "nonsense"});
  auto loaded = TlsContext::load(fs_, folder_);
  ASSERT_TRUE(loaded.failed_with(Errc::malformed));
  EXPECT_NE(loaded.error().detail.find("private.key"), std::string::npos);
  write_certificate(folder_, {"nonsense", certificate.key});
  loaded = TlsContext::load(fs_, folder_);
  ASSERT_TRUE(loaded.failed_with(Errc::malformed));
  EXPECT_NE(loaded.error().detail.find("public.crt"), std::string::npos);
  write_certificate(folder_, {certificate.certificate, make_certificate("two").key});
  EXPECT_TRUE(TlsContext::load(fs_, folder_).failed_with(Errc::malformed));
  EXPECT_TRUE(TlsClientContext::trust("nonsense").failed_with(Errc::malformed));
}

}  // namespace
}  // namespace ostraka::net
