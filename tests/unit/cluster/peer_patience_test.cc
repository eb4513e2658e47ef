// What counts against a node that cannot be connected to, and what does not.
#include <gtest/gtest.h>

#include "cluster/http_transport.h"
#include "cluster/peer_breaker.h"
#include "runtime/random.h"
#include "scripted_peer.h"
#include "stepping.h"

namespace ostraka::cluster {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTimeout = 2s;

class HelloBody final : public net::BodySource {
 public:
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    const std::size_t bytes = std::min(out.size(), left_.size());
    std::copy_n(left_.begin(), bytes, out.begin());
    left_.remove_prefix(bytes);
    co_return bytes;
  }

 private:
  std::string_view left_ = R"({"node":"node1","build":"x","versions":[1,1]})";
};

// How connecting goes next; nullopt: well, and the node says hello.
struct Told {
  std::optional<net::ConnectOutcome> failure;
  int attempts = 0;
};

class ToldCaller final : public net::HttpCaller {
 public:
  ToldCaller(net::HttpClientConfig config, Told& told) : config_(std::move(config)), told_(told) {}
  Task<Result<net::ClientResponse>> request(net::ClientRequest request) override {
    if (!request.may_connect) co_return fail(Errc::unavailable, "no connection is kept");
    ++told_.attempts;
    if (told_.failure) {
      config_.on_connect(*told_.failure);
      co_return fail(Errc::unavailable, "cannot connect");
    }
    net::ClientResponse response;
    response.status = 200;
    response.body = std::make_unique<HelloBody>();
    co_return response;
  }
  void abort() override {}

 private:
  const net::HttpClientConfig config_;
  Told& told_;
};

class PeerPatienceTest : public testing::Test {
 protected:
  PeerPatienceTest() {
    HttpTransportConfig config;
    config.connect_timeout = kTimeout;
    config.dial = [this](Shard&, net::HttpClientConfig made) {
      return std::unique_ptr<net::HttpCaller>(std::make_unique<ToldCaller>(std::move(made), told_));
    };
    transport_.emplace(std::vector<Shard*>{&shard_}, random_, metrics_, std::move(config));
    transport_->set_nodes({{"node1", address_}});
  }
  ~PeerPatienceTest() override { wait_stepping(clock_, shard_, done(transport_->close())); }

  net::ConnectOutcome failure() const { return {.peer = address_, .tls_name = name_, .why = "it says why"}; }
  net::ConnectOutcome silent(Duration took, bool ran_out = false) const {
    net::ConnectOutcome outcome = failure();
    outcome.silent = true;
    outcome.ran_out = ran_out;
    outcome.took = took;
    return outcome;
  }
  bool hello() {
    Ctx ctx{shard_, clock_.now() + 10s, "test"};
    return wait_stepping(clock_, shard_, transport_->hello(ctx, name_)).has_value();
  }
  // So many attempts end in this way.
  void fail_with(const net::ConnectOutcome& outcome, unsigned times = kBreakerFailures) {
    told_.failure.emplace(outcome);
    for (unsigned i = 0; i < times; ++i) EXPECT_FALSE(hello());
    told_.failure.reset();
  }
  bool is_tried() {
    const int before = told_.attempts;
    hello();
    return told_.attempts > before;
  }

  erasure::ManualClock clock_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1}};
  SystemRandom random_;
  MetricRegistry metrics_;
  const net::HostPort address_{"127.0.0.1", 1};
  const NodeName name_ = "node1";
  Told told_;
  std::optional<HttpTransport> transport_;
};

TEST_F(PeerPatienceTest, RefusalsCount) {
  fail_with(failure(), kBreakerFailures - 1);
  EXPECT_TRUE(is_tried());
  fail_with(failure());
  EXPECT_FALSE(is_tried());
}

TEST_F(PeerPatienceTest, SilenceCounts) {
  fail_with(silent(kTimeout));
  EXPECT_FALSE(is_tried());
}

TEST_F(PeerPatienceTest, APeerThatShowsSignsOfLifeIsNotGivenUp) {
  net::ConnectOutcome slow = failure();
  slow.alive = true;
  slow.took = 3 * kTimeout;
  fail_with(slow, 100);
  EXPECT_TRUE(is_tried());
}

TEST_F(PeerPatienceTest, WhatItsCallerGaveUpEarlySaysNothing) {
  fail_with(silent(kTimeout / 2 - 1ms, true), 100);
  EXPECT_TRUE(is_tried());
  clock_.advance(kTimeout);
  fail_with(silent(kTimeout / 2, true));
  EXPECT_FALSE(is_tried());
}

TEST_F(PeerPatienceTest, AnAnswerOnAnotherShardIsASignOfLife) {
  EXPECT_TRUE(hello());
  clock_.advance(kTimeout - 1ms);
  fail_with(silent(kTimeout), 100);
  EXPECT_TRUE(is_tried());
  clock_.advance(kTimeout);
  fail_with(silent(kTimeout));
  EXPECT_FALSE(is_tried());
}

}  // namespace
}  // namespace ostraka::cluster
