// Merged listings against a plain sorted map, with drives that disagree, fail and stall.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/unit/erasure/world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

disk::ObjectRef named(const World& world, std::string key) {
  disk::ObjectRef ref = world.ref;
  ref.key = std::move(key);
  return ref;
}

struct Listed {
  std::vector<std::string> keys;
  std::vector<std::string> prefixes;
};

// All pages.
Result<Listed> list_all(World& world, std::string prefix, std::string delimiter, std::size_t page_rows) {
  Listed out;
  disk::ListSpec spec;
  spec.bucket = world.ref.bucket;
  spec.prefix = std::move(prefix);
  spec.delimiter = std::move(delimiter);
  spec.max_rows = page_rows;
  for (int pages = 0; pages < 10000; ++pages) {
    Ctx ctx = world.ctx();
    const auto page = world.run(world.set->list(ctx, spec));
    if (!page) return tl::unexpected<Error>(page.error());
    EXPECT_LE(page->entries.size(), page_rows);
    for (const ListEntry& entry : page->entries) {
      (entry.common_prefix ? out.prefixes : out.keys).push_back(entry.key);
      EXPECT_EQ(entry.common_prefix, entry.record == nullptr);
    }
    if (page->end) return out;
    EXPECT_FALSE(page->entries.empty());
    spec.start = page->resume_key;
    spec.start_sub = page->resume_sub;
    spec.after_start = true;
    if (page->resume_skips_prefix) {
      spec.start.back() = static_cast<char>(spec.start.back() + 1);
      spec.after_start = false;
    }
  }
  ADD_FAILURE() << "the listing does not end";
  return out;
}

Listed expected(const std::set<std::string>& keys, const std::string& prefix, const std::string& delimiter) {
  Listed out;
  for (const std::string& key : keys) {
    if (!key.starts_with(prefix)) continue;
    const std::size_t found = delimiter.empty() ? std::string::npos : key.find(delimiter, prefix.size());
    if (found == std::string::npos) {
      out.keys.push_back(key);
    } else {
      const std::string common = key.substr(0, found + delimiter.size());
      if (out.prefixes.empty() || out.prefixes.back() != common) out.prefixes.push_back(common);
    }
  }
  return out;
}

TEST(List, AnEmptyBucketHasNoKeys) {
  World world({4, 2});
  const auto all = list_all(world, "", "", 10);
  ASSERT_TRUE(all.has_value());
  EXPECT_TRUE(all->keys.empty());
}

TEST(List, KeysComeInByteOrderPageByPage) {
  World world({4, 2});
  std::set<std::string> keys;
  for (const char* key : {"a", "a/b", "a/b/c", "a0", "b", "\xc3\xa9", "z//y", "z/", ".", "a b", "A"}) {
    ASSERT_TRUE(world.run(put_small(&world, named(world, key), "x")).has_value());
    keys.insert(key);
  }
  for (const std::size_t page : {1UL, 2UL, 3UL, 100UL}) {
    for (const char* prefix : {"", "a", "a/", "z/"}) {
      for (const char* delimiter : {"", "/", "b"}) {
        const auto all = list_all(world, prefix, delimiter, page);
        ASSERT_TRUE(all.has_value()) << all.error().detail;
        const Listed want = expected(keys, prefix, delimiter);
        EXPECT_EQ(all->keys, want.keys) << prefix << " " << delimiter << " " << page;
        EXPECT_EQ(all->prefixes, want.prefixes) << prefix << " " << delimiter << " " << page;
      }
    }
  }
}

// Every write and delete misses some drives, so that hardly any two of them hold the same.
TEST(List, DrivesThatDisagreeStillGiveOneTruth) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    World world({4, 2}, seed);
    SeededRandom& random = world.random;
    std::set<std::string> keys;
    for (int step = 0; step < 300; ++step) {
      const std::string key =
          fmt::format("{}/{}/{}", static_cast<char>('a' + random.below(3)), random.below(4), random.below(6));
      std::vector<unsigned> away;
      for (unsigned i = 0; i < random.below(3); ++i) away.push_back(static_cast<unsigned>(random.below(6)));
      for (const unsigned slot : away) world.memory[slot]->set_online(false);
      if (random.below(5) < 3) {
        ASSERT_TRUE(world.run(put_small(&world, named(world, key), "x")).has_value());
        keys.insert(key);
      } else {
        Ctx ctx = world.ctx();
        ASSERT_TRUE(world.run(world.set->erase(ctx, named(world, key), false, {})).has_value());
        keys.erase(key);
      }
      for (const unsigned slot : away) world.memory[slot]->set_online(true);
    }
    for (int round = 0; round < 6; ++round) {
      const std::size_t page = 1 + random.below(20);
      const std::string delimiter = round % 2 == 0 ? "/" : "";
      const std::string prefix = round < 3 ? "" : "b/";
      const auto all = list_all(world, prefix, delimiter, page);
      ASSERT_TRUE(all.has_value()) << all.error().detail;
      const Listed want = expected(keys, prefix, delimiter);
      EXPECT_EQ(all->keys, want.keys) << "seed " << seed << " page " << page;
      EXPECT_EQ(all->prefixes, want.prefixes) << "seed " << seed << " page " << page;
    }
  }
}

TEST(List, ASetThatAgreesIsListedWithoutReadingSingleKeys) {
  World world({4, 2});
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(world.run(put_small(&world, named(world, fmt::format("{:04}", i)), "x")).has_value());
  for (const auto& drive : world.memory) drive->reads = 0;
  const auto all = list_all(world, "", "", 1000);
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->keys.size(), 200U);
  for (const auto& drive : world.memory) EXPECT_EQ(drive->reads, 0U);
}

TEST(List, AFailingOrStuckDriveIsReplaced) {
  World world({4, 2});
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(world.run(put_small(&world, named(world, fmt::format("{:04}", i)), "x")).has_value());
  world.faulty[0]->follow([](std::string_view) { return Fate{.delay = seconds(10)}; });
  int calls = 0;
  world.faulty[1]->follow([&calls](std::string_view) { return Fate{.request_lost = ++calls > 2}; });
  const TimePoint began = world.clock.now();
  const auto all = list_all(world, "", "", 7);
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->keys.size(), 50U);
  EXPECT_LE(world.clock.now() - began, milliseconds(500));
  for (unsigned slot = 2; slot < 4; ++slot) world.memory[slot]->set_online(false);
  world.memory[0]->set_online(false);
  world.memory[1]->set_online(false);
  EXPECT_TRUE(list_all(world, "", "", 7).failed_with(Errc::unavailable));
}

TEST(List, PartsOfAnUploadComeByKeyAndSub) {
  World world({4, 2});
  for (const char* sub : {"u1/00001", "u1/00002", "u2/00001"}) {
    disk::ObjectRef ref = named(world, "key");
    ref.space = disk::KeySpace::part;
    ref.sub = sub;
    CommitSpec spec;
    spec.ref = ref;
    spec.record.kind = disk::RecordKind::part;
    Ctx ctx = world.ctx();
    ASSERT_TRUE(world.run(world.set->commit(ctx, std::move(spec))).has_value());
  }
  disk::ListSpec spec;
  spec.bucket = world.ref.bucket;
  spec.space = disk::KeySpace::part;
  spec.start = "key";
  spec.start_sub = "u1/00001";
  spec.after_start = true;
  spec.max_rows = 1;
  Ctx ctx = world.ctx();
  const auto page = world.run(world.set->list(ctx, spec));
  ASSERT_TRUE(page.has_value());
  ASSERT_EQ(page->entries.size(), 1U);
  EXPECT_EQ(page->entries[0].sub, "u1/00002");
  EXPECT_EQ(page->resume_sub, "u1/00002");
  EXPECT_FALSE(page->end);
}

}  // namespace
}  // namespace ostraka::erasure
