// Calls between nodes over loopback: two ends with certificates of one cluster, and scripted servers without.
#include "cluster/http_transport.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

#include "../net/test_pki.h"
#include "base/encoding.h"
#include "cluster/limits.h"
#include "cluster/namesake.h"
#include "cluster/peer_breaker.h"
#include "cluster/peer_frame.h"
#include "cluster/peer_server.h"
#include "net/http_server.h"
#include "runtime/fan_out.h"
#include "scripted_peer.h"

namespace ostraka::cluster {
namespace {

using namespace std::chrono_literals;

std::string text_of(const BufferChain& chain) {
  std::string out;
  for (const Slice& slice : chain) out += as_text(slice.bytes);
  return out;
}

std::string pattern(std::size_t bytes) {
  std::string out(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>(i * 31 + i / 251);
  return out;
}

// The method says what to do.
class TestPeer final : public PeerService {
 public:
  Task<Result<PeerAnswer>> serve(Ctx& ctx, const NodeName& from, PeerCall call) override {
    ++calls;
    PeerAnswer answer;
    if (call.method == "test.echo") {
      answer.head = from + ":" + ctx.request_id + ":" + call.head;
      answer.body = std::move(call.body);
    } else if (call.method == "test.unhashed") {
      answer.body = std::move(call.body);
      answer.body_hash = Hash128();
    } else if (call.method == "test.fail") {
      co_return tl::unexpected<Error>(decode_error(call.head));
    } else if (call.method == "test.left") {
      const Duration left = ctx.deadline - ctx.shard.clock().now();
      answer.head = ctx.deadline == kNoDeadline ? "none" : std::to_string(left / 1ms);
    } else if (call.method == "test.sleep") {
      co_await sleep_for(ctx.shard.clock(), std::chrono::milliseconds(parse_u64(call.head).value()));
    } else if (call.method == "test.hang") {
      most_inside = std::max(most_inside.load(), ++inside);
      while (!released) co_await sleep_for(ctx.shard.clock(), 5ms);
      --inside;
    } else if (call.method == "test.large") {
      answer.body = chain_of({std::string(kMaxPeerBody + 1, 'x')});
    } else {
      co_return fail(Errc::unsupported_version, "no " + call.method);
    }
    co_return answer;
  }
  std::atomic<int> calls{0};
  std::atomic<bool> released{false};           // what hangs goes on
  std::atomic<int> inside{0}, most_inside{0};  // that hang
};

class TransportTest : public ::testing::Test {
 protected:
  TransportTest()
      : here_(9, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1}),
        shards_(2, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1}),
        peers_({&shards_[0], &shards_[1]}, metrics_,
               {.self = "node1", .build = "test", .body_bytes_per_shard = kMaxPeerBody}) {
    std::string folder = ::testing::TempDir() + "ostraka-transport-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    tls1_ = tls("node1", pki_, pki_.authority().certificate);
    tls2_ = tls("node2", pki_, pki_.authority().certificate);
    peers_.set_service("test.", &service_);
    shards_.start();
  }
  ~TransportTest() override {
    if (transport_) run_to_end(here_, transport_->close());
    transport_.reset();
    stop();
    shards_.stop();
    std::filesystem::remove_all(folder_);
  }
  std::shared_ptr<net::PeerTls> tls(const std::string& node, const net::TestPki& pki,
                                    const std::string& authorities) {
    net::write_peer_folder(folder_ + "/" + node, authorities, pki.node(node));
    return net::PeerTls::load(fs_, folder_ + "/" + node).value();
  }
  void serve(std::uint16_t port = 0) {
    net::HttpServerConfig config;
    config.address = "127.0.0.1:" + std::to_string(port);
    config.peers = net::PeerPort{.tls = tls1_, .service = &peers_};
    server_ = std::make_unique<net::HttpServer>(shards_, nobody_, config, metrics_);
    const Result<> started = server_->start();
    ASSERT_TRUE(started) << started.error().detail;
    port_ = server_->port();
  }
  void stop() {
    if (server_) run_to_end(here_, server_->stop(10s));
    server_.reset();
  }
  // As node2, to node1 at `port`.
  void connect(std::uint16_t port, std::shared_ptr<const net::TlsConnector> as) {
    HttpTransportConfig config;
    config.tls = std::move(as);
    config.connect_timeout = 1s;
    config.stall_timeout = stall_timeout_;
    transport_ =
        std::make_unique<HttpTransport>(std::vector<Shard*>{&here_}, random_, metrics_, std::move(config));
    transport_->set_nodes({{"node1", {"127.0.0.1", port}}});
  }
  void serve_and_connect() {
    serve();
    connect(port_, tls2_);
  }
  Result<PeerAnswer> call(const std::string& method, std::string head = {}, BufferChain body = {},
                          std::vector<disk::BlockTarget> into = {}, Duration time = 20s,
                          const NodeName& node = "node1") {
    Ctx ctx{here_, clock_.now() + time, "REQ1"};
    PeerCall made{method, std::move(head), std::move(body)};
    return run_to_end(here_, transport_->call(ctx, node, std::move(made), std::move(into)));
  }
  std::uint64_t count(const char* name) { return metrics_.counter(name, "", {{"peer", "node1"}}).value(); }

  // Where nobody is a client of S3.
  class Nobody final : public net::Service {
   public:
    Task<> serve(Ctx&, net::RequestHead&, net::BodySource&, net::ResponseSink&) override { co_return; }
  };

  SystemClock clock_;
  SystemRandom random_;
  PosixFs fs_;
  MetricRegistry metrics_;
  net::TestPki pki_;
  std::string folder_;
  std::shared_ptr<net::PeerTls> tls1_, tls2_;
  Shard here_;  // runs on the test's thread
  ShardPool shards_;
  TestPeer service_;
  PeerServer peers_;
  Nobody nobody_;
  std::unique_ptr<net::HttpServer> server_;
  std::uint16_t port_ = 0;
  std::unique_ptr<HttpTransport> transport_;
  Duration stall_timeout_ = 60s;
};

Task<> request_stop_once_served(Clock* clock, TestPeer* peer, std::shared_ptr<CallStop> stop) {
  while (peer->calls == 0) co_await sleep_for(*clock, 1ms);
  stop->request();
}

TEST_F(TransportTest, ACallCanBeEndedWhileANodeHangs) {
  serve_and_connect();
  Ctx ctx{here_, clock_.now() + 60s, "REQ1"};
  PeerCall made{"test.hang", "head", chain_of({std::string(100'000, 'x')})};
  made.stop = std::make_shared<CallStop>();
  Gate gate;
  gate.spawn(here_.executor(), request_stop_once_served(&clock_, &service_, made.stop));
  const auto answer = run_to_end(here_, transport_->call(ctx, "node1", std::move(made), {}));
  EXPECT_TRUE(answer.failed_with(Errc::closed));
  service_.released = true;
  run_to_end(here_, gate.close());
  EXPECT_TRUE(call("test.echo")) << "others go on";
}

TEST_F(TransportTest, ABodyWithoutAHashIsForCallersThatCheckIt) {
  serve_and_connect();
  const std::string body = pattern(100'000);
  EXPECT_TRUE(call("test.unhashed", "", chain_of({body})).failed_with(Errc::corrupt));
  Ctx ctx{here_, clock_.now() + 20s, "REQ1"};
  PeerCall made{"test.unhashed", "", chain_of({body})};
  made.checks_body = true;
  const auto answer = run_to_end(here_, transport_->call(ctx, "node1", std::move(made), {}));
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(text_of(answer->body), body);
}

TEST_F(TransportTest, CarriesHeadsAndBodiesBothWays) {
  serve_and_connect();
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{174'763}, kMaxPeerBody}) {
    const std::string body = pattern(bytes);
    const std::size_t half = bytes / 2;
    BufferChain sent = bytes == 0 ? BufferChain() : chain_of({body.substr(0, half), body.substr(half)});
    const auto answer = call("test.echo", "head", sent);
    ASSERT_TRUE(answer) << answer.error().detail;
    EXPECT_EQ(answer->head, "node2:REQ1:head");
    EXPECT_EQ(text_of(answer->body), body);
    if (bytes < 2) continue;
    // Into blocks that were there before.
    std::vector<disk::BlockTarget> into;
    std::vector<Buffer> buffers{Buffer::on_heap(100), Buffer::on_heap(bytes - 100)};
    for (const Buffer& buffer : buffers) into.push_back(disk::BlockTarget{buffer, buffer.span()});
    const auto filled = call("test.echo", "", std::move(sent), std::move(into));
    ASSERT_TRUE(filled) << filled.error().detail;
    EXPECT_TRUE(filled->body.empty());
    EXPECT_EQ(std::string(as_text(buffers[0].span())) + std::string(as_text(buffers[1].span())), body);
  }
  EXPECT_EQ(metrics_.gauge("ostraka_http_connections", "").value(), 1);
  EXPECT_EQ(count("ostraka_peer_calls_total"), 6U);
  EXPECT_EQ(count("ostraka_peer_errors_total"), 0U);
  const std::string long_head = pattern(1'000'000);
  EXPECT_EQ(call("test.echo", long_head).value().head, "node2:REQ1:" + long_head);
}

TEST_F(TransportTest, ErrorsTravelWithCodeAndDetail) {
  serve_and_connect();
  for (unsigned i = 0; i <= static_cast<unsigned>(Errc::internal); ++i) {
    const auto answer = call("test.fail", encode_error({static_cast<Errc>(i), "it says why"}));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.code(), static_cast<Errc>(i));
    EXPECT_EQ(answer.error().detail, "it says why");
  }
  const auto newer = call("test.fail", "\x05later" + std::string("detail"));
  EXPECT_TRUE(newer.failed_with(Errc::internal));
  EXPECT_TRUE(call("test.large").failed_with(Errc::internal));
  EXPECT_EQ(metrics_.gauge("ostraka_http_connections", "").value(), 1);
}

TEST_F(TransportTest, CallsThatANodeDoesNotKnow) {
  serve_and_connect();
  for (const char* method : {"test.other", "drive.commit", "nodots"}) {
    EXPECT_TRUE(call(method, "head", chain_of({pattern(50'000)})).failed_with(Errc::unsupported_version));
    EXPECT_TRUE(
        call(method, "head", chain_of({pattern(kMaxPeerBody)})).failed_with(Errc::unsupported_version));
    EXPECT_TRUE(call("test.echo"));
  }
  peers_.set_service("test.", nullptr);
  EXPECT_TRUE(call("test.echo").failed_with(Errc::unavailable));
}

TEST_F(TransportTest, DeadlinesTravel) {
  serve_and_connect();
  const auto left = call("test.left", "", {}, {}, 7s);
  ASSERT_TRUE(left);
  EXPECT_LE(parse_u64(left->head).value(), 7001U);
  EXPECT_GT(parse_u64(left->head).value(), 4000U);
  Ctx unhurried{here_, kNoDeadline, ""};
  PeerCall made{"test.left", "", {}};
  EXPECT_EQ(run_to_end(here_, transport_->call(unhurried, "node1", std::move(made), {})).value().head,
            "none");
  const int before = service_.calls;
  EXPECT_TRUE(call("test.echo", "", {}, {}, -1ms).failed_with(Errc::deadline));
  EXPECT_EQ(service_.calls, before);
  EXPECT_TRUE(call("test.sleep", "300", {}, {}, 60ms).failed_with(Errc::deadline));
  EXPECT_TRUE(call("test.echo"));
}

TEST_F(TransportTest, ACallMayWorkForAsLongAsItsDeadlineSays) {
  stall_timeout_ = 50ms;
  serve_and_connect();
  EXPECT_TRUE(call("test.sleep", "400"));
  Ctx unhurried{here_, kNoDeadline, ""};
  PeerCall made{"test.sleep", "400", {}};
  EXPECT_TRUE(run_to_end(here_, transport_->call(unhurried, "node1", std::move(made), {}))
                  .failed_with(Errc::deadline));
}

TEST_F(TransportTest, WhatIsOverTheLimitIsNotSent) {
  serve_and_connect();
  EXPECT_TRUE(call("test.echo", std::string(kMaxPeerHead + 1, 'x')).failed_with(Errc::invalid_argument));
  EXPECT_TRUE(call("test.echo", "", chain_of({std::string(kMaxPeerBody + 1, 'x')}))
                  .failed_with(Errc::invalid_argument));
  EXPECT_TRUE(call("test/echo").failed_with(Errc::invalid_argument));
  EXPECT_EQ(service_.calls, 0);
}

TEST_F(TransportTest, AnAnswerOfAnotherSizeThanExpectedIsMalformed) {
  serve_and_connect();
  const Buffer buffer = Buffer::on_heap(10);
  std::vector<disk::BlockTarget> into{disk::BlockTarget{buffer, buffer.span()}};
  EXPECT_TRUE(call("test.echo", "", chain_of({"nine more"}), into).failed_with(Errc::malformed));
  EXPECT_TRUE(call("test.echo", "", chain_of({"ten bytes."}), into));
  EXPECT_TRUE(call("test.echo", "", {}, into));  // none at all leaves them alone
  EXPECT_EQ(as_text(buffer.span()), "ten bytes.");
}

TEST_F(TransportTest, ARestartedNodeIsFoundAgain) {
  serve_and_connect();
  EXPECT_TRUE(call("test.echo"));
  stop();
  serve(port_);
  EXPECT_TRUE(call("test.echo"));  // the kept connection was seen to be dead before a byte was sent
  EXPECT_EQ(service_.calls, 2);
}

TEST_F(TransportTest, ANodeThatIsAwayFailsFastAndIsFoundAgain) {
  serve();
  connect(port_, tls2_);
  EXPECT_TRUE(call("test.echo", "", {}, {}, 20s, "node7").failed_with(Errc::unavailable));
  EXPECT_FALSE(transport_->refused_at("node7"));
  EXPECT_TRUE(call("test.echo"));
  EXPECT_FALSE(transport_->refused_at("node1"));
  const TimePoint stopped = here_.clock().now();
  stop();
  for (unsigned i = 0; i < kBreakerFailures; ++i)
    EXPECT_TRUE(call("test.echo").failed_with(Errc::unavailable));
  Gauge& unreachable = metrics_.gauge("ostraka_peer_unreachable", "", {{"peer", "node1"}});
  EXPECT_EQ(unreachable.value(), 1);
  EXPECT_GE(transport_->refused_at("node1"), stopped);
  const auto refused = call("test.echo");
  ASSERT_TRUE(refused.failed_with(Errc::unavailable));
  EXPECT_NE(refused.error().detail.find("no connection is kept"), std::string::npos)
      << refused.error().detail;
  serve(port_);
  bool reached = false;
  for (int i = 0; i < 2000 && !reached; ++i) {
    reached = call("test.echo").has_value();
    if (!reached) std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(reached);
  EXPECT_EQ(unreachable.value(), 0);
  EXPECT_FALSE(transport_->refused_at("node1"));
}

TEST_F(TransportTest, AnotherProcessOfTheSameNameIsFound) {
  serve();
  const auto check = [this](const std::shared_ptr<net::PeerTls>& as, const NodeName& self) {
    return run_to_end(here_, check_no_namesake(here_, random_, as, self, {"127.0.0.1", port_}));
  };
  const Result<> found = check(tls1_, "node1");
  ASSERT_TRUE(found.failed_with(Errc::unavailable));
  EXPECT_EQ(found.error().detail.find("another process runs as node1 at 127.0.0.1:"), 0U)
      << found.error().detail;
  EXPECT_TRUE(check(tls2_, "node2")) << "what answers there is somebody else";
  stop();
  EXPECT_TRUE(check(tls1_, "node1"));
}

TEST_F(TransportTest, ANodeThatDoesNotTrustUsIsUnavailable) {
  serve();
  const net::TestPki other;
  connect(port_, tls("node2", other, pki_.authority().certificate + other.authority().certificate));
  for (unsigned i = 0; i < kBreakerFailures; ++i) {
    const auto answer = call("test.echo");
    EXPECT_TRUE(answer.failed_with(Errc::unavailable));
    EXPECT_NE(answer.error().detail.find("alert"), std::string::npos) << answer.error().detail;
  }
  EXPECT_EQ(metrics_.gauge("ostraka_peer_unreachable", "", {{"peer", "node1"}}).value(), 1);
  EXPECT_EQ(service_.calls, 0);
}

TEST_F(TransportTest, OnlyTheNodeThatWasMeantIsCalled) {
  serve();
  connect(port_, tls2_);
  transport_->set_nodes({{"node3", {"127.0.0.1", port_}}});
  const auto answer = call("test.echo", "", {}, {}, 20s, "node3");
  ASSERT_TRUE(answer.failed_with(Errc::unavailable));
  EXPECT_NE(answer.error().detail.find("of the node node1, not of node3"), std::string::npos);
  EXPECT_TRUE(call("test.echo").failed_with(Errc::unavailable));  // no longer a node
}

TEST_F(TransportTest, HelloTellsWhoIsThere) {
  serve_and_connect();
  Ctx ctx{here_, clock_.now() + 20s, "REQ1"};
  const auto hello = run_to_end(here_, transport_->hello(ctx, "node1"));
  ASSERT_TRUE(hello) << hello.error().detail;
  EXPECT_EQ(hello->node, "node1");
  EXPECT_EQ(hello->build, "test");
  EXPECT_EQ(hello->oldest_version, 1U);
  EXPECT_EQ(hello->newest_version, 1U);
}

// The server has room for one largest body a shard: calls wait for each other, and all get through.
TEST_F(TransportTest, BodiesWaitForMemory) {
  serve_and_connect();
  Gate gate;
  const auto fan = std::make_shared<FanOut<Result<PeerAnswer>>>(4);
  const std::string body = pattern(kMaxPeerBody - 1000);
  std::vector<Ctx> contexts(4, Ctx{here_, clock_.now() + 20s, "REQ1"});
  const NodeName node = "node1";
  for (std::size_t i = 0; i < 4; ++i) {
    PeerCall made{"test.echo", "", chain_of({body})};
    fan->start(here_.executor(), gate, i, transport_->call(contexts[i], node, std::move(made), {}));
  }
  EXPECT_TRUE(run_to_end(here_, fan->wait_all(clock_, kNoDeadline)));
  for (const auto& answer : fan->answers()) {
    ASSERT_TRUE(answer->has_value()) << answer->error().detail;
    EXPECT_TRUE(text_of((*answer)->body) == body);
  }
  run_to_end(here_, gate.close());
}

Task<> release_when(Clock* clock, TestPeer* peer, int inside, Duration at_last) {
  const TimePoint until = clock->now() + at_last;
  while (peer->inside < inside && clock->now() < until) co_await sleep_for(*clock, 1ms);
  peer->released = true;
}

TEST_F(TransportTest, SoDoLargeHeads) {
  serve_and_connect();
  Gate gate;
  constexpr std::size_t kCalls = 6;
  const auto fan = std::make_shared<FanOut<Result<PeerAnswer>>>(kCalls);
  const std::string head(kMaxPeerBody / 2 + 1, 'x');
  std::vector<Ctx> contexts(kCalls, Ctx{here_, clock_.now() + 20s, "REQ1"});
  const NodeName node = "node1";
  gate.spawn(here_.executor(), release_when(&clock_, &service_, kCalls, 300ms));
  for (std::size_t i = 0; i < kCalls; ++i) {
    PeerCall made{"test.hang", head, {}};
    fan->start(here_.executor(), gate, i, transport_->call(contexts[i], node, std::move(made), {}));
  }
  EXPECT_TRUE(run_to_end(here_, fan->wait_all(clock_, kNoDeadline)));
  for (const auto& answer : fan->answers()) EXPECT_TRUE(answer->has_value()) << answer->error().detail;
  EXPECT_LE(service_.most_inside, 2) << "one on each shard";
  EXPECT_TRUE(call("test.echo", std::string(2 * kMaxPeerBody, 'x'))) << "more than all there is goes alone";
  run_to_end(here_, gate.close());
}

TEST_F(TransportTest, ABrokenConnectionIsClosedAndNothingIsSentTwice) {
  const std::string good = ScriptedPeer::answer("h", "body", "test.echo");
  ScriptedPeer peer({{ScriptedPeer::hello(), good, ""},
                     {ScriptedPeer::hello(), good.substr(0, good.size() - 2)},
                     {ScriptedPeer::hello(), good.substr(0, 30)},
                     {ScriptedPeer::hello(), good}});
  connect(peer.port(), nullptr);
  EXPECT_TRUE(call("test.echo"));
  EXPECT_EQ(peer.posts(), 1);
  EXPECT_TRUE(call("test.echo").failed_with(Errc::closed));  // read, and then silence
  EXPECT_EQ(peer.posts(), 2);
  EXPECT_TRUE(call("test.echo").failed_with(Errc::closed));  // in the middle of a body
  EXPECT_TRUE(call("test.echo").failed_with(Errc::closed));  // in the middle of a head
  EXPECT_EQ(peer.posts(), 4);
  EXPECT_TRUE(call("test.echo"));
  EXPECT_EQ(peer.posts(), 5);
}

TEST_F(TransportTest, AnAnswerThatStallsInItsBodyEndsAtTheDeadline) {
  const std::string good = ScriptedPeer::answer("h", "body", "test.echo");
  ScriptedPeer peer({{ScriptedPeer::hello(), good.substr(0, good.size() - 2), good}});
  connect(peer.port(), nullptr);
  EXPECT_TRUE(call("test.echo", "", {}, {}, 100ms).failed_with(Errc::deadline));
  EXPECT_EQ(peer.posts(), 1);
}

TEST_F(TransportTest, BytesThatAreNotWhatWasSentAreCorrupt) {
  const std::string method = "test.echo";
  const std::string good = ScriptedPeer::answer("head", "body", method);
  std::vector<std::string> script{ScriptedPeer::hello()};
  for (const std::size_t at : {good.size() - 4, good.size() - 1}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    script.push_back(bad);
  }
  script.push_back(good);
  ScriptedPeer peer({script});
  connect(peer.port(), nullptr);
  EXPECT_TRUE(call(method).failed_with(Errc::corrupt));
  EXPECT_TRUE(call(method).failed_with(Errc::corrupt));
  EXPECT_TRUE(call(method));
}

TEST_F(TransportTest, AFrameThatIsNotOneEndsItsConnection) {
  const std::string method = "test.echo";
  std::string flipped = ScriptedPeer::answer("head", "body", method);
  flipped[flipped.size() - 30] = static_cast<char>(flipped[flipped.size() - 30] ^ 4);
  std::string bad_head = ScriptedPeer::answer("head", "body", method);
  bad_head[bad_head.size() - 8] = 'X';
  ScriptedPeer peer({{ScriptedPeer::hello(), flipped},
                     {ScriptedPeer::answer("head", "body", "test.other")},
                     {bad_head},
                     {ScriptedPeer::http("not a frame")},
                     {ScriptedPeer::http(std::string(200, 'x'))},
                     {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}});
  connect(peer.port(), nullptr);
  EXPECT_TRUE(call(method).failed_with(Errc::corrupt));
  EXPECT_TRUE(call(method).failed_with(Errc::corrupt));
  EXPECT_TRUE(call(method).failed_with(Errc::corrupt));
  EXPECT_TRUE(call(method).failed_with(Errc::malformed));
  EXPECT_TRUE(call(method).failed_with(Errc::malformed));
  EXPECT_TRUE(call(method).failed_with(Errc::unsupported_version));
  EXPECT_EQ(peer.posts(), 6);
}

TEST_F(TransportTest, ANodeThatWentBackToAnOlderReleaseIsAskedAgain) {
  const std::string good = ScriptedPeer::answer("h", "body", "test.echo");
  ScriptedPeer peer({{ScriptedPeer::hello(), good, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                      ScriptedPeer::hello(), good}});
  connect(peer.port(), nullptr);
  EXPECT_TRUE(call("test.echo"));
  EXPECT_TRUE(call("test.echo").failed_with(Errc::unsupported_version));
  EXPECT_TRUE(call("test.echo"));
}

TEST_F(TransportTest, NodesWithoutACommonVersionSaySo) {
  ScriptedPeer peer({{ScriptedPeer::hello(2, 3)}});
  connect(peer.port(), nullptr);
  const auto answer = call("test.echo");
  ASSERT_TRUE(answer.failed_with(Errc::unsupported_version));
  EXPECT_NE(answer.error().detail.find("2 to 3"), std::string::npos) << answer.error().detail;
  EXPECT_EQ(peer.posts(), 0);
}

// What a client sends is checked at the other end, too.
TEST_F(TransportTest, TheServerChecksWhatItReceives) {
  serve();
  const net::CertificateAndKey own = pki_.node("node2");
  const auto ask = [&](const std::string& frame, const std::string& headers = {},
                       const std::string& target = "/peer/v1/test.echo") {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    std::string text;
    {
      net::RawTls tls(socket, {.alpn = "ostraka-peer/1", .own = own});
      text = tls.ask("POST " + target + " HTTP/1.1\r\nHost: h\r\n" + headers +
                     "Content-Length: " + std::to_string(frame.size()) + "\r\n\r\n" + frame);
    }
    ::close(socket);
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos || !text.starts_with("HTTP/1.1 200")) return std::string(text.substr(0, 12));
    const auto answer =
        decode_frame(as_bytes(text).subspan(end + 4, kPeerFrameBytes), target.substr(target.rfind('/') + 1));
    if (!answer || answer->kind != FrameKind::error) return std::string("answer");
    return std::string(to_string(decode_error(text.substr(end + 4 + kPeerFrameBytes)).code));
  };
  const BufferChain body = chain_of({"body"});
  const std::string good = encode_frame(FrameKind::call, "test.echo", "head", body) + "body";
  EXPECT_EQ(ask(good), "answer");
  EXPECT_EQ(service_.calls, 1);
  for (const std::size_t at : {good.size() - 1, good.size() - 4, good.size() - 8, std::size_t{50}}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_EQ(ask(bad), "corrupt") << at;
  }
  EXPECT_EQ(ask(good + "x"), "malformed");
  EXPECT_EQ(ask("short"), "malformed");
  EXPECT_EQ(ask(encode_frame(FrameKind::call, "test.left", "head", body) + "body"), "corrupt");
  EXPECT_EQ(ask(encode_frame(FrameKind::answer, "test.echo", "head", body) + "body"), "malformed");
  EXPECT_EQ(ask(good, "X-Ostraka-Deadline-Ms: 0\r\n"), "deadline");
  EXPECT_EQ(ask(good, "X-Ostraka-Deadline-Ms: soon\r\n"), "malformed");
  EXPECT_EQ(ask(good, {}, "/peer/v2/test.echo"), "HTTP/1.1 404");
  EXPECT_EQ(ask(good, {}, "/bucket/key"), "HTTP/1.1 404");
  EXPECT_EQ(service_.calls, 1);
}

}  // namespace
}  // namespace ostraka::cluster
