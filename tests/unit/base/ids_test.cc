#include "base/ids.h"

#include <gtest/gtest.h>

#include <set>

#include "base/hlc.h"

namespace ostraka {
namespace {

TEST(Uuid, PrintsAndParsesTheUsualForm) {
  Uuid id;
  for (std::size_t i = 0; i < 16; ++i) id.bytes[i] = static_cast<std::uint8_t>(i * 17);
  const std::string text = to_string(id);
  EXPECT_EQ(text, "00112233-4455-6677-8899-aabbccddeeff");
  Uuid back;
  ASSERT_TRUE(parse_uuid(text, back));
  EXPECT_EQ(back, id);
}

TEST(Uuid, RefusesEverythingElse) {
  Uuid out;
  out.bytes[0] = 9;
  for (const char* text : {"", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeff0",
                           "00112233x4455-6677-8899-aabbccddeeff", "0011223-34455-6677-8899-aabbccddeeff",
                           "00112233-4455-6677-8899-AABBCCDDEEFF", "g0112233-4455-6677-8899-aabbccddeeff"}) {
    EXPECT_FALSE(parse_uuid(text, out)) << text;
  }
  EXPECT_EQ(out.bytes[0], 9);
}

TEST(VersionId, PrintsTwentyFourDigits) {
  EXPECT_EQ(to_string(VersionId{0x0123456789abcdefULL, 0x42}), "0123456789abcdef00000042");
  EXPECT_EQ(to_string(kNoVersion), std::string(24, '0'));
}

TEST(Hlc, FollowsTheWallAndNeverRepeats) {
  Hlc clock(7);
  const VersionId first = clock.next(1000);
  EXPECT_EQ(first.unix_ms(), 1000);
  EXPECT_EQ(first.origin, 7U);
  const VersionId second = clock.next(1000);
  EXPECT_LT(first, second);
  EXPECT_EQ(second.unix_ms(), 1000);
  EXPECT_LT(second, clock.next(900));  // the wall went back
  EXPECT_EQ(clock.next(2000).unix_ms(), 2000);
}

TEST(Hlc, IsLaterThanWhatItObserved) {
  Hlc clock(1);
  const VersionId seen{5000ULL << 16 | 3, 9};
  const VersionId mine = clock.next(1000, seen);
  EXPECT_GT(mine, seen);
  EXPECT_EQ(mine.unix_ms(), 5000);
  EXPECT_GT(clock.next(1000), mine);
  EXPECT_EQ(clock.next(6000, kAnyVersion).unix_ms(), 6000);
}

TEST(Hlc, GoesOnFromAWallClockThatWasSetRightAndRepeatsNothing) {
  Hlc clock(1);
  std::set<VersionId> given{clock.next(1'000'000), clock.next(1'000'000)};
  const VersionId right = clock.next(400'000);  // it was ten minutes ahead
  EXPECT_EQ(right.unix_ms(), 400'000);
  EXPECT_TRUE(given.insert(right).second);
  EXPECT_EQ(clock.next(390'000).unix_ms(), 400'000) << "set back by little: what was given counts";
  for (const std::int64_t wall_ms : {1'000'000, 1'000'000}) {  // those times come again
    const VersionId again = clock.next(wall_ms);
    EXPECT_EQ(again.unix_ms(), 1'000'000);
    EXPECT_TRUE(given.insert(again).second) << to_string(again);
  }
}

TEST(Hlc, AKeyThatIsDatedAheadDatesNoOther) {
  Hlc clock(1);
  const VersionId ahead{700'000ULL << 16 | 3, 9};
  std::set<VersionId> given;
  for (int i = 0; i < 3; ++i) {  // as writers of one key would that know nothing of each other
    const VersionId mine = clock.next(100'000, ahead);
    EXPECT_GT(mine, ahead);
    EXPECT_EQ(mine.unix_ms(), 700'000);
    EXPECT_TRUE(given.insert(mine).second);
  }
  EXPECT_EQ(clock.next(100'000).unix_ms(), 100'000);
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(given.insert(clock.next(700'000)).second) << "when those times come";
}

}  // namespace
}  // namespace ostraka
