// What is special about a drive on another node: answers that are lost, nodes that go away, and peers that
// talk nonsense.
#include "cluster/remote_drive.h"

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

// --- what an error says

TEST_F(RemoteDriveTest, ALostAnswerSaysNothingOfWhatBecameOfTheCall) {
  const auto ref = DriveCaller::ref("k");
  fates_["drive.commit"].answer_lost = true;
  Ctx ctx = within(seconds(2));
  EXPECT_TRUE(commit(ctx, ref, 1).failed_with(Errc::deadline));
  ASSERT_NE(drive_.state(ref), nullptr) << "it was carried out";
  EXPECT_EQ(drive_.state(ref)->newest(), call_.id(1));
  fates_["drive.commit"].cut = true;
  ctx.deadline = clock_.now() + seconds(2);
  EXPECT_TRUE(commit(ctx, ref, 2).failed_with(Errc::closed));
  EXPECT_EQ(drive_.state(ref)->newest(), call_.id(2));
  fates_["drive.commit"].call_lost = true;
  ctx.deadline = clock_.now() + seconds(2);
  EXPECT_TRUE(commit(ctx, ref, 3).failed_with(Errc::closed));
  EXPECT_EQ(drive_.state(ref)->newest(), call_.id(2));
  fates_.clear();
  EXPECT_EQ(call_.verdict(ref, call_.inline_record(3), kShard), Verdict::ok) << "it can be tried again";
}

TEST_F(RemoteDriveTest, ACallThatArrivesLateIsNotBegun) {
  const auto ref = DriveCaller::ref("k");
  fates_["drive.commit"].delay = seconds(3);
  Ctx ctx = within(seconds(2));
  EXPECT_TRUE(commit(ctx, ref, 1).failed_with(Errc::deadline));
  pass(seconds(5));
  EXPECT_EQ(drive_.state(ref), nullptr);
}

// The node goes on after a pause, and takes the time that was left for time that is left.
TEST_F(RemoteDriveTest, ACallThatLayInASocketIsNotBegunWhenTheNodeGoesOn) {
  const auto ref = DriveCaller::ref("k");
  PeerCall copy;
  world_.network.follow([&copy](const NodeName&, const NodeName&, const PeerCall& call) {
    CallFate fate;
    if (call.method == "drive.commit") {
      copy = call;
      fate.call_lost = true;
    }
    return fate;
  });
  Ctx ctx = within(seconds(2));
  EXPECT_TRUE(commit(ctx, ref, 1).failed_with(Errc::deadline));
  const auto line = world_.network.transport("node1");
  pass(seconds(55));
  Ctx fresh = within(seconds(2));
  copy.method = "drive.commit";
  PeerCall early = copy, late = copy;
  world_.network.follow({});
  ASSERT_TRUE(wait(line->call(fresh, "node2", std::move(early), {}))) << "clocks may differ by that much";
  EXPECT_NE(drive_.state(ref), nullptr);
  drive_.lose_row(ref);
  pass(seconds(10));
  fresh.deadline = clock_.now() + seconds(2);
  EXPECT_TRUE(wait(line->call(fresh, "node2", std::move(late), {})).failed_with(Errc::deadline));
  EXPECT_EQ(drive_.state(ref), nullptr);
}

TEST_F(RemoteDriveTest, ANodeThatIsAwayIsNotAskedUntilItIsBack) {
  const auto ref = DriveCaller::ref("k");
  all_.unreachable = true;
  Ctx ctx = within(seconds(2));
  EXPECT_TRUE(remote().online());
  EXPECT_TRUE(commit(ctx, ref, 1).failed_with(Errc::unavailable));
  EXPECT_FALSE(remote().online());
  const int asked = calls_["drive.commit"];
  EXPECT_TRUE(commit(ctx, ref, 1).failed_with(Errc::unavailable));
  EXPECT_EQ(calls_["drive.commit"], asked) << "fails fast";
  const auto info = wait(remote().info(ctx));
  ASSERT_TRUE(info);
  EXPECT_FALSE(info->online);
  EXPECT_EQ(info->state, disk::DriveState::away);
  EXPECT_EQ(info->problem, "node2: cannot be reached");
  EXPECT_EQ(info->path, "http://node2:9000/data/d1");
  pass(minutes(1));
  EXPECT_FALSE(remote().online());
  EXPECT_LT(calls_["drive.info"], 25) << "at growing intervals";
  all_.unreachable = false;
  pass(kProbeAwayMax);
  EXPECT_TRUE(remote().online());
  ctx.deadline = clock_.now() + seconds(2);
  EXPECT_TRUE(commit(ctx, ref, 1));
  EXPECT_TRUE(wait(remote().info(ctx))->problem.empty());
}

TEST_F(RemoteDriveTest, ANodeThatCallsIsBack) {
  const auto ref = DriveCaller::ref("k");
  pass(milliseconds(1));
  EXPECT_EQ(world_.probed_by, std::set<NodeName>{"node1"}) << "which is how it calls";
  all_.unreachable = true;
  Ctx ctx = within(seconds(2));
  EXPECT_TRUE(commit(ctx, ref, 1).failed_with(Errc::unavailable));
  pass(minutes(1));
  const int asked = calls_["drive.info"];
  remote().node_called();
  pass(kProbeAwayMin);
  EXPECT_EQ(calls_["drive.info"], asked + 1) << "though the pause, which is longer by now, has not passed";
  EXPECT_FALSE(remote().online());
  for (int i = 0; i < 100; ++i) {  // as it does when each misses a drive of the other
    remote().node_called();
    pass(milliseconds(1));
  }
  EXPECT_EQ(calls_["drive.info"], asked + 1);
  all_.unreachable = false;
  pass(2 * kProbeAwayMin);
  EXPECT_TRUE(remote().online()) << "and soon again: it may have been starting";
}

TEST_F(RemoteDriveTest, ADriveThatWasRemovedIsAskedNothingAnyMore) {
  pass(seconds(20));
  EXPECT_GT(calls_["drive.info"], 2) << "until then it is looked after";
  remote().leave();
  run_what_is_ready();
  calls_.clear();
  EXPECT_FALSE(remote().online());
  const auto ref = DriveCaller::ref("k");
  Ctx ctx = within(seconds(2));
  const auto refused = commit(ctx, ref, 1);
  ASSERT_TRUE(refused.failed_with(Errc::unavailable));
  EXPECT_EQ(refused.error().detail, "node2: removed from the cluster");
  remote().retire(ref, call_.id(1));
  pass(minutes(2));
  EXPECT_TRUE(calls_.empty()) << calls_.begin()->first;
}

TEST_F(RemoteDriveTest, OneCallThatDoesNotGetThroughWhileOthersDoChangesNothing) {
  ASSERT_EQ(call_.verdict(DriveCaller::ref("k"), call_.inline_record(1), kShard), Verdict::ok);
  fates_["drive.commit"].unreachable = true;
  Ctx ctx = within(seconds(2));
  EXPECT_TRUE(commit(ctx, DriveCaller::ref("k"), 2).failed_with(Errc::unavailable));
  EXPECT_TRUE(remote().online());
  pass(seconds(2));
  EXPECT_TRUE(remote().online()) << "its probe was answered";
}

TEST_F(RemoteDriveTest, ANodeThatSaysNothingIsFoundOut) {
  pass(milliseconds(1));
  all_.call_lost = true;
  Ctx ctx = within(seconds(1));
  EXPECT_TRUE(commit(ctx, DriveCaller::ref("k"), 1).failed_with(Errc::deadline));
  EXPECT_TRUE(remote().online()) << "one call may be slow";
  pass(kProbeCall + milliseconds(500));
  EXPECT_FALSE(remote().online());
  const auto info = wait(remote().info(ctx));
  EXPECT_EQ(info->problem, "node2: does not answer");
}

TEST_F(RemoteDriveTest, TimeInWhichThisNodeStoodStillIsNotHeldAgainstTheOther) {
  pass(kProbePeriod);
  ASSERT_TRUE(remote().online());
  fates_["drive.info"].answer_lost = true;
  const int probes = calls_["drive.info"];
  pass(kProbePeriod);
  ASSERT_EQ(calls_["drive.info"], probes + 1);
  fates_.clear();
  clock_.advance(kProbeCall + seconds(1));
  pass(milliseconds(0));
  EXPECT_TRUE(remote().online());
  pass(kProbeAwayMin);
  EXPECT_EQ(calls_["drive.info"], probes + 2) << "it is asked again at once";
  fates_["drive.info"].answer_lost = true;
  pass(kProbePeriod + kProbeCall);
  EXPECT_FALSE(remote().online());
}

TEST_F(RemoteDriveTest, ANodeThatFallsSilentIsFoundOutLongBeforeItsCallsRunOut) {
  ASSERT_EQ(call_.verdict(DriveCaller::ref("k"), call_.inline_record(1), kShard), Verdict::ok);
  pass(seconds(20));
  all_.call_lost = true;
  Ctx ctx = within(seconds(60));
  std::optional<Result<disk::Held>> held;
  Gate gate;
  gate.spawn(shard_.executor(), keep(remote().read(ctx, DriveCaller::ref("k"), {}), &held));
  pass(kProbePeriod + kProbeCall);
  EXPECT_FALSE(remote().online());
  EXPECT_FALSE(held) << "its own time has not come";
  all_ = CallFate();
  pass(kProbeAwayMax);
  EXPECT_TRUE(remote().online());

  // in use it takes no more than a second and the probe's time
  fates_["drive.verify"].delay = seconds(30);
  std::optional<Result<disk::ShardHealth>> health;
  gate.spawn(shard_.executor(), keep(remote().verify(ctx, DriveCaller::shard_ref(1, kBody)), &health));
  pass(seconds(10));
  EXPECT_TRUE(remote().online()) << "a long call is no silence while probes are answered";
  all_.call_lost = true;
  pass(2 * kProbeSilence + kProbeCall);
  EXPECT_FALSE(remote().online());
  all_ = CallFate();
  pass(minutes(2));
  EXPECT_TRUE(held && held->failed_with(Errc::deadline));
  EXPECT_TRUE(health.has_value());
  EXPECT_EQ(gate.inside(), 0U);
}

TEST_F(RemoteDriveTest, ADriveOutOfServiceIsLeftAloneForAMoment) {
  drive_.set_online(false);
  Ctx ctx = within(seconds(2));
  EXPECT_TRUE(commit(ctx, DriveCaller::ref("k"), 1).failed_with(Errc::unavailable));
  EXPECT_FALSE(remote().online());
  const auto info = wait(remote().info(ctx));
  EXPECT_EQ(info->problem, "node2: offline");
  drive_.set_online(true);
  pass(seconds(1));
  EXPECT_TRUE(remote().online());
}

TEST_F(RemoteDriveTest, AnOlderNodeThatDoesNotKnowACallStaysInService) {
  fates_["drive.commit"].spoil_call = [](PeerCall& call) { call.method = "drive.of_the_future"; };
  Ctx ctx = within(seconds(2));
  EXPECT_TRUE(commit(ctx, DriveCaller::ref("k"), 1).failed_with(Errc::unavailable));
  EXPECT_TRUE(remote().online());
}

TEST_F(RemoteDriveTest, ADriveThatTheNodeDoesNotServeIsAway) {
  DriveId other;
  other.bytes.fill(9);
  SystemRandom random;
  const auto line = world_.network.transport("node1");
  RemoteDriveSpec spec;
  spec.node = "node2";
  spec.drive = other;
  RemoteDrive stranger(RemoteDriveDeps{*line, clock_, random, shard_}, spec);
  Ctx ctx = within(seconds(2));
  EXPECT_TRUE(wait(stranger.read(ctx, DriveCaller::ref("k"), {})).failed_with(Errc::unavailable));
  EXPECT_FALSE(stranger.online());
}

// --- round trips

TEST_F(RemoteDriveTest, ASmallReadIsOneRoundTrip) {
  const auto ref = DriveCaller::ref("k");
  ASSERT_EQ(call_.verdict(ref, call_.inline_record(1), kShard), Verdict::ok);
  pass(seconds(1));
  calls_.clear();
  EXPECT_EQ(call_.read(ref).inline_shard, kShard);
  EXPECT_EQ(calls_, (std::map<std::string, int>{{"drive.read", 1}}));
}

TEST_F(RemoteDriveTest, RetiresRideAlongOrGoTogether) {
  ASSERT_EQ(call_.verdict(DriveCaller::ref("a"), call_.inline_record(1), kShard), Verdict::ok);
  pass(seconds(1));
  calls_.clear();
  remote().retire(DriveCaller::ref("a"), call_.id(1));
  ASSERT_EQ(call_.verdict(DriveCaller::ref("b"), call_.inline_record(2), kShard), Verdict::ok);
  EXPECT_EQ(drive_.state(DriveCaller::ref("a"))->final_id, call_.id(1));
  EXPECT_EQ(calls_, (std::map<std::string, int>{{"drive.commit", 1}}));
  for (unsigned i = 0; i < 50; ++i) {
    const auto ref = DriveCaller::ref("key" + std::to_string(i));
    ASSERT_EQ(call_.verdict(ref, call_.inline_record(10 + i), kShard), Verdict::ok);
  }
  pass(seconds(1));
  calls_.clear();
  for (unsigned i = 0; i < 50; ++i)
    remote().retire(DriveCaller::ref("key" + std::to_string(i)), call_.id(10 + i));
  pass(milliseconds(100));
  EXPECT_EQ(calls_["drive.errands"], 1);
  EXPECT_EQ(drive_.state(DriveCaller::ref("key49"))->final_id, call_.id(59));
}

TEST_F(RemoteDriveTest, RetiresWaitForANodeThatIsAwayButNotForLong) {
  for (unsigned i = 1; i <= 2; ++i)
    ASSERT_EQ(call_.verdict(DriveCaller::ref("k" + std::to_string(i)), call_.inline_record(i), kShard),
              Verdict::ok);
  all_.unreachable = true;
  remote().retire(DriveCaller::ref("k1"), call_.id(1));
  pass(kRetireLife - seconds(10));
  remote().retire(DriveCaller::ref("k2"), call_.id(2));
  pass(seconds(20));
  all_.unreachable = false;
  pass(seconds(10));
  EXPECT_TRUE(drive_.state(DriveCaller::ref("k1"))->final_id.is_none());
  EXPECT_EQ(drive_.state(DriveCaller::ref("k2"))->final_id, call_.id(2));
  EXPECT_EQ(remote().dropped_retires(), 1U);
}

TEST_F(RemoteDriveTest, ARetireThatArrivesTooLateIsNotCarriedOut) {
  ASSERT_EQ(call_.verdict(DriveCaller::ref("k"), call_.inline_record(1), kShard), Verdict::ok);
  fates_["drive.read"].delay = kRetireLife + seconds(1);  // a call with a deadline far away
  remote().retire(DriveCaller::ref("k"), call_.id(1));
  Ctx ctx = within(minutes(10));
  EXPECT_TRUE(wait(remote().read(ctx, DriveCaller::ref("k"), {})));
  EXPECT_TRUE(drive_.state(DriveCaller::ref("k"))->final_id.is_none());
}

TEST_F(RemoteDriveTest, NoMoreRetiresWaitThanThereIsRoomFor) {
  all_.unreachable = true;
  for (unsigned i = 0; i < kMaxRetiresWaiting + 5; ++i)
    remote().retire(DriveCaller::ref(std::to_string(i)), call_.id(i + 1));
  EXPECT_EQ(remote().dropped_retires(), 5U);
}

// --- system records

TEST_F(RemoteDriveTest, ManySystemRecordsComeInSeveralCalls) {
  for (std::size_t i = 0; i < kSystemScanStep + 10; ++i) {
    std::string name = "q/" + std::to_string(10'000 + i);
    ASSERT_TRUE(call_.wait(remote().put_system(call_.ctx(), std::move(name), std::to_string(i))));
  }
  calls_.clear();
  EXPECT_EQ(call_.wait(remote().scan_system(call_.ctx(), "q/", 100'000))->size(), kSystemScanStep + 10);
  EXPECT_EQ(calls_["drive.scan_system"], 2);
  EXPECT_EQ(call_.wait(remote().scan_system(call_.ctx(), "q/", kSystemScanStep + 1))->size(),
            kSystemScanStep + 1);
}

TEST_F(RemoteDriveTest, LargeSystemRecordsComeInSeveralCalls) {
  for (int i = 0; i < 3; ++i) {
    std::string value(3U << 20, static_cast<char>('a' + i));
    std::string name = "large/" + std::to_string(i);
    ASSERT_TRUE(call_.wait(remote().put_system(call_.ctx(), std::move(name), std::move(value))));
  }
  calls_.clear();
  const auto all = call_.wait(remote().scan_system(call_.ctx(), "large/", 10));
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 3U);
  EXPECT_EQ(all->back().value, std::string(3U << 20, 'c'));
  EXPECT_EQ(calls_["drive.scan_system"], 3);
  std::string huge(kMaxPeerPage + 1, 'x');
  EXPECT_TRUE(
      call_.wait(remote().put_system(call_.ctx(), "huge", std::move(huge))).failed_with(Errc::too_large));
}

// --- nonsense

class NonsenseTest : public RemoteDriveTest {
 protected:
  // Every call once; what each said.
  std::map<std::string, Errc> call_everything() {
    std::map<std::string, Errc> said;
    Ctx ctx = within(seconds(2));
    const auto note = [&](const char* name, const auto& result) {
      said[name] = result ? Errc::internal : result.code();
    };
    const auto ref = DriveCaller::ref("k");
    note("commit", wait(remote().commit(ctx, ref, DriveCaller::request(call_.inline_record(900), kShard))));
    note("fence", wait(remote().fence(ctx, ref, call_.id(950))));
    note("withdraw", wait(remote().withdraw(ctx, ref, call_.id(951))));
    note("purge", wait(remote().purge(ctx, ref, call_.id(952))));
    note("read", wait(remote().read(ctx, ref, {})));
    note("open", wait(remote().open_shard(ctx, DriveCaller::shard_ref(1, kBody))));
    note("verify", wait(remote().verify(ctx, DriveCaller::shard_ref(1, kBody))));
    note("stage", wait(remote().stage(ctx, stage_spec(9))));
    note("groups", wait(remote().groups(ctx)));
    note("usage", wait(remote().usage(ctx)));
    disk::ListSpec list;
    list.bucket = BucketId{77};
    note("list", wait(remote().list(ctx, list)));
    note("scan", wait(remote().scan(ctx, {})));
    note("orphans", wait(remote().find_orphans(ctx, {})));
    note("system", wait(remote().scan_system(ctx, "q/", 10)));
    std::vector<disk::KeyRead> reads(2);
    reads[0].ref = reads[1].ref = ref;
    note("read_many", wait(remote().read_many(ctx, reads)));
    return said;
  }
};

TEST_F(NonsenseTest, AnswersThatDoNotParseAreClosed) {
  put_file("k", 1, 1);
  all_.spoil_answer = [](Result<PeerAnswer>& answer) {
    if (answer) answer->head = "\xff\xff\xff\xff nonsense";
  };
  for (const auto& [name, code] : call_everything()) EXPECT_EQ(code, Errc::closed) << name;
  pass(minutes(1));
  EXPECT_FALSE(remote().online()) << "its probes make no sense either";
}

TEST_F(NonsenseTest, EmptyAnswersAreNoWorseThanNone) {
  put_file("k", 1, 1);
  all_.spoil_answer = [](Result<PeerAnswer>& answer) {
    if (answer) answer->head.clear();
  };
  const auto said = call_everything();
  EXPECT_EQ(said.at("commit"), Errc::closed) << "no verdict";
  EXPECT_EQ(said.at("withdraw"), Errc::closed);
  EXPECT_EQ(said.at("fence"), Errc::closed) << "it does not vouch for anything";
  EXPECT_EQ(said.at("read"), Errc::closed);
  EXPECT_EQ(said.at("list"), Errc::closed);
  EXPECT_EQ(said.at("groups"), Errc::closed);
  EXPECT_EQ(said.at("scan"), Errc::closed) << "a page that neither ends nor goes on";
  EXPECT_EQ(said.at("read_many"), Errc::closed);
}

TEST_F(NonsenseTest, NoRecordsAndMoreOfThemAreNotTheEnd) {
  fates_["drive.scan_system"].spoil_answer = [](Result<PeerAnswer>& answer) {
    if (answer) answer->head += "\x18\x01";  // more
  };
  Ctx ctx = within(seconds(2));
  EXPECT_TRUE(wait(remote().scan_system(ctx, "q/", 10)).failed_with(Errc::closed));
}

// One byte of every message is another, wherever it is: it ends, and what was not to be touched is still
// there. (What the messages say is guarded by the hashes of their frames.)
TEST_F(NonsenseTest, SpoiltMessagesHarmNobody) {
  put_file("k", 1, 1);
  std::size_t at = 0;
  const auto spoil = [&at](std::string& head) {
    if (!head.empty()) head[at % head.size()] = static_cast<char>(head[at % head.size()] ^ (1 << (at % 8)));
  };
  for (at = 0; at < 60; ++at) {
    all_.spoil_answer = [&spoil](Result<PeerAnswer>& answer) {
      if (answer) spoil(answer->head);
    };
    all_.spoil_call = nullptr;
    call_everything();
    all_.spoil_answer = nullptr;
    all_.spoil_call = [&spoil](PeerCall& call) { spoil(call.head); };
    call_everything();
    all_ = CallFate();
    pass(seconds(5));
  }
  EXPECT_TRUE(remote().online());
  EXPECT_TRUE(call_.has_file(1, kBody));
}

}  // namespace
}  // namespace ostraka::cluster
