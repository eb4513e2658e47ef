#include "cluster/peer_breaker.h"

#include <gtest/gtest.h>

namespace ostraka::cluster {
namespace {

using namespace std::chrono_literals;

TEST(PeerBreaker, OpensAndProbesWithGrowingPauses) {
  SystemRandom random;
  PeerBreaker breaker(random, 4s);
  TimePoint now{1h};
  for (unsigned i = 0; i < kBreakerFailures; ++i) {
    EXPECT_TRUE(breaker.may_connect(now));
    EXPECT_EQ(breaker.failed(now), i + 1 == kBreakerFailures);
  }
  EXPECT_TRUE(breaker.is_open());
  EXPECT_FALSE(breaker.failed(now));  // one that began before
  Duration nominal = kBreakerFirstPause;
  for (int i = 0; i < 8; ++i) {
    EXPECT_FALSE(breaker.may_connect(now + nominal * 3 / 4 - 1ms));
    now += nominal * 5 / 4;
    EXPECT_TRUE(breaker.may_connect(now));
    EXPECT_FALSE(breaker.may_connect(now)) << "one probe at a time";
    breaker.failed(now);
    nominal = std::min(nominal * 2, kBreakerLongestPause);
  }
  now += nominal * 5 / 4;
  EXPECT_TRUE(breaker.may_connect(now));
  EXPECT_FALSE(breaker.may_connect(now + 3s));
  EXPECT_TRUE(breaker.may_connect(now + 4s)) << "a probe that was never heard of again";
  EXPECT_TRUE(breaker.worked());
  EXPECT_FALSE(breaker.worked());
  EXPECT_TRUE(breaker.may_connect(now));
}

TEST(PeerBreaker, TriesAgainWhenToldTo) {
  SystemRandom random;
  PeerBreaker breaker(random, 4s);
  TimePoint now{1h};
  breaker.try_again();
  for (unsigned i = 0; i < kBreakerFailures; ++i) breaker.failed(now);
  for (int i = 0; i < 8; ++i) {
    now += kBreakerLongestPause * 2;
    EXPECT_TRUE(breaker.may_connect(now));
    breaker.failed(now);
  }
  EXPECT_FALSE(breaker.may_connect(now));
  breaker.try_again();
  EXPECT_TRUE(breaker.may_connect(now));
  breaker.try_again();
  EXPECT_FALSE(breaker.may_connect(now)) << "one probe at a time all the same";
  breaker.failed(now);
  EXPECT_TRUE(breaker.may_connect(now + kBreakerFirstPause * 5 / 4)) << "the pause is short again";
}

TEST(PeerBreaker, AProbeThatIsOvertakenByACallThatWorksIsForgotten) {
  SystemRandom random;
  PeerBreaker breaker(random, 4s);
  TimePoint now{1h};
  const auto open = [&] {
    for (unsigned i = 0; i < kBreakerFailures; ++i) breaker.failed(now);
  };
  open();
  now += kBreakerFirstPause * 5 / 4;
  EXPECT_TRUE(breaker.may_connect(now));
  EXPECT_TRUE(breaker.worked());  // over a kept connection
  open();
  EXPECT_FALSE(breaker.failed(now)) << "one that began before";
  EXPECT_TRUE(breaker.may_connect(now + kBreakerFirstPause * 5 / 4)) << "the pause has not grown";
}

}  // namespace
}  // namespace ostraka::cluster
