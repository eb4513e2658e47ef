// What every ControlStore must do, whatever it is kept on. A backend is default-constructible and gives
//   Shard& shard(), control::ControlStore& store(): loaded and empty but for its own bookkeeping
//   void restart(): a new store over what the old one left
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/limits.h"
#include "control/control_store.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

template <class Backend>
class ControlStoreSuite : public testing::Test {
 protected:
  Result<control::DocumentPtr> put(std::string name, std::string content,
                                   std::optional<std::uint64_t> expected = {}) {
    Ctx ctx = context();
    return run_to_end(backend_.shard(),
                      backend_.store().put(ctx, std::move(name), std::move(content), expected));
  }
  Result<> erase(std::string name, std::optional<std::uint64_t> expected = {}) {
    Ctx ctx = context();
    return run_to_end(backend_.shard(), backend_.store().erase(ctx, std::move(name), expected));
  }
  std::string content(std::string_view name) {
    const auto document = backend_.store().get(name);
    return document ? document->content : "(none)";
  }
  std::vector<std::string> names(std::string_view prefix) {
    std::vector<std::string> out;
    for (const auto& document : backend_.store().list(prefix)) out.push_back(document->name);
    return out;
  }
  Ctx context() { return Ctx{backend_.shard(), kNoDeadline, "test"}; }

  Backend backend_;
};

template <class Store>
Task<> add_one(Store* store, Shard* shard, int times) {
  Ctx ctx{*shard, kNoDeadline, "add"};
  while (times > 0) {
    const control::DocumentPtr now = store->get("count");
    std::string name = "count";
    std::string next = std::to_string(now ? std::stoi(now->content) + 1 : 1);
    const std::uint64_t revision = now ? now->revision : 0;
    const auto put = co_await store->put(ctx, std::move(name), std::move(next), revision);
    if (put) --times;
    if (!put && !put.failed_with(Errc::conflict)) {
      ADD_FAILURE() << put.error().detail;
      co_return;
    }
  }
}

TYPED_TEST_SUITE_P(ControlStoreSuite);

TYPED_TEST_P(ControlStoreSuite, ComparesRevisions) {
  const auto made = this->put("bucket/a", "1", 0);
  ASSERT_TRUE(made.has_value());
  EXPECT_TRUE(this->put("bucket/a", "2", 0).failed_with(Errc::conflict));
  EXPECT_TRUE(this->put("bucket/a", "2", (*made)->revision + 1).failed_with(Errc::conflict));
  const auto changed = this->put("bucket/a", "2", (*made)->revision);
  ASSERT_TRUE(changed.has_value());
  EXPECT_GT((*changed)->revision, (*made)->revision);
  EXPECT_TRUE(this->erase("bucket/a", (*made)->revision).failed_with(Errc::conflict));
  EXPECT_EQ(this->content("bucket/a"), "2");
  EXPECT_TRUE(this->erase("bucket/a", (*changed)->revision).has_value());
  EXPECT_EQ(this->backend_.store().get("bucket/a"), nullptr);
  const auto again = this->put("bucket/a", "3", 0);
  ASSERT_TRUE(again.has_value());
  EXPECT_GT((*again)->revision, (*changed)->revision);
}

TYPED_TEST_P(ControlStoreSuite, PutsAndErasesWhateverIsThere) {
  ASSERT_TRUE(this->put("a", "1").has_value());
  ASSERT_TRUE(this->put("a", "2").has_value());
  EXPECT_EQ(this->content("a"), "2");
  EXPECT_TRUE(this->erase("a").has_value());
  EXPECT_TRUE(this->erase("a").has_value());  // absent already
  EXPECT_TRUE(this->erase("a", 0).has_value());
  EXPECT_TRUE(this->erase("a", 7).failed_with(Errc::conflict));
  EXPECT_EQ(this->content("a"), "(none)");
}

TYPED_TEST_P(ControlStoreSuite, ListsAPrefixInOrder) {
  for (const char* name : {"bucket/b", "bucket/a", "buckets", "settings/x", "bucket/c"})
    ASSERT_TRUE(this->put(name, name).has_value());
  ASSERT_TRUE(this->erase("bucket/b").has_value());
  EXPECT_EQ(this->names("bucket/"), (std::vector<std::string>{"bucket/a", "bucket/c"}));
}

TYPED_TEST_P(ControlStoreSuite, TellsWatchersOfTheirPrefixOnceAndInOrder) {
  std::vector<std::string> told;
  std::uint64_t newest = 0;
  this->backend_.store().watch("bucket/", [&](const std::string& name, const control::DocumentPtr& now) {
    told.push_back(now ? name + "=" + now->content : name + " erased");
    if (!now) return;
    EXPECT_GT(now->revision, newest);
    newest = now->revision;
  });
  ASSERT_TRUE(this->put("bucket/a", "1").has_value());
  ASSERT_TRUE(this->put("other", "1").has_value());
  ASSERT_TRUE(this->put("bucket/a", "2").has_value());
  ASSERT_TRUE(this->erase("bucket/a").has_value());
  ASSERT_TRUE(this->erase("bucket/a").has_value());
  ASSERT_TRUE(this->put("bucket/b", "3").has_value());
  EXPECT_EQ(told, (std::vector<std::string>{"bucket/a=1", "bucket/a=2", "bucket/a erased", "bucket/b=3"}));
}

TYPED_TEST_P(ControlStoreSuite, TakesAnyBytesUpToTheLimits) {
  const std::string name(kMaxDocumentNameBytes, '\xff');
  const std::string content(kMaxDocumentBytes, '\0');
  ASSERT_TRUE(this->put(name, content).has_value());
  ASSERT_TRUE(this->put(std::string("\0\n", 2), "").has_value());
  EXPECT_EQ(this->content(name), content);
  EXPECT_EQ(this->content(std::string_view("\0\n", 2)), "");
  EXPECT_TRUE(this->put(name + "x", "").failed_with(Errc::too_large));
  EXPECT_TRUE(this->put("", "").failed_with(Errc::too_large));
  EXPECT_TRUE(this->put("x", content + "x").failed_with(Errc::too_large));
}

TYPED_TEST_P(ControlStoreSuite, KeepsThemOverARestart) {
  ASSERT_TRUE(this->put("bucket/a", "1").has_value());
  const auto kept = this->put("bucket/b", "2");
  ASSERT_TRUE(kept.has_value());
  ASSERT_TRUE(this->erase("bucket/a").has_value());
  this->backend_.restart();
  EXPECT_EQ(this->names("bucket/"), (std::vector<std::string>{"bucket/b"}));
  const auto changed = this->put("bucket/b", "3", this->backend_.store().get("bucket/b")->revision);
  ASSERT_TRUE(changed.has_value());
  EXPECT_GT((*changed)->revision, (*kept)->revision);
}

TYPED_TEST_P(ControlStoreSuite, LosesNoChangeAmongMany) {
  Gate gate;
  Shard& shard = this->backend_.shard();
  for (int i = 0; i < 5; ++i) gate.spawn(shard.executor(), add_one(&this->backend_.store(), &shard, 8));
  run_to_end(shard, gate.close());
  EXPECT_EQ(this->content("count"), "40");
}

REGISTER_TYPED_TEST_SUITE_P(ControlStoreSuite, ComparesRevisions, PutsAndErasesWhateverIsThere,
                            ListsAPrefixInOrder, TellsWatchersOfTheirPrefixOnceAndInOrder,
                            TakesAnyBytesUpToTheLimits, KeepsThemOverARestart, LosesNoChangeAmongMany);

}  // namespace ostraka::cluster
