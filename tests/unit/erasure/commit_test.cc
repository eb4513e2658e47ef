// Writing and reading whole keys: quorums, slow and dead drives, conditional writes, dead coordinators,
// deletes.
#include <gtest/gtest.h>

#include "erasure/heal_queue.h"
#include "tests/unit/erasure/world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Fate dead(std::string_view) {
  return Fate{.request_lost = true};
}
Fate stuck(std::string_view) {
  return Fate{.delay = seconds(10)};
}

const Geometry kGeometries[] = {{1, 0}, {1, 1}, {2, 0}, {2, 1}, {2, 2},
                                {4, 2}, {5, 3}, {4, 4}, {8, 4}, {16, 16}};

TEST(Set, WritesAndReadsInEveryGeometry) {
  for (const Geometry geometry : kGeometries) {
    World world(geometry);
    for (const std::size_t size : {1UL, 63UL, 64UL, 4096UL, 5000UL, 131072UL}) {
      const std::string body = random_text(world.random, size);
      ASSERT_TRUE(world.run(put_small(&world, world.ref, body)).has_value());
      const auto back = world.run(get(&world, world.ref));
      ASSERT_TRUE(back.has_value()) << back.error().detail;
      EXPECT_EQ(*back, body);
      const auto middle = world.run(get_range(&world, world.ref, {size / 3, size / 2}));
      ASSERT_TRUE(middle.has_value());
      EXPECT_EQ(*middle, body.substr(size / 3, size / 2 - size / 3));
    }
  }
}

TEST(Set, AbsentKeysAreNotFoundForCertain) {
  World world({4, 2});
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::not_found));
}

TEST(Set, AnEmptyObjectHasNoBody) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "")).has_value());
  const auto back = world.run(get(&world, world.ref));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(*back, "");
}

TEST(Set, OverwritesRetireWhatTheyReplace) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "one")).has_value());
  const auto second = world.run(put_small(&world, world.ref, "two"));
  ASSERT_TRUE(second.has_value());
  ASSERT_NE(second->replaced, nullptr);
  EXPECT_EQ(second->replaced->size, 3U);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "two");
  for (const auto& drive : world.memory) {
    ASSERT_NE(drive->state(world.ref), nullptr);
    EXPECT_EQ(drive->state(world.ref)->versions.size(), 1U);
    EXPECT_EQ(drive->state(world.ref)->final_id, second->record.id);
  }
}

TEST(Set, AHealthyReadAsksNoMoreThanItNeeds) {
  World world({6, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  for (const auto& drive : world.memory) drive->reads = 0;
  ASSERT_TRUE(world.run(get(&world, world.ref)).has_value());
  unsigned long asked = 0;
  for (const auto& drive : world.memory) asked += drive->reads;
  EXPECT_EQ(asked, 6U) << "the drives of the data shards, once each";
  Ctx ctx = world.ctx();
  for (const auto& drive : world.memory) drive->reads = 0;
  ASSERT_TRUE(world.run(world.set->read(ctx, world.ref, false)).has_value());
  asked = 0;
  for (const auto& drive : world.memory) asked += drive->reads;
  EXPECT_EQ(asked, 3U) << "a read quorum";
}

TEST(Set, MetadataIsAskedOfDrivesOfThisNodeFirst) {
  World world({6, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  const auto asked = [&world](bool with_inline) {
    for (const auto& drive : world.memory) drive->reads = 0;
    Ctx ctx = world.ctx();
    EXPECT_TRUE(world.run(world.set->read(ctx, world.ref, with_inline)).has_value());
    std::vector<unsigned long> reads;
    for (const auto& drive : world.memory) reads.push_back(drive->reads);
    return reads;
  };
  for (std::size_t i = 0; i < 8; ++i) world.faulty[i]->set_remote(i != 3 && i != 7);
  EXPECT_EQ(asked(false), (std::vector<unsigned long>{1, 0, 0, 1, 0, 0, 0, 1}));
  EXPECT_EQ(asked(true), (std::vector<unsigned long>{1, 1, 1, 1, 1, 1, 0, 0})) << "the data shards";
  world.memory[7]->set_online(false);
  EXPECT_EQ(asked(false), (std::vector<unsigned long>{1, 1, 0, 1, 0, 0, 0, 0}));
}

TEST(Set, AnyMLostDrivesAreSurvivedAndOneMoreIsUnavailable) {
  for (const Geometry geometry :
       {Geometry{1, 1}, Geometry{2, 1}, Geometry{4, 2}, Geometry{5, 3}, Geometry{2, 2}}) {
    const unsigned n = geometry.drives();
    const unsigned spare = n - geometry.write_quorum();  // as many may miss a write
    for (const bool loudly : {true, false}) {
      World world(geometry);
      const std::string body = random_text(world.random, 3000);
      ASSERT_TRUE(world.run(put_small(&world, world.ref, body)).has_value());
      for (int round = 0; round < 12; ++round) {
        std::vector<unsigned> order(n);
        for (unsigned i = 0; i < n; ++i) order[i] = i;
        for (unsigned i = 0; i < n; ++i) std::swap(order[i], order[i + world.random.below(n - i)]);
        const auto lose = [&](unsigned slot) {
          if (loudly) world.memory[slot]->set_online(false);
          if (!loudly) world.faulty[slot]->follow(dead);
        };
        unsigned lost = 0;
        for (; lost < spare; ++lost) lose(order[lost]);
        const auto second = world.run(put_small(&world, world.ref, body));
        ASSERT_TRUE(second.has_value()) << n << " " << second.error().detail;
        for (const unsigned slot : order) {
          world.memory[slot]->set_online(true);
          world.faulty[slot]->follow({});
        }
        ASSERT_TRUE(world.run(put_small(&world, world.ref, body)).has_value());

        for (lost = 0; lost < geometry.parity_shards; ++lost) lose(order[lost]);
        const auto back = world.run(get(&world, world.ref));
        ASSERT_TRUE(back.has_value()) << n << " lost " << lost << " " << back.error().detail;
        EXPECT_EQ(*back, body);
        lose(order[lost]);
        EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::unavailable));
        const auto refused = world.run(put_small(&world, world.ref, "no"));
        EXPECT_FALSE(refused.has_value());
        EXPECT_TRUE(!loudly || refused.failed_with(Errc::unavailable));
        for (const unsigned slot : order) {
          world.memory[slot]->set_online(true);
          world.faulty[slot]->follow({});
        }
        ASSERT_TRUE(world.run(put_small(&world, world.ref, body)).has_value());
      }
    }
  }
}

TEST(Set, AStuckDriveDelaysNoWriteAndNoRead) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "before")).has_value());
  world.faulty[1]->follow(stuck);
  TimePoint began = world.clock.now();
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "after")).has_value());
  EXPECT_LE(world.clock.now() - began, milliseconds(450)) << "the grace time of a read and a write at most";
  for (int i = 0; i < 5; ++i) {
    began = world.clock.now();
    ASSERT_TRUE(world.run(put_small(&world, world.ref, "again")).has_value());
    EXPECT_EQ(*world.run(get(&world, world.ref)), "again");
    EXPECT_EQ(world.clock.now() - began, Duration::zero()) << "it is known to be slow by now";
  }
  world.faulty[1]->follow({});
  world.pass(seconds(20));
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "last")).has_value());
  EXPECT_EQ(world.memory[1]->state(world.ref)->versions.size(), 1U) << "it is waited for again";
  EXPECT_EQ(*world.run(get(&world, world.ref)), "last");
}

TEST(Set, WhatADriveMissedIsWrittenDownOnDrivesThatHaveIt) {
  World world({4, 2});
  world.memory[5]->set_online(false);
  const auto committed = world.run(put_small(&world, world.ref, "body"));
  ASSERT_TRUE(committed.has_value());
  world.pass(seconds(2));
  unsigned copies = 0;
  for (const auto& drive : world.memory) {
    for (const auto& [name, value] : drive->system()) {
      const auto entry = decode_heal_entry(as_bytes(value));
      ASSERT_TRUE(entry.has_value());
      EXPECT_EQ(name, heal_entry_name(*entry));
      EXPECT_EQ(entry->key, world.ref.key);
      EXPECT_EQ(entry->version, committed->record.id);
      EXPECT_EQ(entry->slots, 1U << 5);
      EXPECT_EQ(entry->reason, HealReason::missed_commit);
      ++copies;
    }
  }
  EXPECT_EQ(copies, 3U) << "so that any two losses leave one";
}

TEST(Set, FullDrivesAreNoSpace) {
  World world({4, 2});
  for (unsigned slot = 0; slot < 3; ++slot) world.memory[slot]->set_full(true);
  const auto staged = world.run(stage_body(&world, std::string(200000, 'x'), {4, 2}));
  EXPECT_TRUE(staged.failed_with(Errc::no_space)) << staged.error().detail;
}

TEST(Set, DrivesThatBecameFullBeforeAndAfterStagingCountTogether) {
  World world({4, 2});
  for (unsigned slot = 0; slot < 2; ++slot) world.memory[slot]->set_full(true);
  auto staged = world.run(stage_body(&world, std::string(200000, 'x'), {4, 2}));
  ASSERT_TRUE(staged) << staged.error().detail;
  world.memory[2]->set_full(true);
  Ctx ctx = world.ctx();
  CommitSpec spec;
  spec.ref = world.ref;
  spec.body = std::move(*staged);
  EXPECT_TRUE(world.run(world.set->commit(ctx, std::move(spec))).failed_with(Errc::no_space));
}

Task<> put_if_absent(World* world, std::string body, int* won, int* lost, int* other) {
  Ctx ctx = world->ctx();
  CommitSpec spec;
  spec.ref = world->ref;
  spec.conditional = true;
  spec.precondition = [](const disk::VersionRecord* current) -> Result<> {
    if (current != nullptr) return fail(Errc::precondition_failed);
    return {};
  };
  spec.body = world->set->encode_inline(world->set->geometry(), as_bytes(body));
  const auto committed = co_await world->set->commit(ctx, std::move(spec));
  int& outcome = committed ? *won : committed.failed_with(Errc::precondition_failed) ? *lost : *other;
  ++outcome;
}

TEST(Set, ExactlyOneOfManyConditionalWritesWins) {
  for (const bool leases : {true, false}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      World world({4, 2}, seed);
      SetContext context{world.clock, world.random, world.hlc, world.no_locks, world.gate, world.metrics};
      SetContext leased{world.clock, world.random, world.hlc, world.one_lock, world.gate, world.metrics};
      std::vector<disk::Drive*> drives;
      for (const auto& drive : world.faulty) drives.push_back(drive.get());
      world.set = make_erasure_set(leases ? leased : context, 7, 1, {4, 2}, drives);
      for (const auto& drive : world.faulty)
        drive->follow(
            [&world](std::string_view) { return Fate{.delay = milliseconds(world.random.below(20))}; });
      int won = 0;
      int lost = 0;
      int other = 0;
      Gate crowd;
      for (int i = 0; i < 16; ++i)
        crowd.spawn(world.shard.executor(),
                    put_if_absent(&world, "writer " + std::to_string(i), &won, &lost, &other));
      world.run(crowd.close());
      if (leases) {
        EXPECT_EQ(won, 1) << "seed " << seed;
        EXPECT_EQ(lost, 15) << "seed " << seed;
      }
      EXPECT_LE(won, 1) << "seed " << seed;
      EXPECT_EQ(won + lost + other, 16);
      world.run(world.gate.close());
    }
  }
}

TEST(Set, APreconditionSeesTheCurrentVersionAndItsErrorIsTheAnswer) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "12345")).has_value());
  Ctx ctx = world.ctx();
  CommitSpec spec;
  spec.ref = world.ref;
  std::uint64_t seen = 0;
  spec.precondition = [&seen](const disk::VersionRecord* current) -> Result<> {
    seen = current->size;
    return fail(Errc::method_not_allowed, "no");
  };
  spec.body = world.set->encode_inline({4, 2}, as_bytes("x"));
  EXPECT_TRUE(world.run(world.set->commit(ctx, std::move(spec))).failed_with(Errc::method_not_allowed));
  EXPECT_EQ(seen, 5U);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "12345");
}

TEST(Set, AVersionIsLaterThanWhatTheWriterSays) {
  World world({4, 2});
  const auto commit_after = [&world](Duration ahead) {
    const std::int64_t ms =
        world.clock.unix_ms() + std::chrono::duration_cast<std::chrono::milliseconds>(ahead).count();
    CommitSpec spec;
    spec.ref = world.ref;
    spec.record.id = VersionId{static_cast<std::uint64_t>(ms) << 16, 9};
    spec.body = world.set->encode_inline({4, 2}, as_bytes("x"));
    Ctx ctx = world.ctx();
    const VersionId after = spec.record.id;
    const auto committed = world.run(world.set->commit(ctx, std::move(spec)));
    EXPECT_TRUE(committed.has_value());
    return committed && committed->record.id > after;
  };
  EXPECT_TRUE(commit_after(seconds(5)));
  EXPECT_FALSE(commit_after(std::chrono::minutes(10))) << "drives would refuse it";
}

TEST(Set, ErasingLeavesATombstoneThatIsPurgedLater) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  Ctx ctx = world.ctx();
  const auto erased = world.run(world.set->erase(ctx, world.ref, false, {}));
  ASSERT_TRUE(erased.has_value());
  ASSERT_NE(*erased, nullptr);
  EXPECT_EQ((*erased)->size, 4U);
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::not_found));
  const auto again = world.run(world.set->erase(ctx, world.ref, false, {}));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, nullptr);
  EXPECT_EQ(world.memory[0]->rows(), 1U);
  world.pass(seconds(30));
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::not_found));
  world.pass(seconds(1));
  EXPECT_EQ(world.memory[0]->rows(), 1U) << "too early: a late call may still be under way";
  world.pass(seconds(60));
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::not_found));
  world.pass(seconds(1));
  EXPECT_EQ(world.memory[0]->rows(), 1U) << "a clock may have been set";
  world.pass(seconds(60));
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::not_found));
  world.pass(seconds(1));
  for (const auto& drive : world.memory) EXPECT_EQ(drive->rows(), 0U);
}

TEST(Set, ATombstoneThatADriveLacksStays) {
  World world({4, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "body")).has_value());
  world.memory[2]->set_online(false);
  Ctx ctx = world.ctx();
  ASSERT_TRUE(world.run(world.set->erase(ctx, world.ref, false, {})).has_value());
  world.memory[2]->set_online(true);
  world.pass(seconds(200));
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::not_found))
      << "the old object must not come back";
  world.pass(seconds(1));
  EXPECT_EQ(world.memory[0]->rows(), 1U);
}

// A coordinator that dies after its commit reached `reached` of the drives: all further calls vanish.
void die_after_commits(World& world, unsigned reached) {
  const auto taken = std::make_shared<unsigned>(0);
  for (const auto& drive : world.faulty) {
    drive->follow([taken, reached](std::string_view call) {
      Fate fate;
      if (call == "read") return fate;
      fate.request_lost = call != "commit" || (*taken)++ >= reached;
      fate.answer_lost = true;
      return fate;
    });
  }
}

TEST(Set, ACrashInTheMiddleOfACommitLeavesTheOldOrTheNew) {
  for (const Geometry geometry : {Geometry{1, 1}, Geometry{2, 2}, Geometry{4, 2}, Geometry{4, 4}}) {
    const unsigned n = geometry.drives();
    for (unsigned reached = 0; reached <= n; ++reached) {
      World world(geometry);
      ASSERT_TRUE(world.run(put_small(&world, world.ref, "old body")).has_value());
      die_after_commits(world, reached);
      const auto lost = world.run(put_small(&world, world.ref, "the new body"));
      EXPECT_TRUE(lost.failed_with(Errc::in_doubt));
      for (const auto& drive : world.faulty) drive->follow({});

      const auto back = world.run(get(&world, world.ref));
      ASSERT_TRUE(back.has_value()) << n << " reached " << reached << " " << back.error().detail;
      EXPECT_TRUE(*back == "the new body" || (*back == "old body" && reached < geometry.write_quorum()));
      EXPECT_TRUE(*back == "old body" || reached >= geometry.data_shards);
      // once the dead writer's calls have run out, a read has its leftovers settled
      world.pass(seconds(90));
      EXPECT_EQ(*world.run(get(&world, world.ref)), *back);
      world.pass(seconds(1));
      // nothing that was read is ever unread, whoever is away
      for (unsigned away = 0; away < n && geometry.parity_shards > 0; ++away) {
        world.memory[away]->set_online(false);
        const auto later = world.run(get(&world, world.ref));
        // a version on exactly k drives has no spare shard until it is healed
        const bool spare = *back == "old body" || reached > geometry.data_shards;
        ASSERT_TRUE(later.has_value() || !spare) << n << " reached " << reached << " away " << away;
        EXPECT_TRUE(!later || *later == *back);
        world.memory[away]->set_online(true);
      }
      // and a conditional write comes through
      Ctx ctx = world.ctx();
      CommitSpec spec;
      spec.ref = world.ref;
      spec.conditional = true;
      spec.precondition = [](const disk::VersionRecord* current) -> Result<> {
        if (current == nullptr) return fail(Errc::precondition_failed);
        return {};
      };
      spec.body = world.set->encode_inline(geometry, as_bytes("third"));
      const auto third = world.run(world.set->commit(ctx, std::move(spec)));
      ASSERT_TRUE(third.has_value()) << n << " reached " << reached << " " << third.error().detail;
      EXPECT_EQ(*world.run(get(&world, world.ref)), "third");
    }
  }
}

TEST(Set, AVersionOnKDrivesIsRolledForwardWhenAnotherIsAway) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "old body")).has_value());
  die_after_commits(world, 2);
  EXPECT_TRUE(world.run(put_small(&world, world.ref, "the new body")).failed_with(Errc::in_doubt));
  for (const auto& drive : world.faulty) drive->follow({});
  unsigned lacking = 0;
  while (world.memory[lacking]->state(world.ref)->versions.size() == 2) ++lacking;
  world.memory[lacking]->set_online(false);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "the new body") << "it may have been acknowledged";
  unsigned holders = 0;
  for (const auto& drive : world.memory)
    if (drive->online() && drive->state(world.ref)->find(drive->state(world.ref)->newest()) != nullptr)
      holders += drive->state(world.ref)->newest() != drive->state(world.ref)->versions.back().id ||
                         drive->state(world.ref)->final_id == drive->state(world.ref)->newest()
                     ? 1U
                     : 0U;
  EXPECT_EQ(holders, 3U);
  world.memory[lacking]->set_online(true);
  EXPECT_EQ(*world.run(get(&world, world.ref)), "the new body");
}

TEST(Set, DamagedInlineShardsAreDecodedAroundAndReported) {
  World world({4, 2});
  const std::string body = random_text(world.random, 9000);
  ASSERT_TRUE(world.run(put_small(&world, world.ref, body)).has_value());
  world.memory[0]->corrupt_inline(world.ref);
  world.memory[3]->corrupt_inline(world.ref);
  EXPECT_EQ(*world.run(get(&world, world.ref)), body);
  world.pass(seconds(1));
  std::uint32_t slots = 0;
  for (const auto& drive : world.memory)
    for (const auto& [name, value] : drive->system()) slots |= decode_heal_entry(as_bytes(value))->slots;
  EXPECT_NE(slots, 0U);
  world.memory[1]->corrupt_inline(world.ref);
  EXPECT_TRUE(world.run(get(&world, world.ref)).failed_with(Errc::unavailable))
      << "three of six: never wrong bytes";
}

// Somebody raises the group's epoch, and tells the drives, while commits of the old one are on their way.
TEST(Commit, AWriteThatMeetsARaisedEpochTriesAgain) {
  World world({2, 2});
  ASSERT_TRUE(world.run(put_small(&world, world.ref, "old")).has_value());
  bool raised = false;
  world.faulty[0]->follow([&](std::string_view call) {
    if (call == "commit" && !std::exchange(raised, true)) {
      world.set->raise_epoch(5);
      disk::ObjectRef told = world.ref;
      told.epoch = 5;
      for (const auto& drive : world.memory) static_cast<void>(drive->try_read(told, {}));
    }
    return Fate();
  });
  const auto put = world.run(put_small(&world, world.ref, "new"));
  ASSERT_TRUE(put.has_value()) << put.error().detail;
  EXPECT_TRUE(raised);
  EXPECT_EQ(put->record.epoch, 5U);
  world.faulty[0]->follow({});
  EXPECT_EQ(*world.run(get(&world, world.ref)), "new");
}

}  // namespace
}  // namespace ostraka::erasure
