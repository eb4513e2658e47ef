#include <gtest/gtest.h>

#include <map>
#include <string>

#include "object/refill_checkpoint.h"
#include "object/refill_plan.h"
#include "tests/unit/object/heal_world.h"

namespace ostraka::object {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Phase = RefillStatus::Phase;

// Objects of all kinds; gives what is to be read.
std::map<std::string, std::string> fill(HealWorld& w, int count) {
  std::map<std::string, std::string> out;
  for (int i = 0; i < count; ++i) {
    const std::string key = "key" + std::to_string(i);
    const std::size_t size = i % 4 == 0 ? 300'000 + static_cast<std::size_t>(i) * 1000 : 100;
    out[key] = w.world.text(size);
    EXPECT_TRUE(w.world.put(key, out[key]));
  }
  return out;
}

// With as many other drives away as may be.
void expect_readable_from(HealWorld& w, std::size_t drive, const std::map<std::string, std::string>& all) {
  const unsigned parity = w.world.sets->of_group(0).geometry().parity_shards;
  for (unsigned away = 0, i = 0; away < parity; ++i) {
    if (i == drive) continue;
    w.drive(i).set_online(false);
    ++away;
  }
  for (const auto& [key, text] : all) {
    const auto got = w.world.get(key);
    ASSERT_TRUE(got) << key << " " << got.error().detail;
    EXPECT_EQ(*got, text) << key;
  }
  for (const auto& one : w.world.memory) one->set_online(true);
}

void lose(HealWorld& w, std::size_t drive, std::uint64_t epoch) {
  w.drive(drive).lose_everything(epoch);
}

TEST(Refill, FillsADriveThatLostEverything) {
  HealWorld w;
  auto all = fill(w, 60);
  for (int i = 0; i < 60; i += 10) {
    ASSERT_TRUE(w.world.erase("key" + std::to_string(i)));
    all.erase("key" + std::to_string(i));
  }
  w.pass(seconds(1));
  lose(w, 3, 2);
  w.pass(seconds(15));
  EXPECT_EQ(w.refilling(3), 0U);
  EXPECT_TRUE(w.heal->status().refills.empty());
  EXPECT_EQ(w.drive(3).rows(), w.drive(2).rows());
  EXPECT_EQ(w.drive(3).files().size(), w.drive(2).files().size());
  EXPECT_FALSE(w.drive(3).system().contains(std::string(kRefillRecord)));
  expect_readable_from(w, 3, all);
  // Nothing of an older epoch can be committed any more.
  Ctx ctx = w.world.ctx();
  for (std::size_t i = 0; i < 6; ++i) {
    const auto groups = w.world.run(w.drive(i).groups(ctx));
    for (const disk::GroupState& state : *groups) EXPECT_EQ(state.epoch, 2U);
  }
}

TEST(Refill, AsksTheDrivesAboutManyKeysAtOnce) {
  HealWorld w;
  const auto all = fill(w, 200);
  w.pass(seconds(1));
  std::map<std::string, unsigned> calls;
  for (const std::size_t drive : {0, 3}) {
    w.world.faulty[drive]->follow([&calls, drive](std::string_view call) {
      ++calls[std::to_string(drive) + std::string(call)];
      return erasure::Fate();
    });
  }
  lose(w, 3, 2);
  w.pass(seconds(15));
  EXPECT_EQ(w.refilling(3), 0U);
  EXPECT_EQ(calls["3read"], 0U);
  EXPECT_LE(calls["0read"], kPlacementGroups) << "which tells it the epochs";
  EXPECT_GT(calls["0read_many"], 0U);
  EXPECT_LE(calls["0read_many"], 40U);
  EXPECT_EQ(calls["3read_many"], calls["0read_many"]);
  EXPECT_EQ(calls["3commit"], 200U);
  for (const std::size_t drive : {0, 3}) w.world.faulty[drive]->follow({});
  expect_readable_from(w, 3, all);
}

TEST(Refill, DoesNotNeedSourcesThatAreDamaged) {
  HealWorld w;
  const auto all = fill(w, 60);
  w.pass(seconds(1));
  for (int i = 0; i < 60; i += 5) {
    const auto ref = w.ref("key" + std::to_string(i));
    if (i % 2 == 0)
      w.drive(1).lose_inline(ref);
    else
      w.drive(1).corrupt_inline(ref);
  }
  for (int i = 0; i < 6; ++i) w.drive(1).files().erase(w.drive(1).files().begin());
  w.drive(1).files().begin()->second->corrupt[0] = true;
  lose(w, 5, 2);
  w.pass(seconds(15));
  EXPECT_EQ(w.refilling(5), 0U);
  expect_readable_from(w, 5, all);  // without drives 0 and 1
}

TEST(Refill, GoesOnBesideClientsThatWrite) {
  HealWorld w;
  auto all = fill(w, 80);
  w.pass(seconds(1));
  for (std::size_t i = 0; i < 6; ++i) w.slow_down(i, milliseconds(50));
  lose(w, 1, 2);
  for (int i = 0; i < 40; ++i) {
    const std::string key = "key" + std::to_string(i * 3 % 100);
    if (i % 5 == 4) {
      ASSERT_TRUE(w.world.erase(key));
      all.erase(key);
    } else {
      all[key] = w.world.text(i % 3 == 0 ? 200'000 : 50);
      ASSERT_TRUE(w.world.put(key, all[key]));
    }
  }
  for (std::size_t i = 0; i < 6; ++i) w.world.faulty[i]->follow({});
  w.pass(seconds(60));
  EXPECT_EQ(w.refilling(1), 0U);
  EXPECT_EQ(w.queued(), 0U);
  expect_readable_from(w, 1, all);
}

TEST(Refill, SaysHowFarItIsAndGoesOnAfterARestart) {
  HealWorld w;
  w.heal->set_priority(HealPriority::high);
  const auto all = fill(w, 400);
  w.pass(seconds(1));
  for (std::size_t i = 0; i < 6; ++i) w.slow_down(i, milliseconds(400));
  lose(w, 4, 2);
  for (int i = 0; i < 600 && !w.drive(4).system().contains(std::string(kRefillRecord)); ++i)
    w.pass(milliseconds(250));
  w.pass(seconds(5));
  const HealStatus status = w.heal->status();
  ASSERT_EQ(status.refills.size(), 1U);
  const RefillStatus& refill = status.refills[0];
  EXPECT_EQ(refill.drive, w.drive(4).id());
  EXPECT_EQ(refill.phase, Phase::walking);
  EXPECT_EQ(refill.groups, kPlacementGroups);
  EXPECT_EQ(refill.keys_total, 400U);
  EXPECT_GT(refill.keys, 0U);
  EXPECT_LT(refill.keys, 400U);
  EXPECT_GT(refill.keys_per_second, 0);
  ASSERT_TRUE(refill.eta_ms.has_value());
  ASSERT_EQ(refill.buckets.size(), 1U);
  EXPECT_EQ(refill.buckets[0].bucket_name, "bucket");
  EXPECT_EQ(refill.buckets[0].keys, refill.keys);

  w.restart();
  const auto found = w.drive(4).system().find(std::string(kRefillRecord));
  ASSERT_NE(found, w.drive(4).system().end());
  const auto checkpoint = decode_refill_checkpoint(found->second);
  ASSERT_TRUE(checkpoint);
  EXPECT_FALSE(checkpoint->after.empty());
  for (std::size_t i = 0; i < 6; ++i) w.world.faulty[i]->follow({});
  for (std::size_t i = 0; i < 3; ++i) {  // some groups cannot be told in time
    w.world.faulty[i]->follow([left = 40](std::string_view call) mutable {
      erasure::Fate fate;
      fate.request_lost = call == "read" && left > 0;
      left -= fate.request_lost ? 1 : 0;
      return fate;
    });
  }
  w.pass(seconds(60));
  EXPECT_EQ(w.refilling(4), 0U);
  EXPECT_LT(w.heal->status().totals.keys, 400U) << "it began anew";
  expect_readable_from(w, 4, all);
}

TEST(Refill, BeginsAnewWhenTheDriveLosesItsDataAgain) {
  HealWorld w;
  const auto all = fill(w, 100);
  w.pass(seconds(1));
  for (std::size_t i = 0; i < 6; ++i) w.slow_down(i, milliseconds(100));
  lose(w, 2, 2);
  w.pass(seconds(8));
  lose(w, 2, 3);
  for (std::size_t i = 0; i < 6; ++i) w.world.faulty[i]->follow({});
  w.pass(seconds(120));
  EXPECT_EQ(w.refilling(2), 0U);
  expect_readable_from(w, 2, all);
}

TEST(Refill, WaitsForEnoughFullDrives) {
  HealWorld w({.geometry = {2, 1}});
  const auto all = fill(w, 20);
  w.pass(seconds(1));
  w.drive(0).set_online(false);
  lose(w, 1, 2);
  w.pass(seconds(30));
  EXPECT_EQ(w.refilling(1), kPlacementGroups);
  const HealStatus status = w.heal->status();
  ASSERT_EQ(status.refills.size(), 1U);
  EXPECT_EQ(status.refills[0].phase, Phase::waiting);
  EXPECT_FALSE(status.refills[0].problem.empty());
  w.drive(0).set_online(true);
  w.pass(seconds(60));
  EXPECT_EQ(w.refilling(1), 0U);
  expect_readable_from(w, 1, all);
}

// A row without a name may be the one that makes a read quorum see a key.
TEST(Refill, DoesNotCountOnDrivesThatLeaveRowsOut) {
  HealWorld w;  // 4+2: three drives are a read quorum
  const auto all = fill(w, 20);
  w.pass(seconds(1));
  for (const std::size_t drive : {0, 1, 2}) w.drive(drive).nameless_rows = 1;
  lose(w, 5, 2);
  w.pass(seconds(30));
  EXPECT_EQ(w.refilling(5), kPlacementGroups);
  w.drive(0).nameless_rows = 0;
  w.pass(seconds(60));
  EXPECT_EQ(w.refilling(5), 0U);
  expect_readable_from(w, 5, all);
}

TEST(Refill, FillsTwoDrivesOneAfterTheOther) {
  HealWorld w;
  const auto all = fill(w, 40);
  w.pass(seconds(1));
  lose(w, 0, 2);
  lose(w, 5, 2);
  w.pass(seconds(60));
  EXPECT_EQ(w.refilling(0), 0U);
  EXPECT_EQ(w.refilling(5), 0U);
  expect_readable_from(w, 5, all);
  expect_readable_from(w, 0, all);
}

TEST(Refill, HoldsBackOnlyTheGroupsOfKeysThatDoNotHeal) {
  HealWorld w;
  fill(w, 30);
  w.pass(seconds(1));
  // key0 is lost: three of its six shard files.
  const auto record =
      disk::decode_version_record(as_bytes(*w.drive(0).state(w.ref("key0"))->versions.front().record));
  for (std::size_t i = 0; i < 3; ++i) w.drive(i).files().erase(record->parts.at(0).data);
  lose(w, 5, 2);
  w.pass(seconds(60));
  EXPECT_EQ(w.refilling(5), 1U);
  EXPECT_TRUE(w.drive(5).refilling(w.ref("key0").group));
  const HealStatus status = w.heal->status();
  ASSERT_EQ(status.refills.size(), 1U);
  EXPECT_EQ(status.refills[0].failed_keys, 1U);
  EXPECT_NE(status.refills[0].problem.find("key0"), std::string::npos) << status.refills[0].problem;
  // Whoever deletes what is lost lets the drive be full again.
  ASSERT_TRUE(w.world.erase("key0"));
  w.pass(seconds(400));
  EXPECT_EQ(w.refilling(5), 0U);
}

TEST(Refill, TriesOftenWhileRowsMayBeTooYoungToBeDecided) {
  HealWorld w;
  fill(w, 10);
  w.pass(seconds(1));
  const auto record =
      disk::decode_version_record(as_bytes(*w.drive(0).state(w.ref("key0"))->versions.front().record));
  for (std::size_t i = 0; i < 3; ++i) w.drive(i).files().erase(record->parts.at(0).data);
  lose(w, 5, 2);
  w.pass(seconds(165));
  ASSERT_EQ(w.refilling(5), 1U);
  ASSERT_TRUE(w.world.erase("key0"));
  w.pass(seconds(45));
  EXPECT_EQ(w.refilling(5), 0U);
}

TEST(Refill, RowsThatCannotBeReadHoldNothingBack) {
  HealWorld w;
  const auto all = fill(w, 30);
  w.pass(seconds(1));
  for (unsigned i = 0; i < 4; ++i) {
    const std::string key = "key" + std::to_string(i);
    w.drive(i).damage_row(w.ref(key));
  }
  lose(w, 5, 2);
  w.pass(seconds(60));
  EXPECT_EQ(w.refilling(5), 0U);
  for (unsigned i = 0; i < 4; ++i) {
    const std::string key = "key" + std::to_string(i);
    EXPECT_FALSE(w.drive(i).row_lost(w.ref(key))) << "healed on the way";
    EXPECT_FALSE(w.drive(i).state(w.ref(key))->refilling);
  }
  expect_readable_from(w, 5, all);
}

TEST(Refill, WithMoreDrivesThanASetHas) {
  HealWorld w({.geometry = {2, 1}, .drives = 7});
  const auto all = fill(w, 100);
  w.pass(seconds(1));
  std::vector<std::uint16_t> groups;
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    const auto drives = w.world.sets->of_group(static_cast<std::uint16_t>(g)).drives();
    if (std::find(drives.begin(), drives.end(), w.world.faulty[3].get()) != drives.end())
      groups.push_back(static_cast<std::uint16_t>(g));
  }
  const std::size_t rows = w.drive(3).rows();
  w.drive(3).lose_everything(2, groups);
  w.pass(seconds(30));
  EXPECT_EQ(w.refilling(3), 0U);
  EXPECT_EQ(w.drive(3).rows(), rows);
}

// --- the plan

TEST(RefillPlan, TakesOnlyGroupsWithEnoughFullDrives) {
  HealWorld w;
  std::vector<disk::Drive*> drives;
  for (const auto& drive : w.world.faulty) drives.push_back(drive.get());
  const GroupMembers members(w.world.sets->table(), drives);
  GroupStates states(6, std::vector<disk::GroupState>(kPlacementGroups));
  const auto refill = [&](std::size_t drive, std::uint16_t group) {
    disk::GroupState& state = (*states[drive])[group];
    state.refilling = true;
    state.birth = 4;
    state.epoch = 5;
  };
  EXPECT_EQ(plan_refill(members, 2, states, 3).refilling, 0U);
  refill(2, 10);
  refill(2, 11);
  refill(0, 11);
  refill(1, 11);
  RefillPlan plan = plan_refill(members, 2, states, 3);
  EXPECT_EQ(plan.refilling, 2U);
  EXPECT_EQ(plan.groups.size(), 2U);
  EXPECT_EQ(plan.groups.at(10).birth, 4U);
  EXPECT_EQ(plan.groups.at(10).epoch, 5U);
  EXPECT_TRUE(plan.problem.empty());
  states[5] = std::nullopt;  // away
  plan = plan_refill(members, 2, states, 3);
  EXPECT_EQ(plan.groups.size(), 1U) << "two full drives are not enough for group 11";
  EXPECT_TRUE(plan.groups.contains(10));
  EXPECT_FALSE(plan.problem.empty());
  EXPECT_EQ(members.full(10, 2, states, {true, true, false, false, false, true}), 2U);
}

TEST(RefillPlan, CountsOnADriveOnlyForWhatItSaidAfterItKnewTheEpoch) {
  HealWorld w;
  std::vector<disk::Drive*> drives;
  for (const auto& drive : w.world.faulty) drives.push_back(drive.get());
  const GroupMembers members(w.world.sets->table(), drives);
  GroupStates now(6, std::vector<disk::GroupState>(kPlacementGroups));
  for (auto& drive : now) (*drive)[10].epoch = 4;
  const std::vector<bool> all(6, true);
  GroupStates told = now;
  EXPECT_EQ(members.full_and_told(10, 2, now, told, 4, all), 5U);
  (*told[0])[10].epoch = 3;         // was told only later
  told[1] = std::nullopt;           // was away
  (*told[3])[10].refilling = true;  // became full only later
  EXPECT_EQ(members.full_and_told(10, 2, now, told, 4, all), 2U);
  EXPECT_EQ(members.full_and_told(10, 2, now, told, 3, all), 3U);
  EXPECT_EQ(members.full_and_told(10, 2, now, told, 4, {true, true, false, true, true, false}), 1U);
}

// --- the checkpoint

TEST(RefillCheckpoint, IsReadAsItWasWritten) {
  RefillCheckpoint checkpoint;
  checkpoint.births = {{0, 2}, {1023, 7}};
  checkpoint.after = std::string("\x00\x01row\xff", 6);
  checkpoint.walked = true;
  checkpoint.started_ms = 1'700'000'000'123;
  checkpoint.failed = {{BucketId{42}, disk::KeySpace::part, "k\xff", "sub"},
                       {BucketId{~0ULL}, disk::KeySpace::object, "key", ""}};
  checkpoint.again = {5, 6};
  checkpoint.done[BucketId{42}] = {100, 5'000'000'000};
  const auto read = decode_refill_checkpoint(encode(checkpoint));
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(*read, checkpoint);
  EXPECT_EQ(*decode_refill_checkpoint(encode(RefillCheckpoint())), RefillCheckpoint());
}

TEST(RefillCheckpoint, RefusesWhatItDoesNotKnow) {
  EXPECT_TRUE(decode_refill_checkpoint("").failed_with(Errc::corrupt));
  EXPECT_TRUE(decode_refill_checkpoint("[]").failed_with(Errc::corrupt));
  EXPECT_TRUE(decode_refill_checkpoint("{\"version\":2}").failed_with(Errc::unsupported_version));
  const std::string good = encode(RefillCheckpoint());
  const auto spoilt = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return decode_refill_checkpoint(text);
  };
  EXPECT_TRUE(spoilt("\"births\":[]", "\"births\":[[1024,1]]").failed_with(Errc::corrupt));
  EXPECT_TRUE(spoilt("\"births\":[]", "\"births\":[[1,-1]]").failed_with(Errc::corrupt));
  EXPECT_TRUE(spoilt("\"failed\":[]", "\"failed\":[[\"00\",\"o\",\"\",\"\"]]").failed_with(Errc::corrupt));
  EXPECT_TRUE(spoilt("\"again\":[]", "\"again\":{}").failed_with(Errc::corrupt));
  EXPECT_TRUE(spoilt("\"walked\":false", "\"walked\":0").failed_with(Errc::corrupt));
  EXPECT_TRUE(spoilt("\"after\":\"\"", "\"after\":\"0g\"").failed_with(Errc::corrupt));
}

}  // namespace
}  // namespace ostraka::object
