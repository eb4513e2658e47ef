// A LocalDrive whose files fail, lie or hang: when it leaves service, what its callers get meanwhile, and how
// it returns.
#include <gtest/gtest.h>

#include <filesystem>

#include "disk/local_drive.h"
#include "disk/write_probe.h"
#include "tests/unit/disk/drive_caller.h"
#include "tests/unit/disk/drive_world.h"
#include "tests/unit/disk/troubled_fs.h"

namespace ostraka::disk {
namespace {

using namespace std::chrono_literals;

// Impatient: a test takes a second or two.
HealthPolicy quick() {
  HealthPolicy policy;
  policy.watch_period = 20ms;
  policy.stalled_after = 300ms;
  policy.io_errors = 10;
  policy.probe_period = 50ms;
  policy.probe_retry = 20ms;
  policy.cool_down = 100ms;
  return policy;
}

class DriveTroubleTest : public testing::Test {
 protected:
  DriveTroubleTest() {
    EXPECT_TRUE(format_drive(fs_, indexes_, folder_, test_format()));
    EXPECT_TRUE(drive_.start());
    EXPECT_TRUE(call_.stage(1, kBody));
    EXPECT_EQ(call_.verdict(DriveCaller::ref("k"), call_.file_record(1, {{1, kBody}})), Verdict::ok);
  }
  ~DriveTroubleTest() override { fs_.trouble.go_on(); }

  DriveInfo info() { return *call_.wait(drive_.info(call_.ctx())); }
  std::int64_t gauge(const char* state) {
    return metrics_.gauge("ostraka_drive_state", "", {{"drive", "1"}, {"state", state}}).value();
  }
  template <class Condition>
  bool soon(Condition condition) {
    const TimePoint end = clock_.now() + 30s;
    while (!condition()) {
      if (clock_.now() > end) return false;
      call_.wait(pause(&clock_));
    }
    return true;
  }
  static Task<bool> pause(Clock* clock) {
    co_await sleep_for(*clock, 5ms);
    co_return true;
  }
  static Task<> ask(DriveTroubleTest* self, int* answered, int* refused) {
    Ctx ctx{self->shard_, kNoDeadline, "test"};
    const ShardRef ref = self->call_.shard_ref(1, kBody);
    const auto opened = co_await self->drive_.open_shard(ctx, ref);
    ++*answered;
    *refused += opened.failed_with(Errc::unavailable) ? 1 : 0;
  }
  static Task<bool> close(Gate* gate) {
    co_await gate->close();
    co_return true;
  }
  Result<std::unique_ptr<ShardReader>> open() { return call_.open(1, kBody); }

  TempDir dir_;
  const std::string folder_ = dir_ / "drive";
  TroubledFs fs_;
  SystemClock clock_;
  WorkerPools workers_;
  MetricRegistry metrics_;
  MemoryIndexFactory indexes_;
  Shard shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1}};
  std::shared_ptr<FailingQuota> quota_ = std::make_shared<FailingQuota>(1);
  LocalDrive drive_{DriveDeps{fs_, clock_, indexes_, workers_, metrics_, quota_, quick()}, folder_,
                    test_format()};
  DriveCaller call_{drive_, shard_, clock_};
};

TEST_F(DriveTroubleTest, ManyErrorsTakeItOutAndItReturnsWhenProbesSucceed) {
  EXPECT_EQ(info().state, DriveState::ok);
  fs_.trouble.fail_with(Errc::io);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(open().failed_with(Errc::io));
  ASSERT_TRUE(soon([&] { return info().state == DriveState::failing; }));
  EXPECT_FALSE(drive_.online());
  EXPECT_TRUE(open().failed_with(Errc::unavailable)) << "fails fast, without touching the drive";
  EXPECT_NE(info().problem.find("taken out of service"), std::string::npos) << info().problem;
  EXPECT_GE(info().recent_errors, 10U);
  ASSERT_TRUE(soon([&] { return gauge("failing") == 1; }));
  EXPECT_EQ(gauge("ok"), 0);
  fs_.trouble.fail_with(std::nullopt);
  ASSERT_TRUE(soon([&] { return drive_.online(); }));
  EXPECT_TRUE(open());
  EXPECT_EQ(info().problem, "");
  EXPECT_TRUE(soon([&] { return gauge("ok") == 1; }));
}

TEST_F(DriveTroubleTest, WithoutCallsProbesFindOut) {
  fs_.trouble.fail_with(Errc::io);
  EXPECT_TRUE(soon([&] { return info().state == DriveState::failing; }));
}

TEST_F(DriveTroubleTest, ADriveThatReadsBackOtherBytesIsTakenOut) {
  fs_.trouble.flip_reads(true);
  EXPECT_TRUE(soon([&] { return info().state == DriveState::failing; }));
}

TEST_F(DriveTroubleTest, ErrorsThatAllDrivesShowDoNotTakeItOut) {
  for (const Errc code : {Errc::overloaded, Errc::no_space}) {
    fs_.trouble.fail_with(code);
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(open().failed_with(code));
    call_.wait(pause(&clock_));
  }
  const TimePoint end = clock_.now() + 300ms;
  EXPECT_TRUE(soon([&] { return clock_.now() > end; }));
  EXPECT_EQ(info().state, DriveState::ok);
}

TEST_F(DriveTroubleTest, ItStaysWhenAnotherIsOutAlready) {
  ASSERT_TRUE(quota_->may_take_out(4));
  fs_.trouble.fail_with(Errc::io);
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(open().failed_with(Errc::io));
  const TimePoint end = clock_.now() + 300ms;
  EXPECT_TRUE(soon([&] { return clock_.now() > end; }));
  EXPECT_EQ(info().state, DriveState::ok);
  quota_->note(4, false);
  EXPECT_TRUE(soon([&] { return info().state == DriveState::failing; }));
}

TEST_F(DriveTroubleTest, AnOperatorMayTrustItAgain) {
  fs_.trouble.fail_with(Errc::io);
  ASSERT_TRUE(soon([&] { return info().state == DriveState::failing; }));
  fs_.trouble.fail_with(std::nullopt);
  drive_.trust_again();
  EXPECT_TRUE(drive_.online());
}

// Calls that hang, those that wait behind them, and those that come later.
TEST_F(DriveTroubleTest, ADriveThatHangsAnswersNobodyLate) {
  fs_.trouble.hang();
  Gate gate;
  int answered = 0, unavailable = 0;
  constexpr int kCalls = 20;
  for (int i = 0; i < kCalls; ++i) gate.spawn(shard_.executor(), ask(this, &answered, &unavailable));
  ASSERT_TRUE(soon([&] { return !drive_.online(); }));
  EXPECT_EQ(info().state, DriveState::stalled);
  ASSERT_TRUE(soon([&] { return answered >= kCalls - static_cast<int>(kDriveThreads); }))
      << "those that had not begun are answered while the drive hangs";
  EXPECT_EQ(unavailable, answered);
  EXPECT_GT(fs_.trouble.waiting(), 0);
  const TimePoint before = clock_.now();
  EXPECT_TRUE(open().failed_with(Errc::unavailable));
  EXPECT_TRUE(
      call_.commit(DriveCaller::ref("l"), call_.inline_record(7), kShard).failed_with(Errc::unavailable));
  EXPECT_LT(clock_.now() - before, 5s);
  EXPECT_NE(info().problem.find("does not answer"), std::string::npos) << info().problem;
  fs_.trouble.go_on();
  ASSERT_TRUE(soon([&] { return drive_.online(); })) << info().problem;
  EXPECT_TRUE(soon([&] { return answered == kCalls; }));
  EXPECT_TRUE(open());
  EXPECT_EQ(call_.verdict(DriveCaller::ref("l"), call_.inline_record(8), kShard), Verdict::ok);
  call_.wait(close(&gate));
}

TEST_F(DriveTroubleTest, ProbesLeaveNothingBehind) {
  const Counter& errors = metrics_.counter("ostraka_drive_errors_total", "", {{"drive", "1"}});
  const Histogram& probes =
      metrics_.histogram("ostraka_drive_call_seconds", "", {{"drive", "1"}, {"call", "probe"}});
  ASSERT_TRUE(soon([&] { return probes.count() >= 3; }));
  EXPECT_EQ(errors.value(), 0U);
  spill(probe_path(folder_), "of a process that died");
  const std::uint64_t so_far = probes.count();
  ASSERT_TRUE(soon([&] { return probes.count() >= so_far + 2; }));
  EXPECT_EQ(errors.value(), 0U);
  EXPECT_TRUE(soon([&] { return !std::filesystem::exists(probe_path(folder_)); }));
  EXPECT_EQ(info().state, DriveState::ok);
}

TEST_F(DriveTroubleTest, AFolderThatGoesAwayIsAwayAndNotFailing) {
  std::filesystem::rename(folder_, dir_ / "elsewhere");
  ASSERT_TRUE(soon([&] { return info().state == DriveState::away; }));
  std::filesystem::rename(dir_ / "elsewhere", folder_);
  ASSERT_TRUE(soon([&] { return drive_.online(); }));
  EXPECT_TRUE(open());
}

TEST_F(DriveTroubleTest, LatenciesAndSmartAreTold) {
  ASSERT_TRUE(open());
  const DriveInfo before = info();
  EXPECT_GT(before.reads.calls, 0U);
  EXPECT_GT(before.writes.calls, 0U);
  EXPECT_GE(before.writes.p99_us, before.writes.p50_us);
  EXPECT_FALSE(before.smart);
  SmartReport report;
  report.device = "/dev/sdx";
  report.passed = false;
  report.temperature_celsius = 44;
  drive_.set_smart(report);
  ASSERT_TRUE(info().smart);
  EXPECT_TRUE(info().online) << "a warning, not an exclusion";
  EXPECT_NE(info().problem.find("/dev/sdx"), std::string::npos);
  const std::string text = metrics_.prometheus_text();
  EXPECT_NE(text.find("ostraka_drive_temperature_celsius{drive=\"1\"} 44"), std::string::npos) << text;
  EXPECT_NE(text.find("ostraka_drive_smart_passed{drive=\"1\"} 0"), std::string::npos);
  EXPECT_EQ(text.find("ostraka_drive_pending_sectors"), std::string::npos) << "not known";
}

}  // namespace
}  // namespace ostraka::disk
