#include "disk/drive_health.h"

#include <gtest/gtest.h>

namespace ostraka::disk {
namespace {

using namespace std::chrono_literals;

class DriveHealthTest : public testing::Test {
 protected:
  void call(std::optional<Errc> code, CallKind kind = CallKind::read) { health_.told(kind, 3ms, code, now_); }
  void calls(int number, std::optional<Errc> code) {
    for (int i = 0; i < number; ++i) call(code);
  }
  // A second passes: the committer looks at the folder, the watch at the drive.
  DriveHealth::Change second(bool folder_is_there = true) {
    now_ += 1s;
    if (folder_is_there) health_.folder_is_good(now_);
    return health_.look(now_, [this] { return may_go_; });
  }
  DriveState after(Duration duration) {
    for (const TimePoint end = now_ + duration; now_ < end;) second();
    return health_.state(now_);
  }
  // As the watch would: a probe whenever one is wanted.
  DriveState probed_for(Duration duration, std::optional<Errc> code) {
    for (const TimePoint end = now_ + duration; now_ < end;) {
      if (health_.wants_probe(now_)) {
        ++probes_;
        health_.probed(5ms, code, now_);
      }
      second();
    }
    return health_.state(now_);
  }
  void break_it() {
    calls(30, Errc::io);
    second();
    second();
  }

  TimePoint now_{1000s};
  DriveHealth health_{now_};
  bool may_go_ = true;
  int probes_ = 0;
};

TEST_F(DriveHealthTest, ManyErrorsTakeItOutOnceTheFolderIsKnownToBeThere) {
  calls(19, Errc::io);
  second();
  second();
  EXPECT_TRUE(health_.in_service(now_)) << "few";
  call(Errc::io);
  EXPECT_EQ(second().to, DriveState::ok) << "the folder may be gone";
  const auto change = second();
  EXPECT_EQ(change.from, DriveState::ok);
  EXPECT_EQ(change.to, DriveState::failing);
  EXPECT_NE(change.reason.find("20 of 20 calls"), std::string::npos) << change.reason;
  EXPECT_FALSE(health_.in_service(now_));
  EXPECT_FALSE(health_.may_open(now_));
  EXPECT_NE(health_.problem(now_).find("tried again in 30 s"), std::string::npos) << health_.problem(now_);
  EXPECT_EQ(health_.recent_errors(now_), 20U);
}

TEST_F(DriveHealthTest, ErrorsOfAFolderThatIsGoneDoNotCount) {
  calls(100, Errc::io);
  for (int i = 0; i < 100; ++i) second(false);
  EXPECT_EQ(health_.state(now_), DriveState::ok);
}

TEST_F(DriveHealthTest, FewAmongManyDoNotTakeItOut) {
  calls(50, Errc::io);
  calls(451, std::nullopt);
  EXPECT_EQ(after(5s), DriveState::ok);
  calls(5, Errc::io);
  EXPECT_EQ(after(5s), DriveState::failing);
}

TEST_F(DriveHealthTest, ErrorsAreForgottenAfterAMinute) {
  calls(19, Errc::io);
  EXPECT_EQ(after(61s), DriveState::ok);
  calls(19, Errc::io);
  EXPECT_EQ(after(10s), DriveState::ok);
  EXPECT_EQ(health_.recent_errors(now_), 19U);
}

TEST_F(DriveHealthTest, CorruptBlocksAreForTheHealer) {
  calls(1, Errc::corrupt);
  EXPECT_EQ(after(5s), DriveState::ok);
  calls(400, Errc::corrupt);
  EXPECT_EQ(after(5s), DriveState::ok);
  calls(400, std::nullopt);
  calls(200, Errc::corrupt);
  EXPECT_EQ(after(5s), DriveState::failing) << "more than half of all it reads is not what was written";
}

TEST_F(DriveHealthTest, WhatAllDrivesWouldShowDoesNotCount) {
  for (const Errc code : {Errc::no_space, Errc::overloaded, Errc::deadline, Errc::closed, Errc::not_found,
                          Errc::refused, Errc::unavailable, Errc::invalid_argument}) {
    calls(1000, code);
  }
  EXPECT_EQ(after(5s), DriveState::ok);
  EXPECT_EQ(health_.recent_errors(now_), 0U);
}

TEST_F(DriveHealthTest, ItComesBackAfterACoolDownAndTwoGoodProbes) {
  break_it();
  ASSERT_EQ(health_.state(now_), DriveState::failing);
  EXPECT_EQ(probed_for(29s, std::nullopt), DriveState::failing);
  EXPECT_EQ(probes_, 0);
  EXPECT_EQ(probed_for(2s, std::nullopt), DriveState::failing) << "one is not enough";
  EXPECT_EQ(probes_, 1);
  EXPECT_EQ(probed_for(2s, std::nullopt), DriveState::ok);
  EXPECT_TRUE(health_.problem(now_).empty());
  EXPECT_EQ(after(30s), DriveState::ok) << "the old errors are not held against it";
}

TEST_F(DriveHealthTest, ProbesThatFailAreSentLessAndLess) {
  break_it();
  probed_for(30min, Errc::io);
  EXPECT_EQ(health_.state(now_), DriveState::failing);
  EXPECT_GE(probes_, 5);
  EXPECT_LE(probes_, 7) << "after 30 s, then 1, 2, 4, 8, 16 minutes later";
  EXPECT_EQ(probed_for(17min, std::nullopt), DriveState::ok)
      << "not for good: it never came back to fail again";
}

TEST_F(DriveHealthTest, AfterSeveralRelapsesItStaysOutUntilSomebodySaysOtherwise) {
  Duration cool_down = 30s;
  for (int relapse = 0; relapse < 5; ++relapse) {
    break_it();
    ASSERT_EQ(probed_for(cool_down - 4s, std::nullopt), DriveState::failing) << relapse;
    ASSERT_EQ(probed_for(10s, std::nullopt), DriveState::ok) << relapse;
    cool_down *= 2;
  }
  break_it();
  EXPECT_EQ(probed_for(24h, std::nullopt), DriveState::failing);
  EXPECT_FALSE(health_.may_open(kNoDeadline));
  EXPECT_NE(health_.problem(now_).find("stays out"), std::string::npos);
  health_.forget(now_);
  EXPECT_EQ(after(5s), DriveState::ok);
  break_it();
  EXPECT_EQ(probed_for(40s, std::nullopt), DriveState::ok) << "the count began anew";
}

TEST_F(DriveHealthTest, ARelapseAfterALongTimeIsNone) {
  for (int i = 0; i < 12; ++i) {
    break_it();
    ASSERT_EQ(probed_for(40s, std::nullopt), DriveState::ok) << i;
    now_ += 7h;
  }
}

TEST_F(DriveHealthTest, AnIndexThatFailsAgainAndAgainTakesItOut) {
  for (int i = 0; i < 4; ++i) health_.index_failed(now_);
  EXPECT_EQ(after(3s), DriveState::ok);
  health_.index_failed(now_);
  EXPECT_EQ(after(3s), DriveState::failing);
}

TEST_F(DriveHealthTest, AnIdleDriveIsProbedAndAWrittenOneIsNot) {
  EXPECT_EQ(probed_for(60s, std::nullopt), DriveState::ok);
  EXPECT_GE(probes_, 5);
  EXPECT_LE(probes_, 6);
  probes_ = 0;
  for (int i = 0; i < 60; ++i) {
    call(std::nullopt, CallKind::write);
    probed_for(1s, std::nullopt);
  }
  EXPECT_EQ(probes_, 0);
}

TEST_F(DriveHealthTest, ThreeFailedProbesTakeItOut) {
  probed_for(11s, Errc::corrupt);
  EXPECT_EQ(health_.state(now_), DriveState::ok);
  EXPECT_EQ(probed_for(5s, Errc::corrupt), DriveState::failing);
  EXPECT_GE(probes_, 3);
  EXPECT_LE(probes_, 4) << "a look at the folder may take a second";
}

TEST_F(DriveHealthTest, AFullDriveIsNotAFailingOne) {
  EXPECT_EQ(probed_for(10min, Errc::no_space), DriveState::ok);
}

TEST_F(DriveHealthTest, CallsThatDoNotEndPutItAsideAndAProbeBringsItBack) {
  health_.begins(Lane::jobs, now_);
  EXPECT_EQ(after(14s), DriveState::ok);
  health_.begins(Lane::jobs, now_);  // another begins, and that is no progress
  now_ += 1s;
  EXPECT_FALSE(health_.in_service(now_)) << "at once, whoever looks when";
  const auto change = second();
  EXPECT_EQ(change.to, DriveState::stalled);
  EXPECT_NE(health_.problem(now_).find("does not answer"), std::string::npos);
  EXPECT_EQ(probed_for(5s, Errc::no_space), DriveState::stalled) << "calls hang still";
  health_.ends(Lane::jobs, now_);
  health_.ends(Lane::jobs, now_);
  EXPECT_EQ(probed_for(3s, std::nullopt), DriveState::ok);
  EXPECT_TRUE(health_.problem(now_).empty());
}

TEST_F(DriveHealthTest, ASlowProbeBringsNothingBack) {
  health_.begins(Lane::commits, now_);
  EXPECT_EQ(after(16s), DriveState::stalled);
  health_.ends(Lane::commits, now_);
  EXPECT_EQ(after(5s), DriveState::stalled) << "not before a probe";
  EXPECT_FALSE(health_.in_service(now_));
  health_.probed(6s, std::nullopt, now_);
  EXPECT_EQ(after(2s), DriveState::stalled);
  health_.probed(4s, std::nullopt, now_);
  EXPECT_EQ(after(1s), DriveState::ok);
}

TEST_F(DriveHealthTest, ALongCallThatMakesProgressIsNotStuck) {
  health_.begins(Lane::jobs, now_);
  for (int i = 0; i < 100; ++i) {
    health_.progress(Lane::jobs, now_);
    ASSERT_EQ(after(1s), DriveState::ok);
  }
}

TEST_F(DriveHealthTest, AProbeThatHangsCountsBesideCallsThatDoNot) {
  now_ += 20s;
  ASSERT_TRUE(health_.wants_probe(now_));
  health_.begins(Lane::probe, now_);
  EXPECT_FALSE(health_.wants_probe(now_)) << "one at a time";
  for (int i = 0; i < 16; ++i) {
    health_.begins(Lane::jobs, now_);
    after(1s);
    health_.ends(Lane::jobs, now_);
  }
  EXPECT_EQ(health_.state(now_), DriveState::stalled);
}

TEST_F(DriveHealthTest, AStalledDriveWhoseProbesFailIsTakenOut) {
  health_.begins(Lane::commits, now_);
  ASSERT_EQ(after(16s), DriveState::stalled);
  health_.ends(Lane::commits, now_);
  EXPECT_EQ(probed_for(10s, Errc::io), DriveState::failing);
}

TEST_F(DriveHealthTest, ItStaysWhenTooManyAreOutAndSaysSoNowAndThen) {
  may_go_ = false;
  int told = 0;
  for (int i = 0; i < 180; ++i) {
    calls(5, Errc::io);
    told += second().spared ? 1 : 0;
  }
  EXPECT_EQ(health_.state(now_), DriveState::ok);
  EXPECT_EQ(told, 3);
  may_go_ = true;
  EXPECT_EQ(second().to, DriveState::failing);
}

TEST_F(DriveHealthTest, HesitationIsToldAfterAMoment) {
  EXPECT_FALSE(health_.hesitates(now_));
  health_.begins(Lane::jobs, now_);
  EXPECT_FALSE(health_.hesitates(now_ + 50ms));
  EXPECT_TRUE(health_.hesitates(now_ + 51ms));
  health_.ends(Lane::jobs, now_ + 60ms);
  EXPECT_FALSE(health_.hesitates(now_ + 10s));
}

TEST(FailingQuotaTest, AsManyMayGoAsWritesCanDoWithout) {
  FailingQuota quota(4, 2);
  EXPECT_TRUE(quota.may_take_out(0));
  EXPECT_TRUE(quota.may_take_out(0)) << "it is out already";
  quota.note(5, true);
  EXPECT_FALSE(quota.may_take_out(1)) << "one is out, another away";
  quota.note(5, false);
  EXPECT_TRUE(quota.may_take_out(1));
  FailingQuota two_and_two(2, 2);
  EXPECT_TRUE(two_and_two.may_take_out(3));
  EXPECT_FALSE(two_and_two.may_take_out(2)) << "three of four are needed to write";
  EXPECT_FALSE(FailingQuota(1, 0).may_take_out(0));
  EXPECT_FALSE(FailingQuota(1, 1).may_take_out(0)) << "both are needed to write";
}

TEST(LatencyWindowTest, QuantilesAreNearAndOldCallsFade) {
  LatencyWindow window;
  TimePoint now{3600s};
  EXPECT_EQ(window.summary(now).calls, 0U);
  for (int i = 0; i < 980; ++i) window.add(1ms, now);
  for (int i = 0; i < 20; ++i) window.add(2s, now);
  const LatencySummary seen = window.summary(now);
  EXPECT_EQ(seen.calls, 1000U);
  EXPECT_EQ(seen.mean_us, 40'980U);
  EXPECT_NEAR(static_cast<double>(seen.p50_us), 1000, 125);
  EXPECT_NEAR(static_cast<double>(seen.p99_us), 2e6, 0.25e6);
  window.add(0ns, now + 4min);
  EXPECT_EQ(window.summary(now + 4min).calls, 1001U);
  EXPECT_EQ(window.summary(now + 5min).calls, 1U);
  EXPECT_EQ(window.summary(now + 5min).p99_us, 0U);
  window.add(std::chrono::hours(9), now + 5min);
  EXPECT_GT(window.summary(now + 5min).p99_us, 60'000'000U);
  EXPECT_EQ(window.summary(now + 2h).calls, 0U);
}

}  // namespace
}  // namespace ostraka::disk
