// Mutual TLS between nodes, on the port of S3.
#include "net/peer_tls.h"

#include <stdlib.h>

#include <filesystem>
#include <thread>

#include "net/aes_gcm.h"
#include "net/http_client.h"
#include "test_pki.h"
#include "test_server.h"

namespace ostraka::net {
namespace {

using namespace std::chrono_literals;
constexpr const char* kPeer = "ostraka-peer/1";
constexpr const char* kRequest = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

// Tells who asks.
class PeerEcho final : public Service {
 public:
  Task<> serve(Ctx&, RequestHead& head, BodySource&, ResponseSink& sink) override {
    ++calls;
    ResponseHead answer;
    std::string text = "peer=" + head.peer + (head.tls ? " tls" : "");
    const Result<> sent = co_await sink.respond(std::move(answer), std::move(text));
    if (!sent) ++failures;
  }
  std::atomic<int> calls{0};
  std::atomic<int> failures{0};
};

Task<std::string> fetch(HttpClient* client, ClientRequest request) {
  auto response = co_await client->request(std::move(request));
  if (!response) co_return "error: " + response.error().detail;
  auto body = co_await read_all(*response->body, 1U << 20);
  if (!body) co_return "error: " + body.error().detail;
  co_return std::move(*body);
}

class PeerTlsTest : public ServerTest {
 protected:
  PeerTlsTest() {
    std::string pattern = testing::TempDir() + "ostraka-peer-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    write_peer_folder(folder_ + "/node1", pki_.authority().certificate, pki_.node("node1"));
    write_peer_folder(folder_ + "/node2", pki_.authority().certificate, pki_.node("node2"));
    node1_ = PeerTls::load(fs_, folder_ + "/node1").value();
    node2_ = PeerTls::load(fs_, folder_ + "/node2").value();
  }
  ~PeerTlsTest() override {
    stop();
    std::filesystem::remove_all(folder_);
  }
  // node1 serves.
  HttpServerConfig with_peers(bool s3_tls) {
    HttpServerConfig config = on_loopback();
    config.peers = PeerPort{.tls = node1_, .service = &peers_};
    if (s3_tls) {
      s3_ = make_certificate("s3");
      PosixFs fs;
      EXPECT_TRUE(fs.make_dirs(folder_ + "/s3"));
      write_certificate(folder_ + "/s3", s3_);
      config.tls = TlsContext::load(fs_, folder_ + "/s3").value();
    }
    return config;
  }
  std::string ask(const std::shared_ptr<const TlsConnector>& tls, const std::string& node) {
    HttpClientConfig config;
    config.tls = tls;
    HttpClient client(here_, config);
    return ask(client, node);
  }
  std::string ask(HttpClient& client, const std::string& node) {
    ClientRequest request;
    request.peer = {"127.0.0.1", server_->port()};
    request.tls = true;
    request.tls_name = node;
    request.target = "/hello";
    return run_to_end(here_, fetch(&client, std::move(request)));
  }
  std::string raw(const RawTlsSpec& spec) {
    const RawClient socket(server_->port());
    RawTls tls(socket.fd(), spec);
    return tls.ask(kRequest);
  }
  std::string load_error(const std::string& authorities, const CertificateAndKey& own) {
    write_peer_folder(folder_ + "/odd", authorities, own);
    const auto loaded = PeerTls::load(fs_, folder_ + "/odd");
    EXPECT_TRUE(loaded.failed_with(Errc::malformed));
    return loaded ? "" : loaded.error().detail;
  }

  PosixFs fs_;
  TestPki pki_;
  std::string folder_;
  std::shared_ptr<PeerTls> node1_, node2_;
  PeerEcho peers_;
  Certificate s3_;
};

TEST_F(PeerTlsTest, PeersAndPlainS3ShareThePort) {
  start(with_peers(false));
  EXPECT_EQ(ask(node2_, "node1"), "peer=node2 tls");
  RawClient plain(server_->port());
  plain.send(kRequest);
  EXPECT_EQ(plain.response().body, "hello");
  EXPECT_EQ(service_.calls, 1);
  EXPECT_EQ(peers_.calls, 1);
  // TLS that is no peer's: S3 is plain here.
  EXPECT_EQ(raw({}), "");
  EXPECT_EQ(raw({.alpn = "http/1.1", .own = {}}), "");
  EXPECT_EQ(raw({.alpn = "http/1.1", .own = pki_.node("node2")}), "");
  EXPECT_EQ(service_.calls, 1);
  EXPECT_EQ(peers_.calls, 1);
}

TEST_F(PeerTlsTest, PeersKeepTheirConnectionUntilTheStop) {
  start(with_peers(false));
  const RawClient socket(server_->port());
  RawTls peer(socket.fd(), {.alpn = kPeer, .own = pki_.node("node2")});
  server_->begin_leaving();
  for (int i = 0; i < 2; ++i) {
    const std::string answer = peer.ask(kRequest);
    EXPECT_TRUE(answer.ends_with("peer=node2 tls")) << answer;
    EXPECT_EQ(answer.find("Connection: close"), std::string::npos) << answer;
  }
}

TEST_F(PeerTlsTest, PeersAndS3OverTlsShareThePort) {
  start(with_peers(true));
  EXPECT_EQ(ask(node2_, "node1"), "peer=node2 tls");
  EXPECT_EQ(ask(TlsClientContext::trust(s3_.certificate).value(), "localhost"), "hello");
  EXPECT_EQ(peers_.calls, 1);
  // A node's certificate makes nobody a peer who does not ask for the protocol, and S3 never sees one.
  const RawClient socket(server_->port());
  RawTls tls(socket.fd(), {.alpn = "http/1.1", .own = pki_.node("node2")});
  EXPECT_TRUE(tls.ask(kRequest).ends_with("hello"));
  EXPECT_EQ(tls.server_name(), "s3");
  EXPECT_EQ(peers_.calls, 1);
  EXPECT_EQ(service_.calls, 2);
  const RawClient other(server_->port());
  RawTls peer(other.fd(), {.alpn = kPeer, .own = pki_.node("node3")});
  EXPECT_TRUE(peer.ask(kRequest).ends_with("peer=node3 tls"));
  EXPECT_EQ(peer.server_name(), "node1");
}

// A session begins in the context of S3, or of nobody, and changes to the peers': with their ciphers.
TEST_F(PeerTlsTest, OnlyPeersGetTheFastCiphers) {
  if (aes_gcm().library == nullptr) GTEST_SKIP() << "AES-GCM is " << aes_gcm().used;
  for (const bool s3_tls : {false, true}) {
    start(with_peers(s3_tls));
    std::uint64_t before = aes_gcm_keys();
    {
      const RawClient socket(server_->port());
      RawTls peer(socket.fd(), {.alpn = kPeer, .own = pki_.node("node3")});  // with OpenSSL's own
      EXPECT_TRUE(peer.ask(kRequest).ends_with("peer=node3 tls"));
    }
    // One side's: to read and to write, for the handshake and then for the session.
    EXPECT_EQ(aes_gcm_keys() - before, 4) << s3_tls;
    before = aes_gcm_keys();
    EXPECT_EQ(ask(node2_, "node1"), "peer=node2 tls");
    EXPECT_EQ(aes_gcm_keys() - before, 8) << s3_tls;
    if (s3_tls) {
      before = aes_gcm_keys();
      EXPECT_EQ(ask(TlsClientContext::trust(s3_.certificate).value(), "localhost"), "hello");
      EXPECT_EQ(aes_gcm_keys(), before);
    }
    stop();
  }
}

TEST_F(PeerTlsTest, OnlyNodesOfTheClusterAreLetIn) {
  const TestPki stranger;  // the same trust domain, another authority
  const std::int64_t now = clock_.unix_ms() / 1000;
  for (const bool s3_tls : {false, true}) {
    start(with_peers(s3_tls));
    const std::vector<std::pair<std::string, CertificateAndKey>> bad = {
        {"no certificate", {}},
        {"another authority", stranger.node("node2")},
        {"not signed by anybody", make_authority("test.example", TestPki::today()).value()},
        {"an authority", pki_.authority()},
        {"expired", pki_.node("node2", {now - 7200, now - 3600})},
        {"not valid yet", pki_.node("node2", {now + 3600, now + 7200})},
        {"another trust domain", pki_.leaf({"spiffe://other.example/node/node2"})},
        {"two URIs", pki_.leaf({"spiffe://test.example/node/node2", "spiffe://test.example/node/node3"})},
        {"no URI", pki_.leaf({})},
        {"not a node", pki_.leaf({"spiffe://test.example/client/node2"})},
        {"no name", pki_.leaf({"spiffe://test.example/node/"})},
        {"a path", pki_.leaf({"spiffe://test.example/node/node2/x"})},
        {"another scheme", pki_.leaf({"https://test.example/node/node2"})},
    };
    for (const auto& [what, own] : bad) EXPECT_EQ(raw({.alpn = kPeer, .own = own}), "") << what;
    EXPECT_EQ(raw({.alpn = kPeer, .own = pki_.node("node2"), .max_version = TLS1_2_VERSION}), "");
    EXPECT_EQ(peers_.calls, 0);
    EXPECT_EQ(service_.calls, 0);
    stop();
  }
}

TEST_F(PeerTlsTest, ASessionOfS3DoesNotResumeAsAPeer) {
  start(with_peers(true));
  const RawClient first(server_->port());
  RawTls s3(first.fd(), {});
  EXPECT_TRUE(s3.ask(kRequest).ends_with("hello"));
  SSL_SESSION* session = s3.session();
  {
    const RawClient again(server_->port());
    RawTls resumed(again.fd(), {.alpn = {}, .own = {}, .max_version = TLS1_3_VERSION, .resume = session});
    EXPECT_TRUE(resumed.ask(kRequest).ends_with("hello"));
    EXPECT_TRUE(resumed.resumed());
  }
  const RawClient second(server_->port());
  RawTls peer(second.fd(), {.alpn = kPeer, .own = {}, .max_version = TLS1_3_VERSION, .resume = session});
  EXPECT_EQ(peer.ask(kRequest), "");
  EXPECT_FALSE(peer.resumed());
  const RawClient third(server_->port());
  RawTls node(third.fd(),
              {.alpn = kPeer, .own = pki_.node("node2"), .max_version = TLS1_3_VERSION, .resume = session});
  EXPECT_TRUE(node.ask(kRequest).ends_with("peer=node2 tls"));
  EXPECT_FALSE(node.resumed());
  SSL_SESSION_free(session);
  EXPECT_EQ(peers_.calls, 1);
}

TEST_F(PeerTlsTest, AClientWantsTheNodeThatItCalls) {
  start(with_peers(true));
  const std::string other = ask(node2_, "node3");
  EXPECT_NE(other.find("of the node node1, not of node3"), std::string::npos) << other;
  stop();
  // An S3 server that knows of no peers, and nodes of other authorities and trust domains.
  HttpServerConfig only_s3 = with_peers(true);
  only_s3.peers.reset();
  start(only_s3);
  EXPECT_TRUE(ask(node2_, "node1").starts_with("error"));
  stop();
  for (const TestPki& pki : {TestPki("test.example"), TestPki("other.example")}) {
    write_peer_folder(folder_ + "/odd", pki.authority().certificate, pki.node("node1"));
    HttpServerConfig config = on_loopback();
    config.peers = PeerPort{.tls = PeerTls::load(fs_, folder_ + "/odd").value(), .service = &peers_};
    start(config);
    EXPECT_TRUE(ask(node2_, "node1").starts_with("error"));
    stop();
  }
  EXPECT_EQ(peers_.calls, 0);
  EXPECT_EQ(service_.calls, 0);
}

TEST_F(PeerTlsTest, AnAuthorityIsChangedWithoutRestart) {
  const TestPki fresh;
  HttpServerConfig config = with_peers(false);
  start(config);
  HttpClientConfig keeping;
  keeping.tls = node2_;
  HttpClient client(here_, keeping);
  EXPECT_EQ(ask(client, "node1"), "peer=node2 tls");
  EXPECT_EQ(client.idle_connections(), 1U);

  // Both nodes trust both; then both have new certificates; then both trust only the new authority.
  const std::string old_ca = pki_.authority().certificate, new_ca = fresh.authority().certificate;
  const auto step = [&](const std::string& authorities, const TestPki& issuer) {
    for (const char* node : {"node1", "node2"}) {
      write_peer_folder(folder_ + "/" + node, authorities, issuer.node(node));
      run_to_end(here_, (node == std::string("node1") ? node1_ : node2_)->refresh());
      EXPECT_EQ(ask(client, "node1"), "peer=node2 tls") << node;
    }
  };
  step(old_ca + new_ca, pki_);
  step(new_ca + old_ca, fresh);
  step(new_ca, fresh);
  EXPECT_EQ(node1_->generation(), 4U);
  EXPECT_EQ(raw({.alpn = kPeer, .own = pki_.node("node2")}), "");
  EXPECT_TRUE(raw({.alpn = kPeer, .own = fresh.node("node2")}).ends_with("peer=node2 tls"));
}

TEST_F(PeerTlsTest, AConnectionEndsWhenItsCertificatesAreOfYesterday) {
  start(with_peers(false));
  const RawClient socket(server_->port());
  RawTls kept(socket.fd(), {.alpn = kPeer, .own = pki_.node("node2")});
  EXPECT_EQ(kept.ask(kRequest).find("Connection: close"), std::string::npos);
  write_peer_folder(folder_ + "/node1", pki_.authority().certificate, pki_.node("node1"));
  run_to_end(here_, node1_->refresh());
  EXPECT_NE(kept.ask(kRequest).find("Connection: close"), std::string::npos);
}

TEST_F(PeerTlsTest, FilesThatDoNotServeAreNotTaken) {
  start(with_peers(false));
  const std::int64_t now = clock_.unix_ms() / 1000;
  const std::string ca = pki_.authority().certificate;
  const CertificateAndKey one = pki_.node("node1"), two = pki_.node("node2");
  for (const CertificateAndKey& own :
       {CertificateAndKey{one.certificate, two.key}, pki_.node("node1", {now - 7200, now - 3600}), two}) {
    write_peer_folder(folder_ + "/node1", ca, own);
    run_to_end(here_, node1_->refresh());
    EXPECT_EQ(node1_->generation(), 1U);
    EXPECT_EQ(ask(node2_, "node1"), "peer=node2 tls");
  }
  std::filesystem::remove(folder_ + "/node1/ca.crt");
  run_to_end(here_, node1_->refresh());
  EXPECT_EQ(ask(node2_, "node1"), "peer=node2 tls");
}

TEST_F(PeerTlsTest, LoadNamesWhatIsWrong) {
  const std::int64_t now = clock_.unix_ms() / 1000;
  const std::string ca = pki_.authority().certificate;
  const CertificateAndKey good = pki_.node("node1");
  EXPECT_TRUE(PeerTls::load(fs_, folder_ + "/none").failed_with(Errc::not_found));
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(load_error("nonsense", good), "ca.crt");
  has(load_error(ca, {"nonsense", good.key}), "node.crt");
  has(load_error(ca, {good.certificate, "nonsense"}), "node.key");
  has(load_error(ca, {good.certificate, pki_.node("node1").key}), "do not belong together");
  has(load_error(ca, pki_.node("node1", {now - 7200, now - 3600})), "expired");
  has(load_error(ca, TestPki().node("node1")), "node.crt: ");
  has(load_error(ca, pki_.leaf({"spiffe://test.example"})), "spiffe://TRUST-DOMAIN/node/NAME");
  EXPECT_EQ(to_uri(node1_->self()), "spiffe://test.example/node/node1");
  EXPECT_NEAR(static_cast<double>(node1_->expires_unix_s()), static_cast<double>(now + 3600), 60.0);
}

TEST_F(PeerTlsTest, TellsThatItsCertificateExpiresUntilItIsRenewed) {
  constexpr std::int64_t kDay = 24 * 3600;
  const std::int64_t now = clock_.unix_ms() / 1000;
  const std::string ca = pki_.authority().certificate;
  write_peer_folder(folder_ + "/node1", ca, pki_.node("node1", {now - 300 * kDay, now + 31 * kDay}));
  run_to_end(here_, node1_->refresh());
  EXPECT_FALSE(node1_->tell_expiry(now));
  EXPECT_TRUE(node1_->tell_expiry(now + 2 * kDay));
  EXPECT_FALSE(node1_->tell_expiry(now + 2 * kDay + 10));
  EXPECT_TRUE(node1_->tell_expiry(now + 3 * kDay));
  write_peer_folder(folder_ + "/node1", ca, pki_.node("node1", {now, now + 365 * kDay}));
  run_to_end(here_, node1_->refresh());
  EXPECT_FALSE(node1_->tell_expiry(now + 5 * kDay));
}

TEST_F(PeerTlsTest, ClientsCannotUseUpTheConnectionsOfPeers) {
  HttpServerConfig config = with_peers(false);
  config.max_connections = 1;
  config.peers->max_connections = 2;
  start(config);
  RawClient first(server_->port());
  first.send(kRequest);
  EXPECT_EQ(first.response().body, "hello");
  HttpClientConfig keeping;
  keeping.tls = node2_;
  HttpClient client(here_, keeping);
  EXPECT_EQ(ask(client, "node1"), "peer=node2 tls");
  RawClient second(server_->port());
  second.send(kRequest);
  EXPECT_EQ(second.response().status, 503);
  EXPECT_EQ(ask(client, "node1"), "peer=node2 tls");
  first.send(kRequest);
  EXPECT_EQ(first.response().body, "hello");
}

TEST_F(PeerTlsTest, NorCanThoseWhoSayNothing) {
  HttpServerConfig config = with_peers(false);
  config.max_connections = 1;
  config.peers->max_connections = 1;
  start(config);
  RawClient first(server_->port());
  first.send(kRequest);
  EXPECT_EQ(first.response().body, "hello");
  const TimePoint begin = clock_.now();
  RawClient silent(server_->port());
  EXPECT_EQ(silent.rest(), "");
  EXPECT_LT(clock_.now() - begin, config.head_timeout / 2);
}

TEST_F(PeerTlsTest, ASilentConnectionIsCutOff) {
  HttpServerConfig config = with_peers(false);
  config.head_timeout = 50ms;
  start(config);
  RawClient silent(server_->port());
  EXPECT_EQ(silent.rest(), "");
  RawClient half(server_->port());
  half.send("\x16");
  EXPECT_EQ(half.rest(), "");
}

TEST(Spiffe, NamesOfNodes) {
  EXPECT_EQ(parse_node_uri("spiffe://a.b/node/n-1").value(), (NodeIdentity{"a.b", "n-1"}));
  for (const char* bad :
       {"", "spiffe://", "spiffe://a.b", "spiffe://a.b/node", "spiffe://a.b/node/", "spiffe://A.b/node/n",
        "spiffe://a.b:1/node/n", "spiffe://u@a.b/node/n", "spiffe://a.b/node/n/m", "spiffe://a.b/node/..",
        "spiffe://a.b/Node/n", "spiffe:///node/n", "spiffe://a.b/node/n?q", "spiffe://a.b/node/n#f",
        "spiffe://a.b//node/n", "spiffe://a.b/node/%6e"}) {
    EXPECT_FALSE(parse_node_uri(bad)) << bad;
  }
  EXPECT_FALSE(make_authority("Upper.Case", {}));
  EXPECT_TRUE(make_node_certificate(TestPki().authority(), "fe80::1", TestPki::today())
                  .failed_with(Errc::invalid_argument));
}

}  // namespace
}  // namespace ostraka::net
