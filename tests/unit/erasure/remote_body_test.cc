// Bodies on drives of other nodes: many blocks of a shard by one call, and all that may go wrong with some of
// them.
#include <gtest/gtest.h>

#include <set>

#include "erasure/limits.h"
#include "erasure/stripe_loader.h"
#include "tests/unit/erasure/world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMiB = 1U << 20;

// Where every drive but those at hand is on another node. Calls are counted.
struct RemoteWorld : World {
  explicit RemoteWorld(Geometry of, const std::set<std::size_t>& at_hand = {0}) : World(of), geometry(of) {
    for (std::size_t i = 0; i < faulty.size(); ++i) {
      faulty[i]->set_remote(!at_hand.contains(i));
      faulty[i]->set_remembers(at_hand.contains(i));
    }
    for (const auto& drive : faulty) drive->follow(counting());
  }
  FaultyDrive::Script counting() {
    return [this](std::string_view call) {
      if (call == "read_blocks") ++reads;
      return Fate();
    };
  }
  FaultyDrive::Script suffering(Fate fate) {
    return [fate](std::string_view call) { return call == "read_blocks" ? fate : Fate(); };
  }
  std::string put(std::size_t size) {
    std::string body = random_text(random, size);
    const auto done = run(put_large(this, ref, body, geometry));
    EXPECT_TRUE(done) << done.error().detail;
    reads = 0;
    return body;
  }
  // Which drives a GET of all of it reads from.
  std::set<std::size_t> readers(const std::string& body) {
    std::set<std::size_t> asked;
    for (std::size_t i = 0; i < faulty.size(); ++i)
      faulty[i]->follow([&asked, i](std::string_view call) {
        if (call == "read_blocks") asked.insert(i);
        return Fate();
      });
    const auto back = run(get(this, ref));
    EXPECT_TRUE(back && *back == body);
    for (const auto& drive : faulty) drive->follow(counting());
    return asked;
  }
  std::uint64_t counted(const char* name) { return metrics.counter(name, "").value(); }
  std::shared_ptr<const Elected> elect() {
    Ctx reading = ctx();
    auto elected = run(set->read(reading, ref, true));
    return std::make_shared<const Elected>(std::move(elected).value());
  }
  const Geometry geometry;
  int reads = 0;
};

TEST(RemoteBody, CallsGrowFromOneStripeToTwo) {
  RemoteWorld world({4, 2});
  const std::string body = world.put(5 * kMiB + 777);
  EXPECT_TRUE(*world.run(get(&world, world.ref)) == body);
  EXPECT_EQ(world.reads, 4 * 4) << "of 1, 2, 2 and 1 stripes";
  world.reads = 0;
  EXPECT_EQ(*world.run(get_range(&world, world.ref, {4 * kMiB + 10, 4 * kMiB + 20})),
            body.substr(4 * kMiB + 10, 10));
  EXPECT_EQ(world.reads, 1);
  EXPECT_EQ(world.shard.buffers().in_use(), 0U);
}

TEST(RemoteBody, LargeBlocksAreReadByCallsOfAsManyBytes) {
  for (const auto& [geometry, calls] :
       {std::pair{Geometry{1, 1}, 4}, std::pair{Geometry{2, 1}, 2 * 3}, std::pair{Geometry{8, 4}, 8 * 3}}) {
    RemoteWorld world(geometry);
    const std::string body = world.put(4 * kMiB);
    EXPECT_TRUE(*world.run(get(&world, world.ref)) == body);
    EXPECT_EQ(world.reads, calls) << unsigned{geometry.data_shards};
  }
}

TEST(RemoteBody, AReaderTakesManySlabsOnlyWhileFewAreInUse) {
  RemoteWorld world({4, 2});
  const std::string body = world.put(5 * kMiB);
  BufferPool& pool = world.shard.buffers();
  std::vector<Buffer> taken;
  while (taken.size() < pool.max_slabs() / kReadAheadShare) taken.push_back(pool.try_acquire());
  Ctx ctx = world.ctx();
  auto reader = world.set->open(world.ref, world.elect(), {0, body.size()});
  ASSERT_TRUE(reader);
  std::string out;
  std::size_t most = 0;
  for (;;) {
    const auto piece = world.run((*reader)->next(ctx));
    ASSERT_TRUE(piece) << piece.error().detail;
    if (piece->empty()) break;
    world.run_ready();
    most = std::max(most, pool.in_use() - taken.size());
    for (const Slice& slice : *piece) out += as_text(slice.bytes);
  }
  EXPECT_TRUE(out == body);
  EXPECT_EQ(most, 2U) << "the stripe that is sent, and the next";
  EXPECT_EQ(world.reads, 5 * 4);
}

class RemoteRanges : public testing::TestWithParam<std::set<std::size_t>> {};

INSTANTIATE_TEST_SUITE_P(AtHand, RemoteRanges,
                         testing::Values(std::set<std::size_t>{0}, std::set<std::size_t>{0, 5},
                                         std::set<std::size_t>{4, 5}));

TEST_P(RemoteRanges, AreRightWhateverFails) {
  RemoteWorld world({4, 2}, GetParam());
  const std::string body = world.put(4 * kMiB + 777);
  SeededRandom random(6);
  for (int i = 0; i < 40; ++i) {
    const std::size_t a = random.below(6);
    const std::size_t b = random.below(6);
    world.memory[a]->set_online(random.below(2) == 0);
    const Fate fate = random.below(2) == 0 ? Fate{.request_lost = true} : Fate{.delay = seconds(5)};
    world.faulty[b]->follow(world.suffering(fate));
    const std::size_t begin = random.below(body.size());
    const std::size_t end = begin + random.below(body.size() - begin + 1);
    const auto part = world.run(get_range(&world, world.ref, {begin, end}));
    ASSERT_TRUE(part) << part.error().detail;
    ASSERT_TRUE(*part == body.substr(begin, end - begin)) << begin << " " << end << " " << a << " " << b;
    world.memory[a]->set_online(true);
    world.faulty[b]->follow(world.counting());
    world.pass(seconds(6));
  }
  EXPECT_EQ(world.shard.buffers().in_use(), 0U);
}

TEST(RemoteBody, ParityAtHandSparesDataOfOtherNodes) {
  RemoteWorld one({4, 2}, {0, 5});
  EXPECT_EQ(one.readers(one.put(5 * kMiB + 777)), (std::set<std::size_t>{0, 1, 2, 5}));
  EXPECT_EQ(one.counted("ostraka_spared_stripes_total"), 6U);
  EXPECT_EQ(one.counted("ostraka_decoded_stripes_total"), 0U) << "nothing was wrong";
  RemoteWorld two({4, 2}, {4, 5});
  EXPECT_EQ(two.readers(two.put(2 * kMiB)), (std::set<std::size_t>{0, 1, 4, 5}));
  RemoteWorld all({4, 2}, {0, 1, 2, 3, 4, 5});
  EXPECT_EQ(all.readers(all.put(2 * kMiB)), (std::set<std::size_t>{0, 1, 2, 3}));
  RemoteWorld wide({12, 3}, {13, 14});
  EXPECT_FALSE(wide.readers(wide.put(2 * kMiB)).contains(13)) << "computing costs more there";
}

TEST_P(RemoteRanges, StripesOfAnyLengthAreReadAtOnce) {
  for (const std::uint8_t k : {std::uint8_t{4}, std::uint8_t{2}}) {
    RemoteWorld world({k, 2}, GetParam());
    for (const std::size_t before : {std::size_t{0}, kMiB, 2 * kMiB}) {
      for (const std::size_t tail : {1, 64, 65, 128, 192, 193, 256, 257, 384, 385, 513, 576, 577, 777}) {
        const std::string body = world.put(before + tail);
        const TimePoint began = world.clock.now();
        const auto back = world.run(get(&world, world.ref));
        ASSERT_TRUE(back) << before << " + " << tail << ": " << back.error().detail;
        ASSERT_TRUE(*back == body) << before << " + " << tail;
        EXPECT_EQ(world.clock.now(), began) << "no shard was waited for in vain";
      }
    }
  }
}

TEST(RemoteBody, ParityAtHandIsNotReadForAPartOfAStripe) {
  RemoteWorld world({4, 2}, {0, 5});
  const std::string body = world.put(2 * kMiB);
  const std::size_t block = kMiB / 4;
  EXPECT_EQ(*world.run(get_range(&world, world.ref, {2 * block, kMiB})), body.substr(2 * block, 2 * block));
  EXPECT_EQ(world.reads, 2);
}

TEST(RemoteBody, DataOfOtherNodesIsReadWhenParityAtHandIsDamagedOrSlow) {
  RemoteWorld world({4, 2}, {0, 5});
  const std::string body = world.put(5 * kMiB + 777);
  world.memory[5]->files().begin()->second->corrupt[2] = true;
  EXPECT_TRUE(world.readers(body).contains(3));
  EXPECT_EQ(world.counted("ostraka_corrupt_shards_total"), 1U) << "and the damage is told";
  world.faulty[5]->follow(world.suffering({.delay = seconds(10)}));
  const TimePoint began = world.clock.now();
  EXPECT_TRUE(*world.run(get(&world, world.ref)) == body);
  EXPECT_LE(world.clock.now() - began, milliseconds(50)) << "hedged once, then avoided";
  world.pass(seconds(11));
  world.memory[5]->set_online(false);
  EXPECT_EQ(world.readers(body), (std::set<std::size_t>{0, 1, 2, 3}));
}

TEST(RemoteBody, BlocksDamagedInOneCallAreDecodedAroundStripeByStripe) {
  RemoteWorld world({4, 2});
  const std::string body = world.put(5 * kMiB);
  for (std::size_t stripe = 0; stripe < 5; ++stripe)
    for (const std::size_t drive : {stripe % 6, (stripe + 1) % 6})
      world.memory[drive]->files().begin()->second->corrupt[stripe] = true;
  const auto back = world.run(get(&world, world.ref));
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_TRUE(*back == body);
  world.memory[0]->files().begin()->second->corrupt[3] = true;  // a third one of this stripe
  Ctx ctx = world.ctx();
  auto reader = world.set->open(world.ref, world.elect(), {0, body.size()});
  ASSERT_TRUE(reader);
  std::string out;
  for (;;) {
    const auto piece = world.run((*reader)->next(ctx));
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

TEST(RemoteBody, ASlowShardIsHedgedOnceAndNeverHandedOutUnverified) {
  RemoteWorld world({4, 2});
  const std::string body = world.put(5 * kMiB + 5);
  world.faulty[1]->follow(world.suffering({.delay = seconds(10)}));
  world.faulty[2]->follow(world.suffering({.delay = seconds(11)}));
  const TimePoint began = world.clock.now();
  const auto back = world.run(get(&world, world.ref));
  ASSERT_TRUE(back);
  EXPECT_TRUE(*back == body);
  EXPECT_LE(world.clock.now() - began, milliseconds(50)) << "hedged once, then avoided";
}

// The first and the last stripe of a batch are wanted in part, and other shards have to step in.
TEST(RemoteBody, BatchesThatBeginAndEndInTheMiddleOfAStripe) {
  for (std::size_t failing = 0; failing < 6; failing += 2) {
    RemoteWorld world({4, 2});
    const std::string body = world.put(2 * kMiB);
    const auto elected = world.elect();
    world.faulty[failing]->follow(world.suffering({.request_lost = true}));
    const std::size_t block = kMiB / 4;
    for (const auto& [begin, end] : {std::pair{3 * block + 5, block - 5}, std::pair{2 * block, 3 * block},
                                     std::pair{std::size_t{7}, std::size_t{7}}}) {
      std::vector<StripePiece> pieces(2);
      for (std::size_t i = 0; i < 2; ++i) {
        pieces[i].stripe = i;
        pieces[i].stripe_bytes = kMiB;
        pieces[i].block_bytes = block;
        pieces[i].begin = i == 0 ? begin : 0;
        pieces[i].end = i == 1 ? end : kMiB;
        pieces[i].slab = world.shard.buffers().try_acquire();
        std::memset(pieces[i].slab.data(), 0xee, 6 * block);
      }
      const auto loader =
          std::make_shared<StripeLoader>(world.set->core(), world.ref, elected, elected->record->parts[0]);
      const auto chains = world.run(StripeLoader::load(loader, world.ctx(), std::move(pieces)));
      ASSERT_TRUE(chains) << chains.error().detail;
      std::string out;
      for (const BufferChain& chain : *chains)
        for (const Slice& slice : chain) out += as_text(slice.bytes);
      EXPECT_TRUE(out == body.substr(begin, kMiB + end - begin)) << failing << " " << begin;
    }
  }
}

}  // namespace
}  // namespace ostraka::erasure
