#include <set>

#include "object/lister.h"
#include "object_world.h"

namespace ostraka::object {
namespace {

struct Listed {
  std::vector<std::string> keys, prefixes;
  bool truncated = false;
  std::string next;
  bool operator==(const Listed&) const = default;
};

// What S3 says, over a set of keys.
Listed oracle(const std::set<std::string>& keys, const ListQuery& query) {
  Listed out;
  const auto group_of = [&](const std::string& key) -> std::string {
    if (query.delimiter.empty()) return {};
    const auto at = key.find(query.delimiter, query.prefix.size());
    return at == std::string::npos ? "" : key.substr(0, at + query.delimiter.size());
  };
  const bool after_prefix = query.start_after.starts_with(query.prefix) &&
                            group_of(query.start_after) == query.start_after && !query.start_after.empty();
  std::string last_prefix;
  for (const auto& key : keys) {
    if (!key.starts_with(query.prefix) || (!query.start_after.empty() && key <= query.start_after)) continue;
    if (after_prefix && key.starts_with(query.start_after)) continue;
    const std::string group = group_of(key);
    if (!group.empty() && group == last_prefix) continue;
    if (query.max_keys == 0) break;
    if (out.keys.size() + out.prefixes.size() == query.max_keys) {
      out.truncated = true;
      break;
    }
    (group.empty() ? out.keys : out.prefixes).push_back(group.empty() ? key : group);
    last_prefix = group;
    out.next = group.empty() ? key : group;
  }
  return out;
}

Listed list(ObjectWorld& world, ListQuery query) {
  Ctx ctx = world.ctx();
  query.bucket = BucketName("bucket");
  const auto page = world.run(world.layer->list(ctx, query));
  EXPECT_TRUE(page.has_value()) << page.error().detail;
  Listed out;
  if (!page) return out;
  for (const auto& object : page->objects) {
    out.keys.push_back(object.key);
    EXPECT_EQ(object.record->etag, hex(digest(DigestKind::md5, object.key)));
  }
  out.prefixes = page->common_prefixes;
  out.truncated = page->truncated;
  out.next = page->next;
  return out;
}

std::string show(const ListQuery& query) {
  return "prefix=" + hex(query.prefix) + " delimiter=" + query.delimiter +
         " after=" + hex(query.start_after) + " max=" + std::to_string(query.max_keys);
}

void expect_same(ObjectWorld& world, const std::set<std::string>& keys, const ListQuery& query) {
  const Listed got = list(world, query), want = oracle(keys, query);
  EXPECT_EQ(got.keys, want.keys) << show(query);
  EXPECT_EQ(got.prefixes, want.prefixes) << show(query);
  EXPECT_EQ(got.truncated, want.truncated) << show(query);
  EXPECT_EQ(got.next, want.next) << show(query);
}

TEST(Lister, PureParts) {
  EXPECT_EQ(common_prefix_of("a/b/c", "", "/"), "a/");
  EXPECT_EQ(common_prefix_of("a/b/c", "a/", "/"), "a/b/");
  EXPECT_EQ(common_prefix_of("a/b", "a/", "/"), "");
  EXPECT_EQ(common_prefix_of("a/b", "a", "/"), "a/");
  EXPECT_EQ(common_prefix_of("a", "", ""), "");
  EXPECT_EQ(common_prefix_of("aXYbXY", "", "XY"), "aXY");
}

TEST(List, SlashesAndNeighbours) {
  ObjectWorld world;
  const std::set<std::string> keys = {"a", "a/", "a/b", "a/b/c", "a//b", "a-b",   "a0",
                                      "/", "//", "//x", "b/1",   "b/2",  "b/3/4", "c"};
  for (const auto& key : keys) ASSERT_TRUE(world.put(key, key).has_value());
  for (const std::string prefix : {"", "a", "a/", "a//", "b/", "/", "//", "zz"}) {
    for (const std::string delimiter : {"", "/", "//", "b", "/b"}) {
      for (const std::size_t max : {0U, 1U, 2U, 3U, 1000U}) {
        ListQuery query;
        query.prefix = prefix;
        query.delimiter = delimiter;
        query.max_keys = max;
        expect_same(world, keys, query);
      }
    }
  }
}

TEST(List, PurgesTombstonesThatAreDue) {
  ObjectWorld world({.geometry = {2, 1}, .drives = 5});
  ASSERT_TRUE(world.put("gone", "body").has_value());
  ASSERT_TRUE(world.erase("gone").has_value());
  world.pass(std::chrono::seconds(150));
  const auto rows = [&] {
    std::size_t count = 0;
    for (const auto& drive : world.memory) count += drive->rows();
    return count;
  };
  EXPECT_EQ(rows(), 3U);
  EXPECT_EQ(list(world, {}), Listed());
  world.pass(std::chrono::seconds(1));
  EXPECT_EQ(rows(), 0U) << "nobody else asks about the key";
}

struct Shape {
  unsigned data, parity, drives;
};
class ListOracle : public testing::TestWithParam<Shape> {};

TEST_P(ListOracle, RandomKeysWithDeletesAndPages) {
  const Shape shape = GetParam();
  ObjectWorldSpec spec;
  spec.geometry.data_shards = static_cast<std::uint8_t>(shape.data);
  spec.geometry.parity_shards = static_cast<std::uint8_t>(shape.parity);
  spec.drives = shape.drives;
  ObjectWorld world(spec);
  std::set<std::string> keys;
  const auto random_key = [&] {
    const std::vector<std::string> alphabet = {
        "a", "b", "/", "//", "\xc3\xa4", "-", "0", std::string(1, '\0'), "\xff"};
    std::string key;
    for (std::uint64_t i = world.random.below(6) + 1; i > 0; --i)
      key += alphabet[world.random.below(alphabet.size())];
    return key;
  };
  for (int i = 0; i < 250; ++i) {
    const std::string key = random_key();
    if (world.random.below(4) == 0 && !keys.empty()) {
      const auto victim = std::next(keys.begin(), static_cast<long>(world.random.below(keys.size())));
      ASSERT_TRUE(world.erase(*victim).has_value());
      keys.erase(victim);
    } else {
      ASSERT_TRUE(world.put(key, key).has_value());
      keys.insert(key);
    }
  }
  const int rounds = shape.drives > shape.data + shape.parity ? 16 : 60;
  for (int round = 0; round < rounds; ++round) {
    if (round == rounds / 2 && shape.parity > 0) world.memory[1]->set_online(false);
    ListQuery query;
    const std::vector<std::string> delimiters = {"", "/", "//", "a", "\xc3\xa4", "b/"};
    query.delimiter = delimiters[world.random.below(delimiters.size())];
    if (world.random.below(2) == 0) query.prefix = random_key().substr(0, world.random.below(3));
    if (world.random.below(2) == 0) query.start_after = random_key();
    query.max_keys = world.random.below(3) == 0 ? 1000 : world.random.below(8);
    expect_same(world, keys, query);
    // in pages, all of it comes once
    ListQuery whole = query;
    whole.start_after.clear();
    whole.max_keys = 1000;
    Listed together;
    ListQuery paged = whole;
    paged.max_keys = 1 + world.random.below(7);
    for (;;) {
      const Listed page = list(world, paged);
      together.keys.insert(together.keys.end(), page.keys.begin(), page.keys.end());
      together.prefixes.insert(together.prefixes.end(), page.prefixes.begin(), page.prefixes.end());
      if (!page.truncated) break;
      ASSERT_GT(page.next, paged.start_after);
      paged.start_after = page.next;
    }
    const Listed want = oracle(keys, whole);
    EXPECT_EQ(together.keys, want.keys) << show(whole);
    EXPECT_EQ(together.prefixes, want.prefixes) << show(whole);
  }
}
INSTANTIATE_TEST_SUITE_P(Shapes, ListOracle,
                         testing::Values(Shape{1, 0, 1}, Shape{2, 1, 3}, Shape{4, 2, 6}, Shape{2, 1, 5},
                                         Shape{1, 1, 4}),
                         [](const auto& param_info) {
                           return std::to_string(param_info.param.data) + "_" +
                                  std::to_string(param_info.param.parity) + "_on_" +
                                  std::to_string(param_info.param.drives);
                         });

Task<> writer(ObjectWorld* world, int number, bool* done) {
  for (int i = 0; i < 12; ++i) {
    const std::string key = "k" + std::to_string(number) + "/" + std::to_string(i);
    co_await ObjectWorld::put_task(world, "bucket", key, key, {});
  }
  *done = true;
}
Task<> watcher(ObjectWorld* world, std::vector<bool*> writers, std::size_t* failures) {
  for (;;) {
    bool all = true;
    for (const bool* done : writers) all = all && *done;
    Ctx ctx = world->ctx();
    ListQuery query;
    query.bucket = BucketName("bucket");
    const auto page = co_await world->layer->list(ctx, std::move(query));
    if (!page) ++*failures;
    if (all) co_return;
  }
}

TEST(List, WhileKeysAreWritten) {
  ObjectWorld world(ObjectWorldSpec{erasure::Geometry{3, 3}});
  world.slow_drives(6);
  bool done[4] = {};
  std::size_t failures = 0;
  std::vector<Task<>> tasks;
  std::vector<bool*> writers;
  for (int i = 0; i < 4; ++i) {
    tasks.push_back(writer(&world, i, &done[i]));
    writers.push_back(&done[i]);
  }
  for (int i = 0; i < 2; ++i) tasks.push_back(watcher(&world, writers, &failures));
  world.run_together(std::move(tasks));
  EXPECT_EQ(failures, 0U);
  ListQuery query;
  EXPECT_EQ(list(world, query).keys.size(), 48U);
}

// The writer died when half of the drives had the version; one of the others is away.
Task<> half_write(ObjectWorld* world, disk::ObjectRef ref, std::string text) {
  Ctx ctx = world->ctx();
  const erasure::StagedBody body =
      world->sets->of(ref).encode_inline(erasure::Geometry{3, 3}, as_bytes(text));
  auto record = std::make_shared<disk::VersionRecord>();
  record->id = world->hlc.next(world->clock.unix_ms());
  record->epoch = 1;
  record->data_shards = record->parity_shards = 3;
  record->write_quorum = 4;
  record->inline_data = true;
  record->size = text.size();
  record->etag = hex(digest(DigestKind::md5, text));
  const auto encoded = std::make_shared<const std::string>(disk::encode(*record));
  const auto& drives = world->placement.group(ref.group).drives;
  for (std::uint8_t slot = 0; slot < 3; ++slot) {
    disk::CommitRequest request;
    request.record = record;
    request.encoded = encoded;
    request.shard_index = slot;
    request.inline_shard = body.inline_shards[slot];
    for (auto& drive : world->memory) {
      if (drive->id() != drives[slot]) continue;
      const auto answer = co_await drive->commit(ctx, ref, std::move(request));
      EXPECT_TRUE(answer.has_value() && answer->verdict == disk::Verdict::ok);
    }
  }
}

// A listing that meets such a key rolls it forward. Each group has its drives in another order, and that is
// where its shards must go.
TEST(List, RollsForwardInTheKeysOwnGroup) {
  ObjectWorld world(ObjectWorldSpec{erasure::Geometry{3, 3}});
  const auto bucket = world.layer->bucket(BucketName("bucket"));
  for (int i = 0; i < 12; ++i) {
    const std::string key = "key" + std::to_string(i);
    const disk::ObjectRef ref = world.sets->object(bucket->id, ObjectKey(key));
    const auto& drives = world.placement.group(ref.group).drives;
    world.run(half_write(&world, ref, key));
    for (auto& drive : world.memory) drive->set_online(drive->id() != drives[5]);
    ListQuery query;
    query.prefix = key;
    query.delimiter = i % 2 == 0 ? "/" : "";
    EXPECT_EQ(list(world, query).keys, (std::vector<std::string>{key}));
    unsigned holders = 0;
    for (auto& drive : world.memory) {
      const auto* state = drive->state(ref);
      if (state == nullptr || state->versions.empty()) continue;
      ++holders;
      EXPECT_EQ(drives[state->versions.front().shard_index], drive->id());
    }
    EXPECT_GE(holders, 4U);
    for (auto& drive : world.memory) drive->set_online(true);
    ASSERT_TRUE(world.erase(key).has_value());
  }
}

}  // namespace
}  // namespace ostraka::object
