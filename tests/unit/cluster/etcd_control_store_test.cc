#include "cluster/etcd_control_store.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "cluster/etcd_document.h"
#include "etcd_cluster.h"
#include "net/make_certificates.h"
#include "relay.h"

namespace ostraka::cluster {
namespace {

constexpr ShardSpec kSmall{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0};

// One node's store with what it runs on.
struct Node {
  Node(Clock& c, Shard& s, EtcdConfig config) : clock(c), shard(s), client(s, std::move(config)) {}
  ~Node() {
    run_to_end(shard, follower.close());
    client.abort();
    run_to_end(shard, store.close());
  }
  Result<> load(std::optional<std::string> expected = {}) {
    Ctx ctx{shard, clock.now() + std::chrono::seconds(10), "load"};
    return run_to_end(shard, store.load(ctx, std::move(expected)));
  }
  Result<control::DocumentPtr> put(std::string name, std::string content,
                                   std::optional<std::uint64_t> expected = {},
                                   Duration timeout = std::chrono::seconds(10)) {
    Ctx ctx{shard, clock.now() + timeout, "put"};
    return run_to_end(shard, store.put(ctx, std::move(name), std::move(content), expected));
  }
  Result<> erase(std::string name, std::optional<std::uint64_t> expected = {}) {
    Ctx ctx{shard, clock.now() + std::chrono::seconds(10), "erase"};
    return run_to_end(shard, store.erase(ctx, std::move(name), expected));
  }
  std::string content(std::string_view name) {
    const auto document = store.get(name);
    return document ? document->content : "(none)";
  }
  void note_news() {
    store.watch("", [this](const std::string& name, const control::DocumentPtr& now) {
      news.push_back(now ? name + "=" + now->content : name + " erased");
    });
  }

  Clock& clock;
  Shard& shard;
  EtcdClient client;
  SystemRandom random;
  EtcdFollower follower{client, "/ostraka/test/"};
  EtcdControlStore store{client, follower, random};
  std::vector<std::string> news;
};

class EtcdControlStoreTest : public testing::Test {
 protected:
  std::unique_ptr<Node> node(EtcdConfig config) {
    auto out = std::make_unique<Node>(clock_, shard_, std::move(config));
    const auto loaded = out->load();
    EXPECT_TRUE(loaded.has_value()) << loaded.error().detail;
    return out;
  }
  bool eventually(std::function<bool()> reached) {
    return run_to_end(shard_, reaches(&clock_, std::move(reached)));
  }
  // A call of the gateway that the client has no use for.
  unsigned gateway(const EtcdCluster& etcd, std::string path, const nlohmann::json& body,
                   std::string token = {}) {
    net::HttpClient http(shard_, {});
    net::ClientRequest request;
    request.peer = etcd.config().endpoints[0];
    request.method = "POST";
    request.target = std::move(path);
    request.body = body.dump();
    if (!token.empty()) request.headers.add("Authorization", token);
    auto response = run_to_end(shard_, http.request(std::move(request)));
    if (!response) return 0;
    const auto text = run_to_end(shard_, net::read_all(*response->body, 1U << 20));
    return text ? response->status : 0;
  }

  SystemClock clock_;
  Shard shard_{0, clock_, kSmall};
};

TEST_F(EtcdControlStoreTest, NodesSeeEachOthersChangesInOrder) {
  EtcdCluster etcd(1);
  const auto a = node(etcd.config()), b = node(etcd.config());
  EXPECT_EQ(a->store.identity(), b->store.identity());
  b->note_news();
  ASSERT_TRUE(a->put("x", "1").has_value());
  ASSERT_TRUE(a->put("x", "2").has_value());
  ASSERT_TRUE(a->erase("x").has_value());
  ASSERT_TRUE(a->put("y", "3").has_value());
  EXPECT_TRUE(eventually([&] { return b->news.size() == 4; }));
  EXPECT_EQ(b->news, (std::vector<std::string>{"x=1", "x=2", "x erased", "y=3"}));
  EXPECT_EQ(b->store.revision(), a->store.revision());
  // What is expected is compared in etcd, however old the copy is.
  EXPECT_TRUE(b->put("y", "4", a->store.get("y")->revision).has_value());
  EXPECT_TRUE(a->put("y", "5", 0).failed_with(Errc::conflict));
  EXPECT_EQ(a->content("y"), "4");  // whoever lost sees to what
}

// Where the document is there already.
Task<> put_into(EtcdControlStore* store, Ctx* ctx, std::optional<Result<control::DocumentPtr>>* out) {
  std::string name = "x";
  std::string content = "2";
  *out = co_await store->put(*ctx, std::move(name), std::move(content), 0);
}

Task<> race(EtcdControlStore* store, Shard* shard, int times, int* conflicts) {
  Ctx ctx{*shard, kNoDeadline, "race"};
  while (times > 0) {
    const control::DocumentPtr now = store->get("count");
    std::string name = "count";
    std::string next = std::to_string(now ? std::stoi(now->content) + 1 : 1);
    const std::uint64_t revision = now ? now->revision : 0;
    const auto put = co_await store->put(ctx, std::move(name), std::move(next), revision);
    if (put)
      --times;
    else if (put.failed_with(Errc::conflict))
      ++*conflicts;
    else
      co_return;
  }
}

TEST_F(EtcdControlStoreTest, OneOfTwoThatRaceWins) {
  EtcdCluster etcd(1);
  const auto a = node(etcd.config()), b = node(etcd.config());
  a->note_news();
  int conflicts = 0;
  Gate gate;
  gate.spawn(shard_.executor(), race(&a->store, &shard_, 50, &conflicts));
  gate.spawn(shard_.executor(), race(&b->store, &shard_, 50, &conflicts));
  run_to_end(shard_, gate.close());
  EXPECT_EQ(b->put("end", "").has_value() ? b->content("count") : "", "100");
  EXPECT_TRUE(eventually([&] { return a->news.size() == 101; }));
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(a->news[i], "count=" + std::to_string(i + 1));
  EXPECT_GT(conflicts, 0);
}

TEST_F(EtcdControlStoreTest, WithoutEtcdReadingGoesOn) {
  EtcdCluster etcd(1);
  const auto a = node(etcd.config());
  ASSERT_TRUE(a->put("x", "1").has_value());
  etcd.kill(0);
  const auto refused = a->put("x", "2");
  ASSERT_TRUE(refused.failed_with(Errc::unavailable));
  EXPECT_NE(refused.error().detail.find("etcd"), std::string::npos) << refused.error().detail;
  EXPECT_NE(refused.error().detail.find(std::to_string(etcd.port(0))), std::string::npos);
  EXPECT_TRUE(a->erase("x").failed_with(Errc::unavailable));
  EXPECT_EQ(a->content("x"), "1");
  // A process that starts now waits.
  Node late(clock_, shard_, etcd.config());
  EXPECT_TRUE(late.load().failed_with(Errc::unavailable));
  EXPECT_TRUE(late.put("x", "2").failed_with(Errc::unavailable));

  etcd.start(0);
  ASSERT_TRUE(etcd.wait_ready());
  EXPECT_TRUE(late.load().has_value());
  EXPECT_EQ(late.content("x"), "1");
  EXPECT_TRUE(late.put("x", "2").has_value());
  EXPECT_TRUE(eventually([&] { return a->content("x") == "2"; }));
  EXPECT_TRUE(a->put("x", "3").has_value());
}

TEST_F(EtcdControlStoreTest, ReadsAllAnewWhereTheWatchWasCompactedAway) {
  EtcdCluster etcd(1);
  const auto a = node(etcd.config());
  for (const char* name : {"gone", "changed", "kept"}) ASSERT_TRUE(a->put(name, "1").has_value());
  a->note_news();
  {
    // While the node does not run at all, others work, and history goes.
    Shard elsewhere(1, clock_, kSmall);
    Node b(clock_, elsewhere, etcd.config());
    ASSERT_TRUE(b.load().has_value());
    etcd.kill(0);
    etcd.start(0);
    ASSERT_TRUE(etcd.wait_ready());
    ASSERT_TRUE(b.put("changed", "2").has_value());
    ASSERT_TRUE(b.erase("gone").has_value());
    ASSERT_TRUE(b.put("new", "1").has_value());
    ASSERT_TRUE(b.put("changed", "3").has_value());
    ASSERT_EQ(gateway(etcd, "/v3/kv/compaction", {{"revision", std::to_string(b.store.revision())}}), 200U);
  }
  EXPECT_TRUE(eventually([&] { return a->news.size() >= 3; }));
  EXPECT_EQ(a->news, (std::vector<std::string>{"gone erased", "new=1", "changed=3"}));
  EXPECT_TRUE(a->put("changed", "4", a->store.get("changed")->revision).has_value());
}

TEST_F(EtcdControlStoreTest, GoesOnWhenMembersOfThreeDie) {
  EtcdCluster etcd(3);
  const auto a = node(etcd.config()), b = node(etcd.config());
  b->note_news();
  const std::size_t leader = etcd.leader();
  ASSERT_LT(leader, etcd.size());
  etcd.kill(leader);
  const auto put = a->put("x", "1");
  ASSERT_TRUE(put.has_value()) << put.error().detail;
  EXPECT_TRUE(eventually([&] { return b->content("x") == "1"; }));
  etcd.start(leader);
  ASSERT_TRUE(etcd.wait_ready());
  ASSERT_TRUE(a->put("x", "2").has_value());
  EXPECT_TRUE(eventually([&] { return b->news.size() == 2; }));
  EXPECT_EQ(b->news, (std::vector<std::string>{"x=1", "x=2"}));
  // Without a majority nothing is changed, and a member alone does not pretend that all is well.
  etcd.kill(0);
  etcd.kill(1);
  EXPECT_FALSE(a->put("x", "3", std::nullopt, std::chrono::seconds(2)).has_value());
  EXPECT_EQ(a->content("x"), "2");
}

TEST_F(EtcdControlStoreTest, DecidesAChangeWhoseAnswerWasLost) {
  EtcdCluster etcd(1);
  Relay relay(shard_, etcd.port(0));
  EtcdConfig through = etcd.config();
  through.endpoints[0].port = relay.port();
  {
    const auto a = node(through), b = node(etcd.config());
    a->note_news();
    relay.lose_answers_to = "/v3/kv/txn";
    relay.lose_at_most = 1;
    const auto made = a->put("x", "1", 0);
    ASSERT_TRUE(made.has_value()) << made.error().detail;
    relay.lose_at_most = 3;
    ASSERT_TRUE(a->put("x", "2", (*made)->revision).has_value());
    relay.lose_at_most = 4;
    ASSERT_TRUE(a->put("x", "3").has_value());
    relay.lose_at_most = 5;
    ASSERT_TRUE(a->erase("x", a->store.get("x")->revision).has_value());
    relay.lose_at_most = 6;
    ASSERT_TRUE(a->erase("x").has_value());
    EXPECT_EQ(relay.lost, 6);
    EXPECT_EQ(a->news, (std::vector<std::string>{"x=1", "x=2", "x=3", "x erased"}));
    // One that was not carried out, since another came first, is a conflict and nothing else.
    ASSERT_TRUE(b->put("y", "of b").has_value());
    ASSERT_TRUE(eventually([&] { return a->content("y") == "of b"; }));
    const std::uint64_t old = a->store.get("y")->revision;
    ASSERT_TRUE(b->put("y", "of b again").has_value());
    relay.lose_at_most = 7;
    EXPECT_TRUE(a->put("y", "of a", old).failed_with(Errc::conflict));
    EXPECT_EQ(relay.lost, 7);
    EXPECT_EQ(a->content("y"), "of b again");
  }
  run_to_end(shard_, relay.close());
}

TEST_F(EtcdControlStoreTest, NoticesAWatchThatIsSilentlyDead) {
  EtcdCluster etcd(1);
  Relay relay(shard_, etcd.port(0));
  EtcdConfig through = etcd.config();
  through.endpoints[0].port = relay.port();
  {
    const auto b = node(etcd.config());
    through.silence = std::chrono::milliseconds(300);
    const auto a = node(through);
    relay.silence_present();
    ASSERT_TRUE(b->put("x", "1").has_value());
    EXPECT_TRUE(eventually([&] { return a->content("x") == "1"; }));
  }
  {
    // For an own change it is not waited so long.
    through.silence = std::chrono::hours(1);
    const auto a = node(through);
    ASSERT_TRUE(a->put("x", "2").has_value());
    relay.silence_present();
    ASSERT_TRUE(a->put("x", "3").has_value());
    EXPECT_EQ(a->content("x"), "3");
  }
  run_to_end(shard_, relay.close());
}

TEST_F(EtcdControlStoreTest, DoesNotKnowWhatAnEtcdThatHangsDoes) {
  EtcdCluster etcd(1);
  const auto a = node(etcd.config());
  ASSERT_TRUE(a->put("x", "1").has_value());
  etcd.pause(0);
  const auto put = a->put("x", "2", std::nullopt, std::chrono::milliseconds(300));
  EXPECT_TRUE(put.failed_with(Errc::in_doubt));
  EXPECT_EQ(a->content("x"), "1");
  etcd.go_on(0);
  const auto after = a->put("x", "3");
  ASSERT_TRUE(after.has_value()) << after.error().detail;
  EXPECT_EQ(a->content("x"), "3");
}

TEST_F(EtcdControlStoreTest, RefusesAnEtcdThatIsNotTheOneItKnows) {
  EtcdCluster etcd(1);
  const auto a = node(etcd.config());
  ASSERT_TRUE(a->put("x", "1").has_value());
  const std::string identity = a->store.identity();
  etcd.kill(0);
  etcd.wipe(0);
  etcd.start(0);
  ASSERT_TRUE(etcd.wait_ready());
  const auto put = a->put("new", "1", 0);
  ASSERT_TRUE(put.failed_with(Errc::unavailable));
  EXPECT_EQ(a->content("x"), "1");
  Node late(clock_, shard_, etcd.config());
  const auto loaded = late.load(identity);
  ASSERT_TRUE(loaded.failed_with(Errc::corrupt));
  EXPECT_NE(loaded.error().detail.find("holds no control store"), std::string::npos) << loaded.error().detail;
  // Another store under the same name is no better, and the node stays with what it knows.
  Node other(clock_, shard_, etcd.config());
  ASSERT_TRUE(other.load().has_value());
  ASSERT_TRUE(other.put("x", "of another").has_value());
  EXPECT_TRUE(a->put("new", "1", 0).failed_with(Errc::unavailable));
  EXPECT_EQ(a->content("x"), "1");
}

TEST_F(EtcdControlStoreTest, DoesNotKnowWhatBecameOfATryInAnotherStore) {
  EtcdCluster etcd(1);
  Relay relay(shard_, etcd.port(0));
  EtcdConfig through = etcd.config();
  through.endpoints[0].port = relay.port();
  {
    const auto b = node(etcd.config());
    ASSERT_TRUE(b->put("x", "1").has_value());
    const auto a = node(through);
    relay.lose_answers_to = "/v3/kv/txn";
    relay.lose_at_most = 1000;
    Ctx ctx{shard_, clock_.now() + std::chrono::seconds(10), "put"};
    std::optional<Result<control::DocumentPtr>> put;
    Gate gate;
    gate.spawn(shard_.executor(), put_into(&a->store, &ctx, &put));
    ASSERT_TRUE(eventually([&] { return relay.lost > 0; }));
    EtcdTxnSpec spec;
    EtcdPut identity;
    identity.key = "/ostraka/test/store/identity";
    identity.value = "another";
    spec.puts.push_back(std::move(identity));
    ASSERT_TRUE(run_to_end(shard_, b->client.txn(spec, clock_.now() + std::chrono::seconds(5))).has_value());
    relay.lose_at_most = 0;
    run_to_end(shard_, gate.close());
    EXPECT_TRUE(put.value().failed_with(Errc::in_doubt));
  }
  run_to_end(shard_, relay.close());
}

TEST_F(EtcdControlStoreTest, LoadsMoreThanAPage) {
  EtcdCluster etcd(1);
  {
    const auto a = node(etcd.config());
    for (int i = 0; i < 13; ++i) {
      EtcdTxnSpec spec;
      for (int j = 0; j < 100; ++j) {
        EtcdPut put;
        put.key = "/ostraka/test/store/doc/bucket/" + std::to_string(100 * i + j);
        put.value = encode_etcd_document("0123456789abcdef", std::to_string(j));
        spec.puts.push_back(std::move(put));
      }
      ASSERT_TRUE(
          run_to_end(shard_, a->client.txn(spec, clock_.now() + std::chrono::seconds(5))).has_value());
    }
    EXPECT_TRUE(eventually([&] { return a->store.list("bucket/").size() == 1300; }));
  }
  const auto b = node(etcd.config());
  EXPECT_EQ(b->store.list("").size(), 1300U);
  EXPECT_EQ(b->content("bucket/1299"), "99");
}

TEST_F(EtcdControlStoreTest, RefusesDocumentsOfALaterVersion) {
  EtcdCluster etcd(1);
  const auto a = node(etcd.config());
  ASSERT_TRUE(a->put("x", "1").has_value());
  EtcdTxnSpec spec;
  EtcdPut put;
  put.key = "/ostraka/test/store/doc/x";
  put.value = "2 what comes then";
  spec.puts.push_back(std::move(put));
  ASSERT_TRUE(run_to_end(shard_, a->client.txn(spec, clock_.now() + std::chrono::seconds(5))).has_value());
  ASSERT_TRUE(a->put("y", "1").has_value());
  EXPECT_EQ(a->content("x"), "1");  // what is understood stays
  Node late(clock_, shard_, etcd.config());
  EXPECT_TRUE(late.load().failed_with(Errc::unsupported_version));
}

TEST_F(EtcdControlStoreTest, SeveralStoresShareAnEtcd) {
  EtcdCluster etcd(1);
  const auto a = node(etcd.config());
  EtcdFollower follower(a->client, "/ostraka/other/");
  EtcdControlStore other(a->client, follower, a->random);
  Ctx ctx{shard_, clock_.now() + std::chrono::seconds(10), "load"};
  ASSERT_TRUE(run_to_end(shard_, other.load(ctx, std::nullopt)).has_value());
  ASSERT_TRUE(a->put("x", "1").has_value());
  EXPECT_EQ(other.get("x"), nullptr);
  EXPECT_NE(other.identity(), a->store.identity());
  run_to_end(shard_, follower.close());
  run_to_end(shard_, other.close());
}

TEST_F(EtcdControlStoreTest, LogsIn) {
  EtcdCluster etcd(1);
  ASSERT_EQ(gateway(etcd, "/v3/auth/user/add", {{"name", "root"}, {"password", "secret"}}), 200U);
  ASSERT_EQ(gateway(etcd, "/v3/auth/user/grant", {{"user", "root"}, {"role", "root"}}), 200U);
  ASSERT_EQ(gateway(etcd, "/v3/auth/enable", nlohmann::json::object()), 200U);
  EtcdConfig config = etcd.config();
  Node stranger(clock_, shard_, config);
  EXPECT_TRUE(stranger.load().failed_with(Errc::access_denied));
  config.user = "root";
  config.password = "wrong";
  Node forgetful(clock_, shard_, config);
  const auto refused = forgetful.load();
  ASSERT_TRUE(refused.failed_with(Errc::access_denied));
  EXPECT_EQ(refused.error().detail.find("wrong"), std::string::npos);  // never told
  config.password = "secret";
  const auto a = node(config);
  EXPECT_TRUE(a->put("x", "1").has_value());
  // A member that was restarted does not know the token any more.
  etcd.kill(0);
  etcd.start(0);
  const TimePoint give_up = clock_.now() + std::chrono::seconds(10);
  while (!a->put("x", "2").has_value() && clock_.now() < give_up)
    run_to_end(shard_, sleep_for(clock_, std::chrono::milliseconds(20)));
  EXPECT_EQ(a->content("x"), "2");
}

TEST_F(EtcdControlStoreTest, SpeaksTlsAndShowsWhoItIs) {
  const std::int64_t now = clock_.unix_ms() / 1000;
  const net::Validity valid{now - 3600, now + 3600};
  const auto authority = net::make_authority("test.example", valid);
  ASSERT_TRUE(authority.has_value());
  net::LeafSpec spec;
  spec.common_name = "etcd";
  spec.hosts = {"127.0.0.1"};
  spec.validity = valid;
  const auto server = net::make_leaf(*authority, spec);
  spec.common_name = "ostraka";
  const auto own = net::make_leaf(*authority, spec);
  ASSERT_TRUE(server.has_value() && own.has_value());
  const auto tls = net::TlsClientContext::trust(authority->certificate).value();
  ASSERT_TRUE(tls->show(own->certificate, own->key, "folder").has_value());
  EtcdCluster etcd(authority->certificate, server->certificate, server->key, tls);
  const auto a = node(etcd.config()), b = node(etcd.config());
  ASSERT_TRUE(a->put("x", "1").has_value());
  EXPECT_TRUE(eventually([&] { return b->content("x") == "1"; }));
  // Who shows nothing, or trusts another authority, is not let in.
  EtcdConfig config = etcd.config();
  config.tls = net::TlsClientContext::trust(authority->certificate).value();
  Node nobody(clock_, shard_, config);
  EXPECT_TRUE(nobody.load().failed_with(Errc::unavailable));
  config.tls = net::TlsClientContext::trust(net::make_authority("test.example", valid)->certificate).value();
  Node mistrustful(clock_, shard_, config);
  EXPECT_TRUE(mistrustful.load().failed_with(Errc::unavailable));
}

Task<Result<control::DocumentPtr>> put_from(Shard* shard, EtcdControlStore* store, int number) {
  Ctx ctx{*shard, kNoDeadline, "other shard"};
  std::string name = "x" + std::to_string(number);
  std::string content = std::to_string(number);
  co_return co_await store->put(ctx, std::move(name), std::move(content), 0);
}

Task<> put_many(Shard* shard, EtcdControlStore* store, int from, std::atomic<int>* done) {
  for (int i = from; i < from + 20; ++i) {
    const auto put = co_await put_from(shard, store, i);
    const control::DocumentPtr here = store->get("x" + std::to_string(i));
    if (put && here && here->revision == (*put)->revision) ++*done;
  }
}

TEST_F(EtcdControlStoreTest, IsCalledFromAllShards) {
  EtcdCluster etcd(1);
  const auto a = node(etcd.config());
  ShardPool others(2, clock_, kSmall);
  others.start();
  std::atomic<int> done = 0;
  Gate gate;
  for (std::size_t i = 0; i < others.size(); ++i)
    gate.spawn(others[i].executor(), put_many(&others[i], &a->store, static_cast<int>(100 * i), &done));
  run_to_end(shard_, gate.close());
  EXPECT_EQ(done, 40);
  others.stop();
}

}  // namespace
}  // namespace ostraka::cluster
