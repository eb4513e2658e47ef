// Shard files on another node: writers and readers that are forgotten, given up or lied to, and pins.
#include "tests/unit/cluster/remote_drive_fixture.h"

namespace ostraka::cluster {
namespace {

using disk::DriveCaller;
using disk::kBody;
using disk::kShard;
using disk::Verdict;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class RemoteShardTest : public RemoteDriveTest {};

TEST_F(RemoteShardTest, AWriterThatIsDroppedTakesItsFileAlong) {
  auto writer = stage(1);
  ASSERT_TRUE(append(*writer));
  EXPECT_TRUE(has_file(1));
  writer.reset();
  pass(seconds(1));
  EXPECT_FALSE(has_file(1));
  EXPECT_EQ(world_.service.kept().writers, 0U);
}

TEST_F(RemoteShardTest, AWriterLivesAsLongAsItsClientTakes) {
  auto writer = stage(1);
  ASSERT_TRUE(append(*writer));
  pass(minutes(20));
  ASSERT_TRUE(append(*writer));
  ASSERT_TRUE(finish(*writer));
  EXPECT_EQ(world_.service.kept().writers, 0U);
  writer.reset();
  pass(minutes(5));
  EXPECT_TRUE(has_file(1));
}

TEST_F(RemoteShardTest, AWriterOfADeadNodeGoes) {
  auto writer = stage(1);
  ASSERT_TRUE(append(*writer));
  all_.unreachable = true;
  pass(kPeerLease - seconds(1));
  EXPECT_TRUE(has_file(1));
  pass(kLeaseSweep + seconds(1));
  EXPECT_FALSE(has_file(1));
  EXPECT_EQ(world_.service.kept().writers, 0U);
  all_.unreachable = false;
  pass(kProbeAwayMax);
  EXPECT_TRUE(append(*writer).failed_with(Errc::closed)) << "it is no more";
}

TEST_F(RemoteShardTest, AWriterWhoseOpeningIsLostIsClosedAgain) {
  fates_["drive.stage"].answer_lost = true;
  Ctx ctx = within(seconds(2));
  std::size_t open = 0;
  fates_["drive.stage"].spoil_answer = [&](Result<PeerAnswer>&) { open = world_.service.kept().writers; };
  EXPECT_TRUE(wait(remote().stage(ctx, stage_spec(1))).failed_with(Errc::deadline));
  EXPECT_EQ(open, 1U);
  pass(seconds(1));
  EXPECT_EQ(world_.service.kept().writers, 0U);
  EXPECT_FALSE(has_file(1));
}

TEST_F(RemoteShardTest, AFileWhoseFinishIsLostIsDiscarded) {
  auto writer = stage(1);
  ASSERT_TRUE(append(*writer));
  fates_["drive.finish"].answer_lost = true;
  EXPECT_TRUE(finish(*writer).failed_with(Errc::deadline));
  EXPECT_TRUE(has_file(1));
  writer.reset();
  pass(seconds(1));
  EXPECT_FALSE(has_file(1));
}

TEST_F(RemoteShardTest, AWriterThatIsGivenUpWhileItIsFinishedLeavesNothing) {
  auto writer = stage(1);
  ASSERT_TRUE(append(*writer));
  fates_["drive.finish"].delay = seconds(1);
  Ctx ctx = within(milliseconds(500));
  EXPECT_TRUE(wait(writer->finish(ctx)).failed_with(Errc::deadline));
  writer.reset();
  pass(seconds(5));
  EXPECT_FALSE(has_file(1));
  EXPECT_EQ(world_.service.kept().writers, 0U);
}

TEST_F(RemoteShardTest, DamageOnTheWayToTheDriveIsNoticed) {
  auto writer = stage(1);
  fates_["drive.append"].spoil_call = [](PeerCall& call) {
    std::vector<Slice> body = std::move(call.body);
    const_cast<std::uint8_t&>(body[0].bytes[100]) ^= 1;
    call.body = std::move(body);
  };
  ASSERT_TRUE(append(*writer));
  EXPECT_TRUE(finish(*writer).failed_with(Errc::closed)) << "it is not the drive's doing";
  writer.reset();
  pass(seconds(1));
  EXPECT_FALSE(has_file(1));
}

TEST_F(RemoteShardTest, ACancelledAppendLetsGoOfItsBuffers) {
  auto writer = stage(1);
  fates_["drive.append"].delay = minutes(1);
  Buffer buffer = shard_.buffers().try_acquire();
  BufferChain chain;
  const ByteSpan bytes = buffer.span().first(4096);
  chain.push_back(Slice{std::move(buffer), bytes});
  Ctx ctx = within(minutes(10));
  std::optional<Result<>> appended;
  Gate gate;
  gate.spawn(shard_.executor(), keep(writer->append(ctx, std::move(chain)), &appended));
  run_what_is_ready();
  EXPECT_EQ(shard_.buffers().in_use(), 1U);
  writer->cancel();
  run_what_is_ready();
  EXPECT_EQ(shard_.buffers().in_use(), 0U);
  ASSERT_TRUE(appended);
  EXPECT_TRUE(appended->failed_with(Errc::closed));
  EXPECT_TRUE(finish(*writer).failed_with(Errc::closed));
}

TEST_F(RemoteShardTest, AnAppendThatIsCancelledWhileItHashesIsNotSent) {
  auto writer = stage(1);
  calls_.clear();
  BufferChain chain;
  for (int i = 0; i < 4; ++i) chain.push_back(disk::slice_of(std::string(512U << 10, 'x')));
  Ctx ctx = within(minutes(10));
  std::optional<Result<>> appended;
  Gate gate;
  gate.spawn(shard_.executor(), keep(writer->append(ctx, std::move(chain)), &appended));
  boost::asio::post(shard_.executor(), [&writer] { writer->cancel(); });
  run_what_is_ready();
  ASSERT_TRUE(appended);
  EXPECT_TRUE(appended->failed_with(Errc::closed));
  EXPECT_EQ(calls_["drive.append"], 0);
}

TEST_F(RemoteShardTest, AnAppendThatComesTwiceEndsTheWriter) {
  PeerCall copy;
  world_.network.follow([&copy](const NodeName&, const NodeName&, const PeerCall& call) {
    if (call.method == "drive.append" && copy.method.empty()) copy = call;
    return CallFate();
  });
  auto writer = stage(1);
  ASSERT_TRUE(append(*writer));
  ASSERT_TRUE(has_file(1));
  const auto stranger = world_.network.transport("node3");
  Ctx ctx = within(seconds(1));
  ASSERT_TRUE(wait(stranger->call(ctx, "node2", copy, {}))) << "the error is in the answer";
  ASSERT_TRUE(append(*writer)) << "another node's writers are its own";
  const auto line = world_.network.transport("node1");
  ASSERT_TRUE(wait(line->call(ctx, "node2", copy, {})));
  EXPECT_FALSE(has_file(1));
  EXPECT_TRUE(append(*writer).failed_with(Errc::closed));
}

TEST_F(RemoteShardTest, LargeAppendsGoInSeveralCalls) {
  auto writer = stage(1);
  calls_.clear();
  const std::size_t blocks = 2 * (kMaxPeerBody / 4096) + 3;
  ASSERT_TRUE(append(*writer, blocks));
  EXPECT_GT(calls_["drive.append"], 2);
  ASSERT_TRUE(finish(*writer));
  EXPECT_EQ(drive_.files()[disk::data_id(1)]->blocks.size(), blocks);
}

TEST_F(RemoteShardTest, AReaderThatWasForgottenOpensTheFileAgain) {
  put_file("big", 1, 1);
  auto reader = call_.open(1, kBody);
  ASSERT_TRUE(reader);
  pass(kReaderIdle + kLeaseSweep);
  EXPECT_EQ(world_.service.kept().readers, 0U);
  const disk::StripeLayout layout{.data_shards = 4, .part_bytes = kBody};
  const auto block = call_.read_block(**reader, 1, layout.block_bytes(1));
  ASSERT_TRUE(block) << block.error().detail;
  EXPECT_EQ(*block, DriveCaller::block(1, 1, layout.block_bytes(1)));
  EXPECT_EQ(world_.service.kept().readers, 1U);
  reader->reset();
  pass(seconds(1));
  EXPECT_EQ(world_.service.kept().readers, 0U);
}

TEST_F(RemoteShardTest, AFileMayBeOpenedByItsFirstRead) {
  put_file("big", 1, 1);
  calls_.clear();
  auto reader = remote().open_shard_later(DriveCaller::shard_ref(1, kBody));
  const auto missing = remote().open_shard_later(DriveCaller::shard_ref(2, kBody));
  EXPECT_TRUE(calls_.empty());
  const disk::StripeLayout layout{.data_shards = 4, .part_bytes = kBody};
  for (const std::uint64_t stripe : {0, 1}) {
    const auto block = call_.read_block(*reader, stripe, layout.block_bytes(stripe));
    ASSERT_TRUE(block) << block.error().detail;
    EXPECT_EQ(*block, DriveCaller::block(1, stripe, layout.block_bytes(stripe)));
  }
  EXPECT_EQ(calls_["drive.read_blocks"], 2);
  EXPECT_EQ(calls_["drive.open"], 0);
  EXPECT_EQ(world_.service.kept().readers, 1U) << "kept for the second read";
  EXPECT_TRUE(call_.read_block(*missing, 0, layout.block_bytes(0)).failed_with(Errc::not_found));
  reader.reset();
  pass(seconds(1));
  EXPECT_EQ(world_.service.kept().readers, 0U);
}

TEST_F(RemoteShardTest, DamageOnTheWayFromTheDriveIsNotTheDrives) {
  put_file("big", 1, 1);
  const auto reader = call_.open(1, kBody);
  ASSERT_TRUE(reader);
  fates_["drive.read_blocks"].spoil_answer = [](Result<PeerAnswer>& answer) {
    const_cast<std::uint8_t&>(answer->body[0].bytes[7]) ^= 1;
  };
  const disk::StripeLayout layout{.data_shards = 4, .part_bytes = kBody};
  EXPECT_TRUE(call_.read_block(**reader, 0, layout.block_bytes(0)).failed_with(Errc::closed));
  fates_.clear();
  EXPECT_TRUE(call_.read_block(**reader, 0, layout.block_bytes(0)));
  drive_.files()[disk::data_id(1)]->corrupt[0] = true;
  EXPECT_TRUE(call_.read_block(**reader, 0, layout.block_bytes(0)).failed_with(Errc::corrupt));
}

TEST_F(RemoteShardTest, APinKeepsFilesForASlowClientAndNotForADeadOne) {
  put_file("big", 1, 1);
  auto held = std::make_unique<disk::Held>(call_.read(DriveCaller::ref("big")));
  ASSERT_NE(held->pin, nullptr);
  ASSERT_EQ(call_.verdict(DriveCaller::ref("big"), call_.inline_record(2), kShard), Verdict::ok);
  call_.retire(DriveCaller::ref("big"), 2);
  EXPECT_FALSE(has_file(1));
  pass(minutes(30));
  EXPECT_TRUE(call_.has_file(1, kBody)) << "pinned";
  EXPECT_EQ(world_.service.kept().pins, 1U);
  all_.unreachable = true;
  pass(kPeerLease + kLeaseSweep);
  EXPECT_EQ(world_.service.kept().pins, 0U);
  all_.unreachable = false;
  pass(kProbeAwayMax);
  held.reset();
  pass(seconds(1));
  EXPECT_FALSE(call_.has_file(1, kBody));
}

TEST_F(RemoteShardTest, PinsAreReleasedTogether) {
  put_file("big", 1, 1);
  std::vector<disk::Held> held;
  for (int i = 0; i < 20; ++i) held.push_back(call_.read(DriveCaller::ref("big")));
  pass(seconds(1));
  EXPECT_EQ(world_.service.kept().pins, 20U);
  calls_.clear();
  held.clear();
  pass(seconds(1));
  EXPECT_EQ(world_.service.kept().pins, 0U);
  EXPECT_EQ(calls_["drive.errands"], 1);
}

}  // namespace
}  // namespace ostraka::cluster
