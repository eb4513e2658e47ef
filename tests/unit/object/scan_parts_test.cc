// What a scanner is made of: its pace, its checkpoint, the comparison of rows, the merged scan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "disk/row_key.h"
#include "object/limits.h"
#include "object/merged_scan.h"
#include "object/row_compare.h"
#include "object/scan_pace.h"
#include "object/scan_state.h"
#include "object_world.h"

namespace ostraka::object {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(ScanPace, EndsInFourFifthsOfThePeriod) {
  TimePoint now{seconds(100)};
  const TimePoint began = now;
  ScanPace pace(hours(100), now);
  constexpr double kPiece = 1e9;
  pace.set_total(1000 * kPiece);
  for (int i = 0; i < 1000; ++i) now = pace.after(now, kPiece);
  EXPECT_NEAR(std::chrono::duration<double>(now - began).count(), 80.0 * 3600, 60);
}

TEST(ScanPace, AFloorEndsSmallPassesSooner) {
  TimePoint now{seconds(100)};
  const TimePoint began = now;
  ScanPace pace(hours(14 * 24), now);
  pace.set_total(1000);
  for (int i = 0; i < 400; ++i) now = pace.after(now, kScanKeyCost);
  EXPECT_NEAR(std::chrono::duration<double>(now - began).count(), 200, 1);  // two keys a second
}

TEST(ScanPace, CatchesUpAtTwiceTheRateAndNeverLagsFurtherThanItsBudget) {
  TimePoint now{seconds(100)};
  ScanPace pace(hours(24), now);
  const auto budget = seconds(24 * 3600) / 100;
  EXPECT_TRUE(pace.may_yield(now + budget - seconds(1)));
  EXPECT_FALSE(pace.may_yield(now + budget));
  now += minutes(10);
  int keys = 0;
  for (const TimePoint end = now + seconds(60); now < end; ++keys) now = pace.after(now, kScanKeyCost);
  EXPECT_NEAR(keys, 2 * 2 * 60, 2);
  now += hours(10);
  static_cast<void>(pace.after(now, 1));
  EXPECT_FALSE(pace.may_yield(now + seconds(1)));
  // What is beyond the budget is not made up for: at twice the rate the budget's work takes the budget's
  // time.
  const TimePoint late = now;
  while (pace.after(now, kScanKeyCost) - now < std::chrono::milliseconds(200))
    now += std::chrono::milliseconds(125);
  EXPECT_LE(now - late, budget + seconds(5));
}

PassState some_pass() {
  PassState pass;
  pass.number = 41;
  pass.deep = true;
  pass.started_ms = 1'700'000'000'123;
  pass.phase = PassState::Phase::orphans;
  pass.after = std::string("\0\1key\xff", 6);
  pass.step = 3;
  pass.cost_done = 123456789;
  pass.totals.keys = 1000;
  pass.totals.orphan_inline = 2;
  pass.totals.usage_corrections = ~0ULL;
  pass.incomplete = {BucketId{1}, BucketId{~0ULL}};
  pass.all_incomplete = true;
  return pass;
}

TEST(ScanState, RoundTrips) {
  ScanState state;
  EXPECT_EQ(*decode_scan_state(encode(state)), state);
  state.sequence = 17;
  state.last_number = 41;
  state.background_ms = 1;
  state.deep_ms = 2;
  state.ended_ms = 3;
  state.background = some_pass();
  const auto back = decode_scan_state(encode(state));
  ASSERT_TRUE(back.has_value()) << back.error().detail;
  EXPECT_EQ(*back, state);
  VerifiedState verified;
  verified.sequence = 5;
  verified.since_ms = {{BucketId{7}, 1'700'000'000'000}, {BucketId{~0ULL}, 1}};
  EXPECT_EQ(*decode_verified_state(encode(verified)), verified);
}

// These records lie on drives out there.
TEST(ScanState, Golden) {
  ScanState state;
  state.sequence = 17;
  state.last_number = 41;
  state.background = some_pass();
  EXPECT_EQ(
      encode(state),
      R"({"background":0,"deep":0,"ended":0,"last_number":41,"pass":{"after":"00016b6579ff","all_incomplete":true,)"
      R"("cost":123456789,"deep":true,"incomplete":["0000000000000001","ffffffffffffffff"],"number":41,"phase":2,)"
      R"("started":1700000000123,"step":3,"totals":{"bytes_verified":0,"cleared":0,"corrupt_rows":0,"damaged":0,)"
      R"("keys":1000,"lost":0,"not_verified":0,"orphan_bytes":0,"orphan_files":0,"orphan_inline":2,"repaired":0,)"
      R"("unclaimed":0,"unrepaired":0,"usage_corrections":18446744073709551615}},"sequence":17,"version":1})");
  VerifiedState verified;
  verified.sequence = 5;
  verified.since_ms = {{BucketId{7}, 9}};
  EXPECT_EQ(encode(verified), R"({"sequence":5,"since":{"0000000000000007":9},"version":1})");
}

TEST(ScanState, RefusesWhatItCannotRead) {
  EXPECT_TRUE(decode_scan_state("").failed_with(Errc::corrupt));
  EXPECT_TRUE(decode_scan_state("[1]").failed_with(Errc::corrupt));
  EXPECT_TRUE(decode_scan_state(R"({"version":2})").failed_with(Errc::unsupported_version));
  ScanState state;
  state.background = some_pass();
  const std::string good = encode(state);
  const std::pair<const char*, const char*> changes[] = {
      {R"("phase":2)", R"("phase":4)"},
      {R"("step":3)", R"("step":4294967296)"},
      {R"("step":3)", R"("step":-1)"},
      {R"("after":"00)", R"("after":"zz)"},
      {R"("deep":true)", R"("deep":1)"},
      {R"("lost":0)", R"("lost":1.5)"},
      {R"("lost":0,)", ""},
      {R"("sequence":0)", R"("sequence":"0")"},
      {R"("0000000000000001")", R"("00001")"},
      {R"("cost":123456789)", R"("cost":18446744073709551615)"},
  };
  for (const auto& [from, to] : changes) {
    std::string bad = good;
    const auto at = bad.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    bad.replace(at, std::string_view(from).size(), to);
    EXPECT_TRUE(decode_scan_state(bad).failed_with(Errc::corrupt)) << from << " as " << to;
  }
}

TEST(ScanState, TheNewestThatAnyDriveHasIsTakenAndOneCopyIsEnough) {
  ObjectWorld world({.geometry = {4, 2}});
  std::vector<disk::Drive*> drives;
  for (const auto& drive : world.memory) drives.push_back(drive.get());
  const auto roster = std::make_shared<const disk::DriveRoster>(drives);
  ScanStateStore writer(roster, 3);
  writer.state.last_number = 1;
  Ctx ctx = world.ctx();
  ASSERT_TRUE(world.run(writer.save_state(ctx)));
  world.memory[0]->set_online(false);  // keeps the older one
  writer.state.last_number = 2;
  ASSERT_TRUE(world.run(writer.save_state(ctx)));
  EXPECT_EQ(world.memory[3]->system().count("scanner/state"), 1U);
  EXPECT_EQ(world.memory[4]->system().count("scanner/state"), 0U);
  world.memory[0]->set_online(true);
  Result<> spoilt = world.run(world.memory[1]->put_system(ctx, "scanner/state", "no JSON"));
  ASSERT_TRUE(spoilt);
  world.memory[2]->set_online(false);
  ScanStateStore reader(roster, 3);
  world.run(reader.load(ctx));
  EXPECT_EQ(reader.state, writer.state);
}

struct Row {
  disk::KeyState state;
  std::string encoded() const { return disk::encode_key_row(state); }
};

Row plain_row(std::uint64_t time, std::uint8_t shard) {
  disk::VersionRecord record;
  record.id = VersionId{time, 1};
  record.size = 1000;
  Row row;
  disk::HeldVersion version;
  version.id = record.id;
  version.has_files = true;
  version.shard_index = shard;
  version.record = std::make_shared<const std::string>(disk::encode(record));
  row.state.versions.push_back(version);
  row.state.final_id = record.id;
  row.state.final_at_ms = 100 + shard;
  return row;
}

RowsVerdict compare(const std::vector<std::optional<std::string>>& rows) {
  std::vector<std::optional<std::string_view>> views(rows.begin(), rows.end());
  return compare_rows(views);
}

TEST(CompareRows, EqualRowsDifferInShardAndFinalTimeOnly) {
  const RowsVerdict verdict =
      compare({plain_row(5, 0).encoded(), plain_row(5, 1).encoded(), plain_row(5, 2).encoded()});
  EXPECT_FALSE(verdict.differ);
  EXPECT_TRUE(verdict.at_rest);
  EXPECT_TRUE(verdict.is_final);
  EXPECT_TRUE(verdict.has_files);
  EXPECT_FALSE(verdict.tombstone);
  EXPECT_EQ(verdict.newest.time, 5U);
  EXPECT_EQ(verdict.bytes, 1000U);
  EXPECT_EQ(verdict.final_at_ms, 102);
}

TEST(CompareRows, ADriveWithoutTheRowOrWithAnotherDiffers) {
  EXPECT_TRUE(compare({plain_row(5, 0).encoded(), std::nullopt}).differ);
  EXPECT_TRUE(compare({std::nullopt, plain_row(5, 0).encoded()}).differ);
  EXPECT_FALSE(compare({std::nullopt, std::nullopt}).differ);
  EXPECT_TRUE(compare({plain_row(5, 0).encoded(), plain_row(6, 1).encoded()}).differ);
  EXPECT_EQ(compare({plain_row(6, 0).encoded(), plain_row(5, 1).encoded()}).newest.time, 6U);
  Row not_final = plain_row(5, 1);
  not_final.state.final_id = kNoVersion;
  const RowsVerdict verdict = compare({plain_row(5, 0).encoded(), not_final.encoded()});
  EXPECT_TRUE(verdict.differ);
  EXPECT_TRUE(verdict.is_final) << "one drive knows";
  Row fenced = plain_row(5, 1);
  fenced.state.fences.push_back(VersionId{4, 4});
  EXPECT_TRUE(compare({plain_row(5, 0).encoded(), fenced.encoded()}).differ);
  EXPECT_TRUE(compare({plain_row(5, 0).encoded(), "not a row"}).differ);
}

TEST(CompareRows, WhatAllHaveMayStillBeUnsettled) {
  Row two = plain_row(5, 0);
  two.state.versions.insert(two.state.versions.begin(), plain_row(9, 0).state.versions.front());
  RowsVerdict verdict = compare({two.encoded(), two.encoded()});
  EXPECT_FALSE(verdict.differ);
  EXPECT_FALSE(verdict.at_rest);
  EXPECT_FALSE(verdict.is_final);
  EXPECT_EQ(verdict.newest.time, 9U);
  Row deleted = plain_row(5, 0);
  deleted.state.versions.front().tombstone = true;
  verdict = compare({deleted.encoded(), deleted.encoded()});
  EXPECT_FALSE(verdict.at_rest);
  EXPECT_TRUE(verdict.tombstone);
  EXPECT_TRUE(verdict.is_final);
}

class MergedScanTest : public testing::Test {
 protected:
  MergedScanTest() {
    for (const auto& drive : world.faulty) drives.push_back(drive.get());
  }
  // All keys, with the drives that have each.
  std::vector<std::string> scan_all(std::string after = {}) {
    MergedScan scan(drives, world.gate, std::move(after));
    std::vector<std::string> out;
    for (;;) {
      Ctx ctx = world.ctx();
      ctx.deadline = world.clock.now() + seconds(1);
      const auto page = world.run(scan.next(ctx));
      EXPECT_TRUE(page.has_value());
      if (!page) break;
      for (const MergedKey& key : page->keys) {
        std::string had;
        for (std::size_t i = 0; i < key.rows.size(); ++i)
          if (key.rows[i]) had += static_cast<char>('0' + i);
        out.push_back(std::string(key.key) + ":" + had);
        last = std::string(key.row_key);
        if (at_key) at_key(std::string(key.key));
      }
      if (page->end) break;
    }
    return out;
  }

  ObjectWorld world;
  std::vector<disk::Drive*> drives;
  std::string last;
  std::function<void(const std::string&)> at_key;
};

TEST_F(MergedScanTest, GivesEachKeyOnceInOrderOverManyPages) {
  constexpr std::size_t kKeys = kScanRows * 3 + 7;
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < kKeys; ++i) {
    const std::string key = fmt::format("key{:05}", i);
    // On one drive, two, or all: their pages end at different keys.
    std::string had = "012";
    if (i % 5 == 0) world.memory[i % 3]->set_online(false), had.erase(i % 3, 1);
    ASSERT_TRUE(world.put(key, "v"));
    if (i % 5 == 0) world.memory[i % 3]->set_online(true);
    expected.push_back(key + ":" + had);
  }
  EXPECT_EQ(scan_all(), expected);
  // It goes on behind any row.
  const std::string after = disk::row_key((*world.buckets->find(BucketName("bucket")))->info.id,
                                          disk::KeySpace::object, "key00500", "");
  const std::vector<std::string> rest = scan_all(after);
  EXPECT_EQ(rest, std::vector<std::string>(expected.begin() + 501, expected.end()));
}

TEST_F(MergedScanTest, GoesOnWithoutADriveAndTakesItBackLater) {
  constexpr std::size_t kKeys = kScanRows * 6;
  for (std::size_t i = 0; i < kKeys; ++i) ASSERT_TRUE(world.put(fmt::format("key{:05}", i), "v"));
  world.pass(seconds(5));
  at_key = [&](const std::string& key) {
    if (key == "key00100") world.memory[1]->set_online(false);
    if (key == "key00900") world.memory[1]->set_online(true), world.clock.advance(minutes(1));
  };
  const std::vector<std::string> found = scan_all();
  ASSERT_EQ(found.size(), kKeys);
  EXPECT_EQ(found[200], "key00200:012") << "this page was read already";
  EXPECT_EQ(found[600], "key00600:02");
  EXPECT_EQ(found.back(), fmt::format("key{:05}:012", kKeys - 1));
}

TEST_F(MergedScanTest, ADriveThatHangsIsLeftOut) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(world.put("k" + std::to_string(i), "v"));
  world.faulty[2]->follow([](std::string_view call) {
    erasure::Fate fate;
    if (call == "scan") fate.delay = hours(1);
    return fate;
  });
  const std::vector<std::string> found = scan_all();
  ASSERT_EQ(found.size(), 10U);
  EXPECT_EQ(found[0], "k0:01");
}

TEST_F(MergedScanTest, WithoutAnyDriveItFails) {
  for (const auto& drive : world.memory) drive->set_online(false);
  MergedScan scan(drives, world.gate, {});
  Ctx ctx = world.ctx();
  EXPECT_TRUE(world.run(scan.next(ctx)).failed_with(Errc::unavailable));
  for (const auto& drive : world.memory) drive->set_online(true);
}

}  // namespace
}  // namespace ostraka::object
