// Listings over more drives than one set has: every key is judged by the drives of its own group, whatever
// the others say, and a group may move while it is listed.
#include <set>

#include "erasure/limits.h"
#include "object/lister.h"
#include "object_world.h"

namespace ostraka::object {
namespace {

using Keys = std::set<std::string>;

struct Listed {
  std::vector<std::string> names;  // keys and common prefixes, in the order in which they came
  bool operator==(const Listed&) const = default;
};

Listed oracle(const Keys& keys, const std::string& prefix, const std::string& delimiter) {
  Listed out;
  for (const std::string& key : keys) {
    if (!key.starts_with(prefix)) continue;
    const std::string common(common_prefix_of(key, prefix, delimiter));
    const std::string& name = common.empty() ? key : common;
    if (out.names.empty() || out.names.back() != name) out.names.push_back(name);
  }
  return out;
}

// Ten drives, and sets of fewer.
struct Wide : ObjectWorld {
  explicit Wide(erasure::Geometry geometry, std::uint64_t seed = 1, unsigned drive_count = 10)
      : ObjectWorld(ObjectWorldSpec{geometry, drive_count, seed}), now(table) {}

  erasure::MemoryDrive& drive(const DriveId& id) {
    for (auto& drive : memory)
      if (drive->id() == id) return *drive;
    std::abort();
  }
  disk::Drive* faulty_drive(const DriveId& id) {
    for (auto& drive : faulty)
      if (drive->id() == id) return drive.get();
    std::abort();
  }
  std::string random_key() {
    return fmt::format("{}/{}/{}", static_cast<char>('a' + random.below(4)), random.below(5),
                       random.below(12));
  }
  void fill(unsigned changes) {
    for (unsigned i = 0; i < changes; ++i) {
      const std::string key = random_key();
      if (random.below(4) == 0) {
        ASSERT_TRUE(erase(key).has_value());
        keys.erase(key);
      } else {
        ASSERT_TRUE(put(key, key).has_value());
        keys.insert(key);
      }
    }
  }
  std::uint16_t group_of(const std::string& key) {
    return placement.group_of(layer->bucket(BucketName("bucket"))->id, key);
  }

  Task<Result<ObjectsPage>> page_of(std::string prefix, std::string delimiter, std::string after,
                                    std::size_t max) {
    Ctx c = ctx();
    ListQuery query;
    query.bucket = BucketName("bucket");
    query.prefix = std::move(prefix);
    query.delimiter = std::move(delimiter);
    query.start_after = std::move(after);
    query.max_keys = max;
    co_return co_await layer->list(c, std::move(query));
  }
  // Page by page; between: before each page but the first, with what the one before ended with.
  Result<Listed> list(const std::string& prefix, const std::string& delimiter, std::size_t max,
                      const std::function<void(const std::string&)>& between = {}) {
    Listed out;
    std::string after;
    for (;;) {
      TRY(page, run(page_of(prefix, delimiter, after, max)));
      std::size_t object = 0, common = 0;
      while (object < page.objects.size() || common < page.common_prefixes.size()) {
        const bool is_object =
            common == page.common_prefixes.size() ||
            (object < page.objects.size() && page.objects[object].key < page.common_prefixes[common]);
        out.names.push_back(is_object ? page.objects[object++].key : page.common_prefixes[common++]);
      }
      if (!page.truncated) return out;
      if (page.next <= after) return fail(Errc::internal, "the listing does not get on");
      after = page.next;
      if (between) between(after);
    }
  }
  void expect_all(const std::string& what) {
    for (const char* delimiter : {"", "/"}) {
      for (const char* prefix : {"", "b/"}) {
        const std::size_t max = 1 + random.below(60);
        const auto got = list(prefix, delimiter, max);
        ASSERT_TRUE(got.has_value()) << what << ": " << got.error().detail;
        EXPECT_EQ(got->names, oracle(keys, prefix, delimiter).names)
            << what << " prefix=" << prefix << " delimiter=" << delimiter << " max=" << max;
      }
    }
  }

  // A slot goes to a drive that is none of the group's; gives the table that says so.
  SetTablePtr move_slot(std::uint16_t group, unsigned slot) {
    const auto& drives = now.placement->group(group).drives;
    DriveId to;
    do {
      to = memory[random.below(memory.size())]->id();
    } while (std::find(drives.begin(), drives.end(), to) != drives.end());
    return move_slot(group, slot, to);
  }
  SetTablePtr move_slot(std::uint16_t group, unsigned slot, const DriveId& to) {
    const DriveId from = now.placement->group(group).drives[slot];
    drive(from).set_away(group);
    drive(from).move_group(group, drive(to));
    drive(to).set_away(group, false);
    cluster::Placement next = *now.placement;
    EXPECT_TRUE(next.move_slot(group, slot, from, to));
    std::vector<disk::Drive*> members;
    for (const DriveId& id : next.group(group).drives) members.push_back(faulty_drive(id));
    now.sets[group] =
        erasure::make_erasure_set(context, group, 1, now.sets[group]->geometry(), std::move(members));
    now.placement = std::make_shared<const cluster::Placement>(std::move(next));
    return std::make_shared<const SetTable>(now);
  }

  Keys keys;
  SetTable now;  // the newest
};

class ListSets : public testing::TestWithParam<std::uint8_t> {
 protected:
  erasure::Geometry geometry() const { return erasure::Geometry{GetParam(), 2}; }
};
INSTANTIATE_TEST_SUITE_P(OnTen, ListSets, testing::Values(4, 6),
                         [](const auto& param_info) { return std::to_string(param_info.param) + "_2"; });

// Every write misses a drive, so that rows disagree; then drives go, are emptied, or lose single groups.
TEST_P(ListSets, ShowWhatTheirOwnGroupsHold) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    Wide world(geometry(), seed);
    for (int round = 0; round < 8; ++round) {
      auto& away = *world.memory[world.random.below(10)];
      away.set_online(false);
      world.fill(12);
      away.set_online(true);
    }
    world.expect_all("all drives");
    world.pass(std::chrono::seconds(1));
    auto& first = *world.memory[world.random.below(10)];
    first.set_online(false);
    world.expect_all("a drive is away");
    first.set_online(true);
    for (unsigned group = 0; group < kPlacementGroups; ++group) {
      const auto g = static_cast<std::uint16_t>(group);
      const auto& drives = world.placement.group(g).drives;
      if (group % 3 == 0) world.drive(drives[world.random.below(drives.size())]).set_away(g);
    }
    world.expect_all("many groups have left a drive");
    world.memory[world.random.below(10)]->lose_everything(2);
    world.expect_all("a drive is being refilled");
  }
}

TEST_P(ListSets, AskEachDriveOnceAPage) {
  Wide world(geometry());
  for (int i = 0; i < 160; ++i) {
    const std::string key = fmt::format("{:04}", i);
    ASSERT_TRUE(world.put(key, key).has_value());
    world.keys.insert(key);
  }
  world.pass(std::chrono::seconds(1));
  for (auto& drive : world.memory) drive->lists = drive->listed_rows = drive->reads = 0;
  const auto page = world.run(world.page_of("", "", "", 120));
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->objects.size(), 120U);
  unsigned long rows = 0, asked = 0;
  for (auto& drive : world.memory) {
    EXPECT_LE(drive->lists, 1U);
    EXPECT_EQ(drive->reads, 0U) << "all agree";
    rows += drive->listed_rows;
    asked += drive->lists;
  }
  const unsigned quorum = geometry().read_quorum();
  EXPECT_LT(asked, 10U) << "some of them suffice";
  EXPECT_GE(rows, quorum * 121UL);
  EXPECT_LT(rows, quorum * 121UL * 16 / 10) << "each key is told by as few drives as decide";
}

TEST_P(ListSets, LookNotFarBehindTheEndOfThePage) {
  Wide world(geometry());
  for (int i = 0; i < 480; ++i) ASSERT_TRUE(world.put(fmt::format("{:04}", i), "x").has_value());
  world.pass(std::chrono::seconds(1));
  for (auto& drive : world.memory) drive->looked_rows = 0;
  ASSERT_TRUE(world.run(world.page_of("", "", "", 120)).has_value());
  // Each drive has this share of the keys.
  const unsigned long of_page = 121UL * geometry().drives() / 10;
  for (auto& drive : world.memory) EXPECT_LE(drive->looked_rows, of_page * 5 / 4 + erasure::kListSpareRows);
}

TEST_P(ListSets, SkipACommonPrefixBySeekingPastIt) {
  Wide world(geometry());
  for (int i = 0; i < 120; ++i) {
    const std::string key = fmt::format("{}/{:03}", static_cast<char>('a' + i % 4), i);
    ASSERT_TRUE(world.put(key, key).has_value());
    world.keys.insert(key);
  }
  world.pass(std::chrono::seconds(1));
  for (auto& drive : world.memory) drive->looked_rows = drive->reads = 0;
  const auto got = world.list("", "/", 1000);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->names, (std::vector<std::string>{"a/", "b/", "c/", "d/"}));
  unsigned long looked = 0;
  for (auto& drive : world.memory) looked += drive->looked_rows;
  EXPECT_LT(looked, 120U);
}

// A drive that fails in the middle of a listing, and one that hangs, are replaced by others.
TEST_P(ListSets, GoOnWithoutADriveThatFails) {
  Wide world(geometry());
  world.fill(80);
  world.pass(std::chrono::seconds(1));
  int calls = 0;
  world.faulty[2]->follow([&calls](std::string_view) { return erasure::Fate{.request_lost = ++calls > 2}; });
  world.faulty[5]->follow([](std::string_view call) {
    return erasure::Fate{.delay = std::chrono::seconds(call == "list" ? 50 : 0)};
  });
  const TimePoint began = world.clock.now();
  world.expect_all("one fails, one hangs");
  EXPECT_LT(world.clock.now() - began, std::chrono::seconds(30));
}

// Slots move at any moment; this node hears of it at once, later or never. What is deleted or written
// behind the page meanwhile is seen by the pages that follow.
TEST_P(ListSets, OfGroupsThatMoveMissNothingAndShowNothingStale) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Wide world(geometry(), seed);
    world.fill(100);
    world.pass(std::chrono::seconds(1));
    // Another node, which knows every table at once.
    ObjectSets other_sets(std::make_shared<const SetTable>(world.now), *make_storage_classes(geometry(), 0));
    ErasureObjectLayer other(
        LayerDeps{world.clock, world.random, world.hlc, world.locks, world.gate, *world.buckets, other_sets});
    const auto erase_there = [&](const std::string& key) {
      Ctx c = world.ctx();
      DeleteSpec spec{BucketName("bucket"), ObjectKey(key), {}};
      ASSERT_TRUE(world.run(other.erase(c, std::move(spec))).has_value());
    };
    const auto put_there = [&](const std::string& key) {
      Ctx c = world.ctx();
      PutSpec spec;
      spec.bucket = BucketName("bucket");
      spec.key = ObjectKey(key);
      spec.expect.size = key.size();
      TextBody body(key);
      ASSERT_TRUE(world.run(other.put(c, std::move(spec), body)).has_value());
    };
    SetTablePtr newest;
    Keys deleted;
    const auto between = [&](const std::string& after) {
      const auto behind = world.keys.upper_bound(after);
      if (behind == world.keys.end()) return;
      const std::string victim = *behind;
      const std::uint16_t group = world.group_of(victim);
      newest = world.move_slot(group, static_cast<unsigned>(world.random.below(geometry().drives())));
      other_sets.follow(newest);
      if (world.random.below(2) == 0) {
        put_there(victim);
      } else {
        erase_there(victim);
        world.keys.erase(victim);
        deleted.insert(victim);
      }
      if (seed % 3 == 0) world.sets->follow(newest);
      if (seed % 3 == 1 && world.random.below(4) == 0) world.sets->follow(newest);
    };
    const Keys before = world.keys;
    const auto got = world.list("", "", 8, between);
    ASSERT_TRUE(got.has_value()) << got.error().detail;
    Keys expected = before;
    for (const std::string& key : deleted) expected.erase(key);
    EXPECT_FALSE(deleted.empty());
    EXPECT_EQ(got->names, oracle(expected, "", "").names) << "seed " << seed;
    if (newest) world.sets->follow(newest);
    world.expect_all("after the moves");
  }
}

// All drives that are asked about a group have given it away: the others of the table that this node knows
// decide.
TEST(ListSetsOfAnOldTable, AskOthersWhenAllThatWereAskedHaveGivenAGroupAway) {
  Wide world(erasure::Geometry{4, 2});
  for (int i = 0; i < 30; ++i) {
    const std::string key = fmt::format("{:02}", i);
    ASSERT_TRUE(world.put(key, key).has_value());
    world.keys.insert(key);
  }
  world.pass(std::chrono::seconds(1));
  std::vector<erasure::CorePtr> cores;
  for (const SetPtr& set : world.table.sets) cores.push_back(set->core());
  const auto field =
      erasure::make_list_field(cores, [](BucketId, std::string_view) { return std::uint16_t{0}; });
  erasure::ListPlan plan(field);
  ASSERT_TRUE(plan.fill());
  std::set<std::uint16_t> moved;
  for (const std::string& key : world.keys) {
    const std::uint16_t group = world.group_of(key);
    if (!moved.insert(group).second) continue;
    const auto& drives = world.placement.group(group).drives;
    std::vector<DriveId> outside;
    for (auto& drive : world.memory)
      if (std::find(drives.begin(), drives.end(), drive->id()) == drives.end())
        outside.push_back(drive->id());
    unsigned told = 0;
    for (unsigned i = 0; i < field->drives.size(); ++i) {
      if (!plan.asked(i)[group]) continue;
      const auto at = std::find(drives.begin(), drives.end(), field->drives[i]->id());
      ASSERT_LT(told, outside.size());
      world.move_slot(group, static_cast<unsigned>(at - drives.begin()), outside[told++]);
    }
    EXPECT_EQ(told, 3U);
  }
  world.expect_all("with the old table");
  world.sets->follow(std::make_shared<const SetTable>(world.now));
  world.expect_all("with the new one");
}

// The same while one page is on its way: the move takes place between the calls to two drives.
TEST_P(ListSets, GroupsMoveInTheMiddleOfAPage) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    Wide world(geometry(), seed);
    world.fill(80);
    world.pass(std::chrono::seconds(1));
    int calls = 0;
    const int when = static_cast<int>(world.random.below(5));
    const bool heard = seed % 2 == 0;
    for (auto& drive : world.faulty) {
      drive->follow([&](std::string_view call) {
        if (call == "list" && calls++ >= when && calls < when + 20) {
          const auto table =
              world.move_slot(static_cast<std::uint16_t>(world.random.below(kPlacementGroups)), 0);
          if (heard) world.sets->follow(table);
        }
        return erasure::Fate{};
      });
    }
    const auto got = world.list(seed % 3 == 0 ? "a/" : "", seed % 4 == 0 ? "/" : "", 30);
    ASSERT_TRUE(got.has_value()) << got.error().detail;
    EXPECT_GT(calls, when);
    EXPECT_EQ(got->names, oracle(world.keys, seed % 3 == 0 ? "a/" : "", seed % 4 == 0 ? "/" : "").names)
        << "seed " << seed;
  }
}

// Without parity nobody else can answer for the slot: the page is asked for again with the table that names
// its new drive, and while the slot is on its way, it is waited for.
TEST(ListSetsWithoutParity, AreAskedAgainWithANewerTable) {
  Wide world(erasure::Geometry{1, 0}, 1, 5);
  for (int i = 0; i < 60; ++i) {
    const std::string key = fmt::format("{:03}", i);
    ASSERT_TRUE(world.put(key, key).has_value());
    world.keys.insert(key);
  }
  bool moved = false;
  for (auto& drive : world.faulty) {
    drive->follow([&](std::string_view call) {
      if (call == "list" && !std::exchange(moved, true)) {
        SetTablePtr table;
        for (const std::string& key : world.keys) table = world.move_slot(world.group_of(key), 0);
        world.sets->follow(table);
      }
      return erasure::Fate{};
    });
  }
  world.expect_all("moved");
  EXPECT_TRUE(moved);

  const std::uint16_t group = world.group_of(*world.keys.begin());
  auto& holder = world.drive(world.now.placement->group(group).drives[0]);
  holder.set_away(group);
  EXPECT_TRUE(world.list("", "", 1000).failed_with(Errc::unavailable)) << "nobody answers for it";
  std::vector<bool> moving(kPlacementGroups);
  moving[group] = true;
  world.sets->set_moving(moving);
  int calls = 0;
  for (auto& drive : world.faulty) {
    drive->follow([&](std::string_view call) {
      if (call == "list" && ++calls == 30) holder.set_away(group, false);
      return erasure::Fate{};
    });
  }
  const auto got = world.list("", "", 1000);
  ASSERT_TRUE(got.has_value()) << got.error().detail;
  EXPECT_EQ(got->names, oracle(world.keys, "", "").names);
  EXPECT_GE(calls, 30);
}

}  // namespace
}  // namespace ostraka::object
