// What a follower makes of watches that break, and of members that are not of its etcd. The etcds are
// scripted: the real one cuts answers into fragments, and its members go astray, only when it likes.
#include "cluster/etcd_follower.h"

#include <gtest/gtest.h>

#include "etcd_cluster.h"
#include "scripted_etcd.h"

namespace ostraka::cluster {
namespace {

using Strings = std::vector<std::string>;

class Told final : public EtcdFollower::Listener {
 public:
  void changed(std::string_view key, EtcdEvent event) override {
    all.push_back(std::string(key) + (event.erased ? " gone" : " put"));
  }
  void reached(std::uint64_t revision) override {
    const auto gone = static_cast<std::size_t>(std::count(all.begin(), all.end(), "a gone") +
                                               std::count(all.begin(), all.end(), "b gone"));
    if (revision >= 11) told_too_soon = told_too_soon || gone < 2;
  }
  Strings all;
  bool told_too_soon = false;
};

class EtcdFollowerTest : public testing::Test {
 protected:
  EtcdFollowerTest() : shard_(0, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}) {}
  ~EtcdFollowerTest() override {
    if (follower_) run_to_end(shard_, follower_->close());
    for (ScriptedEtcd* etcd : {&etcd_, &other_}) run_to_end(shard_, etcd->close());
  }
  void follow(std::vector<net::HostPort> endpoints) {
    etcd_.holds = key_value("/p/a", 5) + "," + key_value("/p/b", 6);
    EtcdConfig config;
    config.endpoints = std::move(endpoints);
    client_ = std::make_unique<EtcdClient>(shard_, std::move(config));
    follower_ = std::make_unique<EtcdFollower>(*client_, "/p/");
    follower_->add("", told_);
    const auto loaded = run_to_end(shard_, follower_->load(clock_.now() + std::chrono::seconds(10)));
    ASSERT_TRUE(loaded) << loaded.error().detail;
    follower_->start();
  }
  bool eventually(std::function<bool()> reached) {
    return run_to_end(shard_, reaches(&clock_, std::move(reached)));
  }

  SystemClock clock_;
  Shard shard_;
  ScriptedEtcd etcd_{shard_, 1}, other_{shard_, 2};
  Told told_;
  std::unique_ptr<EtcdClient> client_;
  std::unique_ptr<EtcdFollower> follower_;
};

TEST_F(EtcdFollowerTest, AWatchThatBreaksBetweenTheFragmentsOfARevisionLosesNothing) {
  const std::string a = erased("/p/a", 11), b = erased("/p/b", 11);
  etcd_.watches = {etcd_.events(11, a, true), etcd_.events(11, a, true) + etcd_.events(11, b)};
  follow({etcd_.address()});
  EXPECT_TRUE(eventually([&] { return follower_->revision() == 11; }));
  EXPECT_EQ(told_.all, (Strings{"a put", "b put", "a gone", "b gone"}));
  EXPECT_FALSE(told_.told_too_soon);
}

TEST_F(EtcdFollowerTest, NorWhenWhatCameBeforeItComesAgain) {
  const std::string c = R"({"kv":)" + key_value("/p/c", 11) + "}";
  const std::string a = erased("/p/a", 12), b = erased("/p/b", 12);
  etcd_.watches = {etcd_.events(12, c + "," + a, true),
                   etcd_.events(12, c) + etcd_.events(12, a, true) + etcd_.events(12, b)};
  follow({etcd_.address()});
  EXPECT_TRUE(eventually([&] { return follower_->revision() == 12; }));
  EXPECT_EQ(told_.all, (Strings{"a put", "b put", "c put", "a gone", "b gone"}));
}

TEST_F(EtcdFollowerTest, OneMemberOfAnotherEtcdIsPassedOver) {
  etcd_.watches = {"", etcd_.events(11, erased("/p/a", 11))};
  other_.watches = {other_.events(11, erased("/p/b", 11))};
  follow({etcd_.address(), other_.address()});
  EXPECT_TRUE(eventually([&] { return follower_->revision() == 11; }));
  EXPECT_EQ(told_.all, (Strings{"a put", "b put", "a gone"}));
  EXPECT_EQ(follower_->estranged(), "");
  EXPECT_EQ(other_.watched, 1U);
}

TEST_F(EtcdFollowerTest, WhenAllMembersAreOfAnotherEtcdItIsAnother) {
  etcd_.watches = other_.watches = {"", ""};
  other_.cluster = 1;
  follow({etcd_.address(), other_.address()});
  other_.cluster = etcd_.cluster = 2;
  EXPECT_TRUE(eventually([&] { return !follower_->estranged().empty(); }));
}

TEST_F(EtcdFollowerTest, OneThatIsDownMayStillBeTheRightOne) {
  follow({etcd_.address(), other_.address()});
  ASSERT_TRUE(eventually([&] { return etcd_.watched == 1; }));
  run_to_end(shard_, etcd_.close());
  EXPECT_TRUE(eventually([&] { return other_.watched >= 3; }));
  EXPECT_EQ(follower_->estranged(), "");
}

TEST_F(EtcdFollowerTest, AnAnswerThatDribblesEndsAtTheDeadline) {
  follow({etcd_.address()});
  etcd_.range_bytes = 2000;
  EtcdRangeSpec spec;
  spec.keys = etcd_prefix("/p/");
  const TimePoint begin = clock_.now();
  const auto range = run_to_end(shard_, client_->range(spec, begin + std::chrono::milliseconds(200)));
  EXPECT_TRUE(range.failed_with(Errc::unavailable));
  EXPECT_LT(clock_.now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace ostraka::cluster
