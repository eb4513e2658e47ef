#include "cluster/placement_change.h"

#include <gtest/gtest.h>

#include "cluster/limits.h"
#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::cluster {
namespace {

constexpr std::string_view kName = "cluster/placement";

// One document; somebody else changes it first, as often as he is told to.
class OneDocument final : public control::ControlStore {
 public:
  control::DocumentPtr get(std::string_view) const override { return now; }
  std::vector<control::DocumentPtr> list(std::string_view) const override { return {}; }
  Task<Result<control::DocumentPtr>> put(Ctx&, std::string name, std::string content,
                                         std::optional<std::uint64_t> expected) override {
    ++puts;
    if (others > 0) {
      --others;
      set(name, elsewhere.to_json());
    }
    if (expected != now->revision) co_return fail(Errc::conflict, "somebody else was faster");
    set(std::move(name), std::move(content));
    co_return now;
  }
  Task<Result<>> erase(Ctx&, std::string, std::optional<std::uint64_t>) override { co_return Result<>(); }
  void watch(std::string, Watcher) override {}
  void set(std::string name, std::string content) {
    auto next = std::make_shared<control::Document>();
    next->name = std::move(name);
    next->content = std::move(content);
    next->revision = now ? now->revision + 1 : 1;
    now = std::move(next);
  }

  control::DocumentPtr now;
  Placement elsewhere;
  int others = 0;
  int puts = 0;
};

class PlacementEpochsTest : public testing::Test {
 protected:
  PlacementEpochsTest() {
    std::vector<PlacementDrive> drives(3);
    for (std::uint8_t i = 0; i < 3; ++i) drives[i].id.bytes[0] = static_cast<std::uint8_t>(i + 1);
    store_.elsewhere = Placement::make(DeploymentId{}, drives, 2, 1);
    store_.set(std::string(kName), store_.elsewhere.to_json());
  }
  Result<std::uint64_t> raise(std::uint16_t group, std::uint64_t known) {
    Ctx ctx{shard_, kNoDeadline, "test"};
    return run_to_end(shard_, epochs_.raise(ctx, group, known));
  }
  std::uint64_t stored(std::uint16_t group) const {
    return Placement::from_json(DeploymentId{}, store_.now->content)->group(group).epoch;
  }

  SystemClock clock_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1}};
  OneDocument store_;
  PlacementEpochs epochs_{store_, DeploymentId{}, std::string(kName)};
};

TEST_F(PlacementEpochsTest, RisesAboveAllThatWasKnown) {
  EXPECT_EQ(raise(7, 0).value_or(0), 2U);
  EXPECT_EQ(raise(7, 1).value_or(0), 3U);
  EXPECT_EQ(raise(7, 40).value_or(0), 41U) << "an older table was imported";
  EXPECT_EQ(stored(7), 41U);
  EXPECT_EQ(stored(8), 1U);
}

TEST_F(PlacementEpochsTest, TriesAgainWhenSomebodyElseWasFaster) {
  store_.elsewhere.raise_epoch(7, 9);
  store_.others = 2;
  EXPECT_EQ(raise(7, 0).value_or(0), 11U) << "what he made of it counts";
  EXPECT_EQ(store_.puts, 3);
  store_.others = 1000;
  EXPECT_TRUE(raise(7, 0).failed_with(Errc::conflict));
}

TEST_F(PlacementEpochsTest, SaysThatThereIsNoTable) {
  store_.now = nullptr;
  EXPECT_TRUE(raise(7, 0).failed_with(Errc::unavailable));
  store_.set(std::string(kName), "{");
  EXPECT_TRUE(raise(7, 0).failed_with(Errc::malformed));
}

}  // namespace
}  // namespace ostraka::cluster
