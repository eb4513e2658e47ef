// When it is said that a certificate expires, and what.
#include "net/certificate_expiry.h"

#include <gmock/gmock.h>

namespace ostraka::net {
namespace {

using log::Level;
using ::testing::HasSubstr;

constexpr std::int64_t kDay = 24 * 3600;
constexpr Validity kYear{.from = 1'800'000'000, .until = 1'800'000'000 + 365 * kDay};

TEST(CertificateExpiry, IsSaidInTimeAndOnceADay) {
  CertificateExpiry expiry("/certs/node.crt");
  EXPECT_FALSE(expiry.look(kYear.from, kYear));
  EXPECT_FALSE(expiry.look(kYear.until - 30 * kDay - 1, kYear));
  const auto first = expiry.look(kYear.until - 30 * kDay, kYear);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->level, Level::warn);
  EXPECT_THAT(first->text, HasSubstr("expires in 30 days file=/certs/node.crt date=2028-01-15"));
  EXPECT_THAT(first->text, HasSubstr("ostraka admin certs node"));
  EXPECT_FALSE(expiry.look(kYear.until - 30 * kDay + 10, kYear));
  EXPECT_FALSE(expiry.look(kYear.until - 29 * kDay - 1, kYear));
  EXPECT_TRUE(expiry.look(kYear.until - 29 * kDay, kYear));
  int said = 0;
  for (std::int64_t at = kYear.until - 28 * kDay; at < kYear.until - 8 * kDay; at += 10)
    said += expiry.look(at, kYear) ? 1 : 0;
  EXPECT_EQ(said, 20);
}

TEST(CertificateExpiry, BecomesAnErrorAtOnce) {
  CertificateExpiry expiry("node.crt");
  EXPECT_TRUE(expiry.look(kYear.until - 7 * kDay - 10, kYear));
  const auto error = expiry.look(kYear.until - 7 * kDay, kYear);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->level, Level::error);
  EXPECT_FALSE(expiry.look(kYear.until - 7 * kDay + 10, kYear));
  EXPECT_THAT(expiry.look(kYear.until - kDay - 10, kYear)->text, HasSubstr("expires in 1 day file"));
  EXPECT_THAT(expiry.look(kYear.until - 1, kYear)->text, HasSubstr("expires within a day"));
  const auto expired = expiry.look(kYear.until + kDay, kYear);
  ASSERT_TRUE(expired);
  EXPECT_EQ(expired->level, Level::error);
  EXPECT_THAT(expired->text, HasSubstr("has expired"));
}

TEST(CertificateExpiry, ARenewedOneIsLookedAtAnew) {
  CertificateExpiry expiry("node.crt");
  const std::int64_t now = kYear.until - 20 * kDay;
  EXPECT_TRUE(expiry.look(now, kYear));
  const Validity better{.from = now, .until = now + 365 * kDay};
  EXPECT_FALSE(expiry.look(now + 10, better));
  const Validity worse{.from = kYear.from, .until = kYear.until - kDay};
  EXPECT_TRUE(expiry.look(now + 20, worse)) << "of that one nothing was said";
  EXPECT_FALSE(expiry.look(now + 30, worse));
  EXPECT_TRUE(expiry.look(now - 10 * kDay + 100, {.from = kYear.from, .until = kYear.until - kDay}))
      << "the clock was set back";
}

TEST(CertificateExpiry, ShortOnesHaveLess) {
  CertificateExpiry expiry("node.crt");
  const Validity week{.from = 1'800'000'000, .until = 1'800'000'000 + 7 * kDay};
  EXPECT_FALSE(expiry.look(week.from, week)) << "it was just made";
  EXPECT_FALSE(expiry.look(week.until - 3 * kDay, week));
  EXPECT_EQ(expiry.look(week.until - 2 * kDay, week)->level, Level::warn);
  EXPECT_EQ(expiry.look(week.until - kDay / 2, week)->level, Level::error);
}

}  // namespace
}  // namespace ostraka::net
