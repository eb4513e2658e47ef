// A drive that answers after ten seconds, or never: nobody waits for it longer than the hedge and grace
// times, and what it has not begun keeps no buffers.
#include <gtest/gtest.h>

#include "tests/unit/erasure/heal_world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::duration_cast;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMiB = 1U << 20;

Fate ten_seconds(std::string_view) {
  return Fate{.delay = seconds(10)};
}
Fate hangs(std::string_view) {
  return Fate{.delay = hours(24)};
}

// How long it took of the world's time, and once more when the drive is known to be slow.
struct Waited {
  milliseconds first, again;
};
template <class Fn>
Waited waited(World& world, Fn fn) {
  Waited out;
  TimePoint began = world.clock.now();
  fn();
  out.first = duration_cast<milliseconds>(world.clock.now() - began);
  began = world.clock.now();
  fn();
  out.again = duration_cast<milliseconds>(world.clock.now() - began);
  return out;
}

// Each in a world of its own, with every drive in turn as the slow one.
template <class Prepare, class Fn>
void expect_waits(std::string_view what, milliseconds first, milliseconds again, Prepare prepare, Fn fn) {
  Waited most{};
  for (unsigned slow = 0; slow < 6; ++slow) {
    World world({4, 2});
    prepare(world);
    world.faulty[slow]->follow(ten_seconds);
    const Waited took = waited(world, [&] { fn(world); });
    most.first = std::max(most.first, took.first);
    most.again = std::max(most.again, took.again);
  }
  EXPECT_LE(most.first, first) << what;
  EXPECT_LE(most.again, again) << what;
  testing::Test::RecordProperty(std::string(what),
                                fmt::format("{} ms, then {} ms", most.first.count(), most.again.count()));
}

constexpr milliseconds kHedge{20};
constexpr milliseconds kGrace{200};
const auto kNothing = [](World&) {};
const auto kSmall = [](World& world) {
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "a small body")).has_value());
};
const auto kLarge = [](World& world) {
  ASSERT_TRUE(world.run(put_large(&world, world.ref, std::string(5 * kMiB, 'x'), {4, 2})).has_value());
};

TEST(SlowDrive, Head) {
  expect_waits("head", kHedge, kHedge, kSmall, [](World& world) {
    Ctx ctx = world.ctx();
    EXPECT_TRUE(world.run(world.set->read(ctx, world.ref, false)).has_value());
  });
}
TEST(SlowDrive, SmallGet) {
  expect_waits("small get", kHedge, kHedge, kSmall,
               [](World& world) { EXPECT_EQ(*world.run(get(&world, world.ref)), "a small body"); });
}
TEST(SlowDrive, LargeGet) {
  expect_waits("large get", 2 * kHedge, kHedge, kLarge, [](World& world) {
    EXPECT_TRUE(*world.run(get(&world, world.ref)) == std::string(5 * kMiB, 'x'));
  });
}
TEST(SlowDrive, AbsentKey) {
  expect_waits("get of an absent key", kHedge, kHedge, kNothing, [](World& world) {
    EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::not_found));
  });
}
TEST(SlowDrive, List) {
  expect_waits("list", kGrace, kHedge, kSmall, [](World& world) {
    Ctx ctx = world.ctx();
    disk::ListSpec spec;
    spec.bucket = world.ref.bucket;
    const auto page = world.run(world.set->list(ctx, spec));
    ASSERT_TRUE(page.has_value());
    EXPECT_EQ(page->entries.size(), 1U);
  });
}
TEST(SlowDrive, SmallPut) {
  expect_waits("small put", kHedge + kGrace, kHedge, kNothing, kSmall);
}
TEST(SlowDrive, LargePut) {
  expect_waits("large put", kHedge + 2 * kGrace, kHedge, kNothing, kLarge);
}
TEST(SlowDrive, Delete) {
  expect_waits("delete", kHedge + kGrace, kHedge, kSmall, [](World& world) {
    Ctx ctx = world.ctx();
    EXPECT_TRUE(world.run(world.set->erase(ctx, world.ref, false, nullptr)).has_value());
  });
}
TEST(SlowDrive, MultipartComplete) {
  int count = 0;
  std::vector<std::unique_ptr<Upload>> uploads;
  const auto prepare = [&](World& world) {
    uploads.clear();
    count = 0;
    for (const char* id : {"one", "two"}) {
      uploads.push_back(std::make_unique<Upload>(world, id));
      uploads.back()->put_part(1, 2 * kMiB);
    }
  };
  expect_waits("multipart complete", kHedge + 2 * kGrace, 2 * kHedge, prepare, [&](World&) {
    Upload& upload = *uploads[static_cast<std::size_t>(count++)];
    EXPECT_TRUE(upload.complete().has_value());
    upload.erase(upload.row());
  });
}
TEST(SlowDrive, MemoryReadsOfASlowDriveAreOfNoUseEither) {
  World world({4, 2});
  kSmall(world);
  for (const auto& drive : world.memory) drive->set_memory_reads(false);
  world.faulty[0]->follow(ten_seconds);
  const TimePoint began = world.clock.now();
  EXPECT_EQ(*world.run(get(&world, world.ref)), "a small body");
  EXPECT_LE(world.clock.now() - began, kHedge);
}

Task<> put_many(World* world, int count, int writer, int* running, int* failed) {
  for (int i = 0; i < count; ++i) {
    disk::ObjectRef ref = world->ref;
    ref.key = "key-" + std::to_string(writer);
    const auto put = co_await put_large(world, ref, std::string(6 * kMiB, 'x'), world->set->geometry());
    if (!put) ++*failed;
  }
  --*running;
}
Task<> wait_for(World* world, const int* running) {
  while (*running > 0) co_await sleep_for(world->clock, milliseconds(10));
}

TEST(SlowDrive, WritesGoOnForEverBesideADriveThatHangs) {
  for (const char* call : {"stage", "append", "finish"}) {
    World world({4, 2});  // 24 slabs
    world.faulty[3]->follow([call](std::string_view name) { return name == call ? hangs(name) : Fate(); });
    int running = 10;
    int failed = 0;
    const TimePoint began = world.clock.now();
    for (int i = 0; i < 10; ++i)
      world.gate.spawn(world.shard.executor(), put_many(&world, 20, i, &running, &failed));
    world.run(wait_for(&world, &running));
    EXPECT_EQ(failed, 0) << call;
    EXPECT_LE(world.shard.buffers().in_use(), 2U) << call;
    EXPECT_LE(world.clock.now() - began, seconds(5)) << call << ": once it hangs it is left out";
  }
}

TEST(SlowDrive, ADriveThatHungIsWrittenToAgainWhenItAnswers) {
  World world({4, 2});
  world.faulty[3]->follow(
      [](std::string_view name) { return name == "append" ? ten_seconds(name) : Fate(); });
  kLarge(world);
  world.pass(seconds(2));
  kLarge(world);
  EXPECT_EQ(world.memory[3]->files().size(), 1U) << "the first one's, in the making: the second left it out";
  world.faulty[3]->follow({});
  world.pass(seconds(10));
  kLarge(world);
  EXPECT_EQ(world.memory[3]->files().size(), 1U);
}

}  // namespace
}  // namespace ostraka::erasure
