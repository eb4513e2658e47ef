// Bodies in files: staging, ranges, lost and slow drives, damaged blocks, parts, memory bounds.
#include <gtest/gtest.h>

#include "erasure/heal_queue.h"
#include "tests/unit/erasure/world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMiB = 1U << 20;

FaultyDrive::Script only(std::string call, Fate fate) {
  return [call = std::move(call), fate](std::string_view name) { return name == call ? fate : Fate(); };
}

TEST(LargeBody, RoundTripsInEveryGeometryAndSize) {
  for (const Geometry geometry : {Geometry{1, 0}, Geometry{1, 1}, Geometry{3, 0}, Geometry{2, 1},
                                  Geometry{4, 2}, Geometry{5, 2}, Geometry{8, 4}, Geometry{16, 16}}) {
    World world(geometry);
    for (const std::size_t size : {kMiB - 1, kMiB, kMiB + 1, 3 * kMiB, 5 * kMiB + 12345, std::size_t{1}}) {
      const std::string body = random_text(world.random, size);
      const auto put = world.run(put_large(&world, world.ref, body, geometry));
      ASSERT_TRUE(put.has_value()) << put.error().detail;
      EXPECT_EQ(put->record.size, size);
      const auto back = world.run(get(&world, world.ref));
      ASSERT_TRUE(back.has_value()) << back.error().detail;
      EXPECT_TRUE(*back == body) << unsigned{geometry.data_shards} << " " << size;
      EXPECT_EQ(world.shard.buffers().in_use(), 0U);
    }
    for (const auto& drive : world.memory)
      EXPECT_EQ(drive->files().size(), 1U) << "what was replaced is dropped";
  }
}

TEST(LargeBody, RangesReadOnlyTheBlocksTheyNeed) {
  World world({4, 2});
  const std::string body = random_text(world.random, 3 * kMiB + 1000);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  for (const auto& drive : world.memory) drive->block_reads = 0;
  EXPECT_EQ(*world.run(get_range(&world, world.ref, {kMiB + 10, kMiB + 20})), body.substr(kMiB + 10, 10));
  unsigned long reads = 0;
  for (const auto& drive : world.memory) reads += drive->block_reads;
  EXPECT_EQ(reads, 1U);
  SeededRandom random(5);
  for (int i = 0; i < 60; ++i) {
    const std::size_t begin = random.below(body.size());
    const std::size_t end = begin + random.below(body.size() - begin + 1);
    const auto part = world.run(get_range(&world, world.ref, {begin, end}));
    ASSERT_TRUE(part.has_value());
    ASSERT_TRUE(*part == body.substr(begin, end - begin)) << begin << " " << end;
  }
}

TEST(LargeBody, RangesAreRightWithDrivesLost) {
  World world({4, 2});
  const std::string body = random_text(world.random, 4 * kMiB + 777);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  SeededRandom random(6);
  for (int i = 0; i < 80; ++i) {
    const std::size_t a = random.below(6);
    const std::size_t b = random.below(6);
    world.memory[a]->set_online(false);
    world.faulty[b]->follow(only("open_shard", Fate{.request_lost = true}));
    const std::size_t begin = random.below(body.size());
    const std::size_t end = begin + random.below(body.size() - begin + 1);
    const auto part = world.run(get_range(&world, world.ref, {begin, end}));
    ASSERT_TRUE(part.has_value()) << part.error().detail;
    ASSERT_TRUE(*part == body.substr(begin, end - begin))
        << begin << " " << end << " without " << a << " " << b;
    world.memory[a]->set_online(true);
    world.faulty[b]->follow({});
  }
}

TEST(LargeBody, WritesGoOnWithMDrivesLostAtAnyMoment) {
  for (const char* call : {"stage", "append", "finish", "commit"}) {
    World world({4, 2});
    const std::string body = random_text(world.random, 3 * kMiB);
    Fate fate{.request_lost = true};
    world.faulty[1]->follow(only(call, fate));
    world.faulty[4]->follow(only(call, fate));
    const auto put = world.run(put_large(&world, world.ref, body, {4, 2}));
    ASSERT_TRUE(put.has_value()) << call << " " << put.error().detail;
    world.faulty[1]->follow({});
    world.faulty[4]->follow({});
    EXPECT_TRUE(*world.run(get(&world, world.ref)) == body) << call;
    world.faulty[2]->follow(only(call, fate));
    world.faulty[1]->follow(only(call, fate));
    world.faulty[4]->follow(only(call, fate));
    const auto refused = world.run(put_large(&world, world.ref, "other" + body, {4, 2}));
    EXPECT_FALSE(refused.has_value()) << call;
    for (const auto& drive : world.faulty) drive->follow({});
    world.pass(seconds(5));
    EXPECT_TRUE(*world.run(get(&world, world.ref)) == body) << call;
  }
}

TEST(LargeBody, AnAbandonedWriteLeavesNothing) {
  World world({4, 2});
  {
    Ctx ctx = world.ctx();
    auto writer = world.run(world.set->stage(ctx, {4, 2}, 0));
    ASSERT_TRUE(writer.has_value());
    for (int i = 0; i < 5; ++i) {
      auto stripe = world.run((*writer)->next_stripe(ctx));
      ASSERT_TRUE(stripe.has_value());
      ASSERT_TRUE(world.run((*writer)->put_stripe(ctx, std::move(*stripe), kMiB)).has_value());
    }
  }
  world.pass(seconds(1));
  for (const auto& drive : world.memory) EXPECT_TRUE(drive->files().empty());
  EXPECT_EQ(world.shard.buffers().in_use(), 0U);

  const auto staged = world.run(stage_body(&world, std::string(2 * kMiB, 'x'), {4, 2}));
  ASSERT_TRUE(staged.has_value());
  for (const auto& drive : world.memory) EXPECT_EQ(drive->files().size(), 1U);
  world.set->discard(*staged);
  world.pass(seconds(1));
  for (const auto& drive : world.memory) EXPECT_TRUE(drive->files().empty());
}

TEST(LargeBody, AFailedPreconditionDropsTheBody) {
  World world({4, 2});
  auto staged = world.run(stage_body(&world, std::string(2 * kMiB, 'x'), {4, 2}));
  ASSERT_TRUE(staged.has_value());
  Ctx ctx = world.ctx();
  CommitSpec spec;
  spec.ref = world.ref;
  spec.body = std::move(*staged);
  spec.precondition = [](const disk::VersionRecord*) -> Result<> { return fail(Errc::precondition_failed); };
  EXPECT_TRUE(world.run(world.set->commit(ctx, std::move(spec))).failed_with(Errc::precondition_failed));
  world.pass(seconds(1));
  for (const auto& drive : world.memory) EXPECT_TRUE(drive->files().empty());
}

TEST(LargeBody, AStuckDriveDelaysAWriteByOneGraceTimeAndHoldsFewBuffers) {
  World world({4, 2});
  world.faulty[3]->follow([](std::string_view) { return Fate{.delay = seconds(10)}; });
  Ctx ctx = world.ctx();
  const TimePoint began = world.clock.now();
  auto writer = world.run(world.set->stage(ctx, {4, 2}, 0));
  ASSERT_TRUE(writer.has_value());
  std::size_t most = 0;
  for (int i = 0; i < 40; ++i) {
    auto stripe = world.run((*writer)->next_stripe(ctx));
    ASSERT_TRUE(stripe.has_value()) << i;
    ASSERT_TRUE(world.run((*writer)->put_stripe(ctx, std::move(*stripe), kMiB)).has_value());
    most = std::max(most, world.shard.buffers().in_use());
  }
  EXPECT_TRUE(world.run((*writer)->finish(ctx)).has_value());
  EXPECT_LE(world.clock.now() - began, milliseconds(250));
  EXPECT_LE(most, 9U) << "four of the write itself, what the slow one is in, and two more";
}

// As a client that sends all the time: what arrives moves the deadline of the request.
TEST(LargeBody, AWriteMayLastLongerThanItsFirstDeadline) {
  World world({4, 2});
  for (const auto& drive : world.faulty) drive->follow(only("append", Fate{.delay = seconds(4)}));
  Ctx ctx = world.ctx();
  auto writer = world.run(world.set->stage(ctx, {4, 2}, 0));
  ASSERT_TRUE(writer.has_value());
  for (int i = 0; i < 40; ++i) {
    auto stripe = world.run((*writer)->next_stripe(ctx));
    ASSERT_TRUE(stripe.has_value()) << i;
    ASSERT_TRUE(world.run((*writer)->put_stripe(ctx, std::move(*stripe), kMiB)).has_value()) << i;
    ctx.deadline = world.ctx().deadline;
  }
  const auto body = world.run((*writer)->finish(ctx));
  ASSERT_TRUE(body.has_value());
  EXPECT_EQ(std::count(body->staged_on.begin(), body->staged_on.end(), true), 6);
  world.set->discard(*body);
}

TEST(LargeBody, ASlowAppendIsDroppedAndItsFileRemoved) {
  World world({4, 2});
  world.faulty[0]->follow(only("append", Fate{.delay = seconds(10)}));
  const std::string body = random_text(world.random, 12 * kMiB);
  const TimePoint began = world.clock.now();
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  EXPECT_LE(world.clock.now() - began, milliseconds(450));
  EXPECT_TRUE(*world.run(get(&world, world.ref)) == body);
  world.pass(seconds(30));
  EXPECT_TRUE(world.memory[0]->files().empty());
  EXPECT_EQ(world.shard.buffers().in_use(), 0U);
}

TEST(LargeBody, ASlowShardIsHedgedAndNeverHandedOutUnverified) {
  World world({4, 2});
  const std::string body = random_text(world.random, 9 * kMiB + 5);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  world.faulty[1]->follow(only("read_blocks", Fate{.delay = seconds(10)}));
  world.faulty[2]->follow(only("read_blocks", Fate{.delay = seconds(11)}));
  TimePoint began = world.clock.now();
  auto back = world.run(get(&world, world.ref));
  ASSERT_TRUE(back.has_value());
  EXPECT_TRUE(*back == body);
  EXPECT_LE(world.clock.now() - began, milliseconds(50)) << "hedged once, then avoided";
  began = world.clock.now();
  EXPECT_TRUE(*world.run(get(&world, world.ref)) == body);
  EXPECT_EQ(world.clock.now() - began, Duration::zero()) << "the next reader knows";
}

TEST(LargeBody, DamagedBlocksAreDecodedAroundAndReported) {
  World world({4, 2});
  const std::string body = random_text(world.random, 6 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  // each stripe has two damaged blocks, and every drive is hit somewhere
  for (std::size_t stripe = 0; stripe < 6; ++stripe)
    for (const std::size_t drive : {stripe % 6, (stripe + 1) % 6})
      world.memory[drive]->files().begin()->second->corrupt[stripe] = true;
  const auto back = world.run(get(&world, world.ref));
  ASSERT_TRUE(back.has_value()) << back.error().detail;
  EXPECT_TRUE(*back == body);
  world.pass(seconds(1));
  unsigned entries = 0;
  for (const auto& drive : world.memory) {
    for (const auto& [name, value] : drive->system()) {
      EXPECT_EQ(decode_heal_entry(as_bytes(value))->reason, HealReason::damaged_shard);
      ++entries;
    }
  }
  EXPECT_GE(entries, 3U);
  // a third damaged block in one stripe: an error, and no wrong byte before it
  world.memory[0]->files().begin()->second->corrupt[3] = true;
  Ctx ctx = world.ctx();
  auto elected = world.run(world.set->read(ctx, world.ref, true));
  ASSERT_TRUE(elected.has_value());
  auto reader =
      world.set->open(world.ref, std::make_shared<const Elected>(std::move(*elected)), {0, body.size()});
  ASSERT_TRUE(reader.has_value());
  std::string out;
  for (;;) {
    auto piece = world.run((*reader)->next(ctx));
    if (!piece) {
      EXPECT_TRUE(piece.failed_with(Errc::unavailable));
      break;
    }
    ASSERT_FALSE(piece->empty()) << "the damage went unnoticed";
    for (const Slice& slice : *piece) out += as_text(slice.bytes);
  }
  EXPECT_EQ(out.size(), 3 * kMiB);
  EXPECT_TRUE(body.starts_with(out));
}

TEST(LargeBody, AReaderKeepsItsVersionWhileItIsOverwritten) {
  World world({4, 2});
  const std::string body = random_text(world.random, 7 * kMiB);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, body, {4, 2})).has_value());
  Ctx ctx = world.ctx();
  auto elected = world.run(world.set->read(ctx, world.ref, true));
  ASSERT_TRUE(elected.has_value());
  EXPECT_EQ(elected->pins.size(), 6U) << "parity too, should it be needed";
  auto reader =
      world.set->open(world.ref, std::make_shared<const Elected>(std::move(*elected)), {0, body.size()});
  ASSERT_TRUE(reader.has_value());
  std::string out;
  auto first = world.run((*reader)->next(ctx));
  ASSERT_TRUE(first.has_value());
  for (const Slice& slice : *first) out += as_text(slice.bytes);
  ASSERT_TRUE(world.run(put_large(&world, world.ref, "new" + body, {4, 2})).has_value());
  world.memory[2]->set_online(false);
  for (;;) {
    auto piece = world.run((*reader)->next(ctx));
    ASSERT_TRUE(piece.has_value()) << piece.error().detail;
    if (piece->empty()) break;
    for (const Slice& slice : *piece) out += as_text(slice.bytes);
  }
  EXPECT_TRUE(out == body);
}

TEST(LargeBody, OtherStorageClassesKeepTheSetsReadQuorum) {
  World world({4, 2});
  const std::string body = random_text(world.random, 2 * kMiB + 9);
  for (const Geometry geometry : {Geometry{5, 1}, Geometry{6, 0}, Geometry{3, 3}}) {
    const auto put = world.run(put_large(&world, world.ref, body, geometry));
    ASSERT_TRUE(put.has_value()) << put.error().detail;
    EXPECT_GE(put->record.write_quorum, 4U);
    EXPECT_GE(put->record.write_quorum, geometry.write_quorum());
    for (unsigned away = 0; away < geometry.parity_shards; ++away) world.memory[away]->set_online(false);
    const auto back = world.run(get(&world, world.ref));
    ASSERT_TRUE(back.has_value()) << unsigned{geometry.data_shards} << back.error().detail;
    EXPECT_TRUE(*back == body);
    for (const auto& drive : world.memory) drive->set_online(true);
  }
  Ctx ctx = world.ctx();
  EXPECT_TRUE(world.run(world.set->stage(ctx, {4, 1}, 0)).failed_with(Errc::invalid_argument));
  EXPECT_TRUE(world.run(world.set->stage(ctx, {2, 4}, 0)).failed_with(Errc::invalid_argument));
}

TEST(LargeBody, PartsAreWalkedThrough) {
  World world({4, 2});
  CommitSpec spec;
  spec.ref = world.ref;
  spec.record.data_shards = 4;
  spec.record.parity_shards = 2;
  std::string body;
  std::uint32_t number = 0;
  for (const std::size_t size : {2 * kMiB + 5, std::size_t{100}, std::size_t{0}, kMiB}) {
    const std::string part = random_text(world.random, size);
    disk::PartRecord record;
    record.number = ++number;
    record.size = size;
    if (size > 0) {
      auto staged = world.run(stage_body(&world, part, {4, 2}));
      ASSERT_TRUE(staged.has_value());
      record.data = staged->data;
    }
    spec.record.parts.push_back(record);
    body += part;
  }
  spec.record.size = body.size();
  Ctx ctx = world.ctx();
  ASSERT_TRUE(world.run(world.set->commit(ctx, std::move(spec))).has_value());
  EXPECT_TRUE(*world.run(get(&world, world.ref)) == body);
  const std::size_t seam = 2 * kMiB + 5;
  EXPECT_EQ(*world.run(get_range(&world, world.ref, {seam - 3, seam + 103})), body.substr(seam - 3, 106));
}

TEST(LargeBody, ImpossibleRecordsAreRefused) {
  World world({4, 2});
  Elected elected;
  disk::VersionRecord record;
  record.data_shards = 4;
  record.parity_shards = 2;
  record.size = 100;
  record.parts.emplace_back();
  record.parts[0].size = 99;
  elected.record = std::make_shared<const disk::VersionRecord>(record);
  EXPECT_TRUE(world.set->open(world.ref, std::make_shared<const Elected>(elected), {0, 100})
                  .failed_with(Errc::corrupt));
  record.parts[0].size = ~0ULL;
  record.parts.push_back(record.parts[0]);
  record.parts[1].size = 101;
  elected.record = std::make_shared<const disk::VersionRecord>(record);
  EXPECT_TRUE(world.set->open(world.ref, std::make_shared<const Elected>(elected), {0, 100})
                  .failed_with(Errc::corrupt));
  record.parts.resize(1);
  record.parts[0].size = 100;
  elected.record = std::make_shared<const disk::VersionRecord>(record);
  EXPECT_TRUE(world.set->open(world.ref, std::make_shared<const Elected>(elected), {0, 101})
                  .failed_with(Errc::invalid_argument));
}

TEST(LargeBody, ASlabTooSmallForTheGeometryIsAnError) {
  World world({4, 2});
  Shard small(1, world.clock, ShardSpec{1U << 20, 4, 0});
  Ctx ctx{small, kNoDeadline, "small"};
  EXPECT_TRUE(world.run(world.set->stage(ctx, {4, 2}, 0)).failed_with(Errc::internal));
}

}  // namespace
}  // namespace ostraka::erasure
