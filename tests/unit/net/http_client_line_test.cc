// Who connects when, and for how long: HttpClient under a clock that stands still, with a server that does on
// the same thread only what it is told.
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <optional>

#include "net/http_client.h"
#include "net/openssl.h"
#include "test_server.h"
#include "tests/unit/cluster/stepping.h"

namespace ostraka::net {
namespace {

using namespace std::chrono_literals;

// A TLS server. Its connections are numbered in the order in which they came.
class ToldServer {
 public:
  explicit ToldServer(const Certificate& certificate)
      : context_(new_context(TLS_server_method())),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    EXPECT_TRUE(use_certificate(context_.get(), {certificate.certificate, "crt", certificate.key, "key"}));
    SSL_CTX_set_num_tickets(context_.get(), 0);  // as between nodes
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~ToldServer() {
    for (std::size_t i = 0; i < links_.size(); ++i) close(i);
    ::close(listener_);
  }
  std::uint16_t port() const { return port_; }
  std::size_t accepted() {
    for (;;) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (socket < 0) return links_.size();
      Link link{socket, SslPtr(SSL_new(context_.get()))};
      SSL_set_bio(link.session.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
      SSL_set_accept_state(link.session.get());
      links_.push_back(std::move(link));
    }
  }
  // Takes what the client sent, and answers it. True when hands are shaken.
  bool shake(std::size_t i) {
    receive(i);
    const bool shaken = SSL_do_handshake(links_[i].session.get()) == 1;
    flush(i, 1U << 20);
    return shaken;
  }
  // Answers so many bytes. False: nothing to be answered has come yet.
  bool shake_partly(std::size_t i, std::size_t bytes) {
    receive(i);
    SSL_do_handshake(links_[i].session.get());
    const bool has_answer = BIO_ctrl_pending(SSL_get_wbio(links_[i].session.get())) > bytes;
    if (has_answer) flush(i, bytes);
    return has_answer;
  }
  // Whether the client's end has taken all that was sent.
  bool is_read(std::size_t i) const {
    int unacknowledged = 0;
    return ::ioctl(links_[i].socket, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
  }
  // The target of the next request; "" when none has come yet.
  std::string target(std::size_t i) {
    receive(i);
    std::array<char, 4096> out{};
    const int got = SSL_read(links_[i].session.get(), out.data(), out.size());
    flush(i, 1U << 20);
    const std::string head(out.data(), static_cast<std::size_t>(std::max(got, 0)));
    return head.substr(std::min(head.find(' ') + 1, head.size()), head.find(" HTTP") - head.find(' ') - 1);
  }
  void answer(std::size_t i) {
    const std::string_view text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    SSL_write(links_[i].session.get(), text.data(), static_cast<int>(text.size()));
    flush(i, 1U << 20);
  }
  void close(std::size_t i) {
    if (links_[i].socket >= 0) ::close(std::exchange(links_[i].socket, -1));
  }

 private:
  struct Link {
    int socket;
    SslPtr session;
  };
  void receive(std::size_t i) {
    std::array<char, 16384> bytes{};
    for (;;) {
      const ssize_t got = ::recv(links_[i].socket, bytes.data(), bytes.size(), 0);
      if (got <= 0) return;
      BIO_write(SSL_get_rbio(links_[i].session.get()), bytes.data(), static_cast<int>(got));
    }
  }
  void flush(std::size_t i, std::size_t most) {
    std::array<char, 16384> bytes{};
    while (most > 0) {
      const int room = static_cast<int>(std::min(most, bytes.size()));
      const int have = BIO_read(SSL_get_wbio(links_[i].session.get()), bytes.data(), room);
      if (have <= 0) return;
      ASSERT_EQ(::send(links_[i].socket, bytes.data(), static_cast<std::size_t>(have), MSG_NOSIGNAL), have);
      most -= static_cast<std::size_t>(have);
    }
  }
  const std::shared_ptr<SSL_CTX> context_;
  const int listener_;
  std::uint16_t port_ = 0;
  std::deque<Link> links_;
};

constexpr Duration kTimeout = 2s;
constexpr Duration kSlack = 200ms;  // a few looks

class HttpClientLineTest : public testing::Test {
 protected:
  HttpClientLineTest()
      : here_(9, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1}),
        certificate_(make_certificate("server")),
        server_(certificate_) {
    HttpClientConfig config;
    config.tls = TlsClientContext::trust(certificate_.certificate).value();
    config.connect_timeout = kTimeout;
    config.max_connects_per_peer = 4;
    config.keep_idle = 1h;
    config.stall_timeout = 1h;
    config.on_connect = [this](const ConnectOutcome& outcome) {
      told_.push_back(outcome.connected ? "connected"
                      : outcome.silent  ? "silent"
                      : outcome.alive   ? "alive"
                                        : "refused");
    };
    client_.emplace(here_, std::move(config));
  }
  ~HttpClientLineTest() override {
    for (std::size_t i = 0; i < server_.accepted(); ++i) server_.close(i);
    pass(1min);
    EXPECT_EQ(gate_.inside(), 0U);
    client_.reset();
  }

  static Task<> fetch(HttpClient* client, ClientRequest request, std::optional<std::string>* out) {
    auto response = co_await client->request(std::move(request));
    if (!response) {
      *out = to_string(response.code());
      co_return;
    }
    auto body = co_await read_all(*response->body, 100);
    *out = body ? *body : std::string(to_string(body.code()));
  }
  // Requests /0, /1, ... in the order of the calls. What becomes of each: answers_.
  void ask(int count, TimePoint deadline = kNoDeadline) {
    for (int i = 0; i < count; ++i) {
      ClientRequest request;
      request.peer = {"127.0.0.1", server_.port()};
      request.tls = true;
      request.target = "/" + std::to_string(answers_.size());
      request.deadline = deadline;
      answers_.emplace_back();
      gate_.spawn(here_.executor(), fetch(&*client_, std::move(request), &answers_.back()));
    }
    settle();
  }
  void settle() { cluster::run_what_is_ready(here_); }
  // What one end sends reaches the other when the kernel likes.
  template <class Condition>
  bool soon(Condition condition) {
    const TimePoint until = real_clock_.now() + 10s;
    for (settle(); !condition(); settle())
      if (real_clock_.now() > until) return false;
    return true;
  }
  bool accepts(std::size_t links) {
    return soon([&] { return server_.accepted() >= links; }) && server_.accepted() == links;
  }
  void pass(Duration time) { cluster::pass_time(clock_, here_, time); }
  void shake(std::size_t link) {
    EXPECT_TRUE(soon([&] { return server_.shake(link); }));
  }
  // The target of the request that comes there, once the client has its answer.
  std::string answer(std::size_t link) {
    std::string target;
    if (!soon([&] { return !(target = server_.target(link)).empty(); })) return "nothing";
    server_.answer(link);
    const std::size_t request = std::stoul(target.substr(1));
    EXPECT_TRUE(soon([&] { return answers_[request].has_value(); })) << target;
    return target;
  }
  bool ended(std::size_t request) {
    return soon([&] { return answers_[request].has_value(); });
  }
  std::string became(std::size_t request) const { return answers_[request].value_or("nothing yet"); }

  SystemClock real_clock_;
  erasure::ManualClock clock_;
  Shard here_;  // runs on the test's thread
  const Certificate certificate_;
  ToldServer server_;
  std::vector<std::string> told_;
  std::optional<HttpClient> client_;
  Gate gate_;
  std::deque<std::optional<std::string>> answers_;
};

TEST_F(HttpClientLineTest, AFewConnectAtATimeAndTheOthersTakeTheirTurn) {
  ask(10);
  EXPECT_TRUE(accepts(4));
  shake(0);
  EXPECT_TRUE(accepts(5));  // by /4
  EXPECT_EQ(answer(0), "/0");
  EXPECT_EQ(became(0), "ok");
  EXPECT_EQ(answer(0), "/5") << "the first in line has what was given back";
  EXPECT_EQ(answer(0), "/6");
  shake(2);
  EXPECT_TRUE(accepts(6));  // by /8, as /7 was sent on the first
  EXPECT_EQ(answer(2), "/2");
  EXPECT_EQ(answer(2), "/9");
  EXPECT_EQ(answer(0), "/7");
  EXPECT_EQ(client_->idle_connections(), 2U) << "nobody stands in line";
  for (const std::size_t link : {1U, 3U, 4U, 5U}) {
    shake(link);
    answer(link);
  }
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(became(i), "ok") << i;
  EXPECT_EQ(client_->idle_connections(), 6U);
  EXPECT_TRUE(accepts(6));
}

TEST_F(HttpClientLineTest, OneThatIsRefusedTurnsTheLineAway) {
  ask(7);
  ASSERT_TRUE(accepts(4));
  server_.close(1);
  ASSERT_TRUE(ended(1));
  settle();
  EXPECT_EQ(became(0), "nothing yet");
  for (const std::size_t i : {1U, 4U, 5U, 6U}) EXPECT_EQ(became(i), to_string(Errc::unavailable)) << i;
  EXPECT_EQ(told_, std::vector<std::string>{"refused"});
  ask(1);
  EXPECT_TRUE(accepts(5)) << "the next one tries again";
}

TEST_F(HttpClientLineTest, OneThatIsRefusedByAPeerThatAcceptsOthersDoesNot) {
  ask(6);
  ASSERT_TRUE(accepts(4));
  shake(0);
  EXPECT_TRUE(accepts(5));
  server_.close(1);  // began before, and the peer has been heard of since
  ASSERT_TRUE(ended(1));
  settle();
  EXPECT_EQ(became(1), to_string(Errc::unavailable));
  EXPECT_EQ(became(5), "nothing yet");
  EXPECT_TRUE(accepts(6));
}

TEST_F(HttpClientLineTest, WhoseDeadlineComesLeavesTheLine) {
  ask(5);
  ask(2, clock_.now() + 100ms);
  ask(1);
  ASSERT_TRUE(accepts(4));
  pass(90ms);
  EXPECT_EQ(became(5), "nothing yet");
  pass(10ms);
  EXPECT_EQ(became(5), to_string(Errc::unavailable));
  EXPECT_EQ(became(6), to_string(Errc::unavailable));
  EXPECT_TRUE(told_.empty());
  shake(0);
  EXPECT_EQ(answer(0), "/0");
  EXPECT_EQ(answer(0), "/7");
  EXPECT_EQ(became(7), "ok");
}

TEST_F(HttpClientLineTest, AConnectionThatComesTooLateIsForOthers) {
  ask(1, clock_.now() + 100ms);
  ASSERT_TRUE(accepts(1));
  clock_.advance(150ms);  // no timer has run yet
  shake(0);
  ASSERT_TRUE(ended(0));
  EXPECT_EQ(became(0), to_string(Errc::deadline));
  EXPECT_EQ(client_->idle_connections(), 1U);

  ask(5);
  ASSERT_TRUE(accepts(5));  // the first of them has the one that is kept
  ask(1, clock_.now() + 100ms);
  ask(1);
  clock_.advance(150ms);
  EXPECT_EQ(answer(0), "/1");
  ASSERT_TRUE(ended(6));
  EXPECT_EQ(became(6), to_string(Errc::deadline));
  EXPECT_EQ(answer(0), "/7") << "who was next in line";
}

TEST_F(HttpClientLineTest, ASilentPeerIsGivenUpAfterTheTimeout) {
  ask(6);
  pass(kTimeout - 100ms);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(became(i), "nothing yet");
  ask(1);
  pass(100ms + kSlack);
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(became(i), to_string(Errc::unavailable)) << "in line, too: " << i;
  EXPECT_EQ(told_, std::vector<std::string>(4, "silent"));
  EXPECT_EQ(became(6), "nothing yet");
  pass(kTimeout - 100ms);
  EXPECT_EQ(became(6), to_string(Errc::unavailable));
}

TEST_F(HttpClientLineTest, TimeInWhichTheThreadStoodStillDoesNotCount) {
  ask(5);
  ASSERT_TRUE(accepts(4));
  pass(500ms);
  clock_.advance(10s);
  pass(kTimeout - 500ms - kSlack);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(became(i), "nothing yet");
  shake(0);
  EXPECT_EQ(answer(0), "/0");
  EXPECT_EQ(became(0), "ok");
}

TEST_F(HttpClientLineTest, AnswersToOthersAreSignsOfLife) {
  ask(1);
  ASSERT_TRUE(accepts(1));
  shake(0);
  answer(0);
  ask(1);  // over the same connection
  ask(1);  // connects
  ASSERT_TRUE(accepts(2));
  told_.clear();
  for (std::size_t next = 1; next < 13; next += next == 1 ? 2 : 1) {
    pass(500ms);
    EXPECT_EQ(answer(0), "/" + std::to_string(next));
    EXPECT_EQ(became(2), "nothing yet") << next;
    ask(1);
  }
  ASSERT_TRUE(told_.empty());
  pass(500ms + kSlack);
  EXPECT_EQ(told_, std::vector<std::string>{"alive"}) << "three times as long, and no longer";
  EXPECT_EQ(became(2), to_string(Errc::unavailable));
}

TEST_F(HttpClientLineTest, SoIsAPartOfAHandshake) {
  ask(2);
  ASSERT_TRUE(accepts(2));
  pass(kTimeout - kSlack);
  // Its first message, and not all of the next.
  EXPECT_TRUE(soon([&] { return server_.shake_partly(0, 200); }));
  EXPECT_TRUE(soon([&] { return server_.is_read(0); }));
  pass(kTimeout - kSlack);
  EXPECT_EQ(became(0), "nothing yet");
  EXPECT_EQ(became(1), "nothing yet");
  pass(2 * kSlack);
  EXPECT_EQ(became(0), to_string(Errc::unavailable));
  EXPECT_EQ(told_, (std::vector<std::string>{"silent", "silent"})) << "for all the timeout since";
}

TEST_F(HttpClientLineTest, WhoCannotConnectTakesWhatWasGivenBackMeanwhile) {
  ask(2);
  ASSERT_TRUE(accepts(2));
  shake(0);
  EXPECT_EQ(answer(0), "/0");
  EXPECT_EQ(client_->idle_connections(), 1U);
  server_.close(1);
  settle();
  EXPECT_EQ(answer(0), "/1");
  EXPECT_EQ(became(1), "ok");
}

TEST_F(HttpClientLineTest, AnAbortIsNoRefusal) {
  ask(5);
  ASSERT_TRUE(accepts(4));
  client_->abort();
  ASSERT_TRUE(ended(3));
  settle();
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(became(i), to_string(Errc::unavailable)) << i;
  EXPECT_EQ(became(4), "nothing yet");
  ASSERT_TRUE(accepts(5));
  shake(4);
  EXPECT_EQ(answer(4), "/4");
}

}  // namespace
}  // namespace ostraka::net
