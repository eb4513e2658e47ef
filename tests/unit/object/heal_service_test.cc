#include "object/heal_service.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/unit/object/heal_world.h"

namespace ostraka::object {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Outcome = erasure::HealReport::Outcome;
using erasure::ShardState;

// --- the queue

TEST(HealQueue, BringsADriveWhatItMissed) {
  HealWorld w;
  w.drive(5).set_online(false);
  ASSERT_TRUE(w.world.put("small", "text"));
  ASSERT_TRUE(w.world.put("large", w.world.text(300'000)));
  w.pass(seconds(5));
  HealStatus status = w.heal->status();
  EXPECT_EQ(status.queue.entries, 2U);
  ASSERT_EQ(status.queue.waiting.size(), 1U);
  EXPECT_EQ(status.queue.waiting[0].drive, w.drive(5).id());
  EXPECT_EQ(status.queue.waiting[0].entries, 2U);
  EXPECT_NE(status.queue.oldest_ms, 0);
  EXPECT_EQ(status.totals.keys, 0U) << "tried although the drive is away";

  w.drive(5).set_online(true);
  w.pass(seconds(5));
  EXPECT_TRUE(w.has(5, "small"));
  EXPECT_TRUE(w.has(5, "large"));
  EXPECT_EQ(w.queued(), 0U);
  status = w.heal->status();
  EXPECT_EQ(status.totals.healed, 2U);
  EXPECT_EQ(status.queue.entries, 0U);
  EXPECT_EQ(status.queue.oldest_ms, 0);
  const auto history = w.heal->history(w.ref("large").bucket, "large");
  ASSERT_EQ(history.size(), 1U);
  EXPECT_EQ(history[0].cause, HealCause::missed_commit);
  EXPECT_EQ(history[0].outcome, Outcome::healed);
  EXPECT_EQ(history[0].bucket_name, "bucket");
  ASSERT_EQ(history[0].shards.size(), 1U);
  EXPECT_EQ(history[0].shards[0].drive, w.drive(5).id());
  EXPECT_EQ(history[0].shards[0].state, ShardState::no_record);
  EXPECT_TRUE(history[0].shards[0].healed);
}

TEST(HealQueue, LeavesAloneWhatOnlyLacksADriveThatIsAway) {
  HealWorld w;
  w.drive(5).set_online(false);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(w.world.put("key" + std::to_string(i), "text"));
  w.pass(seconds(10));
  const auto scans = w.drive(0).system_scans;
  const auto reads = w.drive(0).reads;
  w.pass(seconds(200));
  EXPECT_EQ(w.drive(0).system_scans, scans) << "the queue was read again for nothing";
  EXPECT_EQ(w.drive(0).reads, reads);
  EXPECT_EQ(w.heal->status().queue.entries, 20U);
}

TEST(HealQueue, ForgetsWhatAnotherNodeHasTakenOff) {
  HealWorld w;
  w.drive(5).set_online(false);
  ASSERT_TRUE(w.world.put("key", "text"));
  w.pass(seconds(10));
  ASSERT_EQ(w.heal->status().queue.entries, 1U);
  for (std::size_t i = 0; i < 5; ++i) {
    std::vector<std::string> names;
    for (const auto& [name, value] : w.drive(i).system())
      if (name.starts_with(erasure::kHealPrefix)) names.push_back(name);
    Ctx ctx = w.world.ctx();
    for (const std::string& name : names) ASSERT_TRUE(w.world.run(w.drive(i).erase_system(ctx, name)));
  }
  w.pass(seconds(10));
  const HealStatus status = w.heal->status();
  EXPECT_EQ(status.queue.entries, 0U);
  EXPECT_TRUE(status.queue.waiting.empty());
}

// keys: that other nodes take off the queue while one is recorded.
void record_while_others_take_off(const std::vector<std::string>& keys) {
  HealWorld w;
  bool mine = true;
  w.tends = [&mine](std::uint16_t) { return mine; };
  w.restart();
  const auto is_about = [&w](const std::string& value, const std::string& key) {
    return erasure::decode_heal_entry(as_bytes(value))->key == key;
  };
  const auto take_off = [&](const std::vector<std::string>& of) {
    std::vector<std::tuple<std::size_t, std::string, std::string>> taken;
    for (std::size_t i = 0; i < 6; ++i)
      for (const auto& [name, value] : w.drive(i).system())
        for (const std::string& key : of)
          if (name.starts_with(erasure::kHealPrefix) && is_about(value, key))
            taken.emplace_back(i, name, value);
    Ctx ctx = w.world.ctx();
    for (const auto& [i, name, value] : taken) EXPECT_TRUE(w.world.run(w.drive(i).erase_system(ctx, name)));
    return taken;
  };
  w.drive(5).set_online(false);
  for (const char* key : {"a", "b", "c", "late"}) ASSERT_TRUE(w.world.put(key, "text"));
  w.pass(seconds(3));
  const auto late = take_off({"late"});
  ASSERT_FALSE(late.empty());
  mine = false;  // another node heals those
  w.drive(5).set_online(true);
  w.pass(seconds(10));
  ASSERT_EQ(w.heal->status().queue.entries, 0U);
  mine = true;
  std::map<std::size_t, int> less;  // entries, by drive
  for (const auto& [i, name, value] : take_off(keys)) ++less[i];
  Ctx ctx = w.world.ctx();
  int recorded = 0;
  for (const auto& [i, count] : less) {
    if (count < static_cast<int>(keys.size())) continue;
    const auto& [where, name, value] = late.front();
    ASSERT_TRUE(w.world.run(w.drive(i).put_system(ctx, name, value)));
    ++recorded;
  }
  ASSERT_GT(recorded, 0);
  w.pass(seconds(4));
  EXPECT_TRUE(w.has(5, "late")) << keys.size() << " taken off";
}

TEST(HealQueue, FindsWhatIsRecordedWhileOtherNodesTakeAsManyOff) {
  record_while_others_take_off({"a"});
}

TEST(HealQueue, FindsWhatIsRecordedWhileOtherNodesTakeMoreOff) {
  record_while_others_take_off({"a", "b"});
}

TEST(HealQueue, NoticesADriveThatWasAwayBetweenTwoLooks) {
  HealWorld w;
  bool goes = false;
  w.tends = [&](std::uint16_t) {  // asked while the queue is read
    if (goes) w.drive(5).set_online(false);
    return true;
  };
  w.restart();
  w.drive(5).set_online(false);
  ASSERT_TRUE(w.world.put("key", "text"));
  w.pass(seconds(3));
  goes = true;
  w.drive(5).set_online(true);
  for (int i = 0; i < 30 && w.drive(5).online(); ++i) w.pass(milliseconds(100));
  ASSERT_FALSE(w.drive(5).online());
  goes = false;
  w.drive(5).set_online(true);
  w.pass(seconds(4));
  EXPECT_TRUE(w.has(5, "key"));
  EXPECT_EQ(w.queued(), 0U);
}

TEST(HealQueue, HealsWhatItCanAndThenWaitsForTheDriveThatIsAway) {
  HealWorld w;
  w.drive(4).set_online(false);
  w.drive(5).set_online(false);
  ASSERT_TRUE(w.world.put("key", "text"));
  w.pass(seconds(3));
  w.drive(4).set_online(true);
  w.pass(seconds(5));
  EXPECT_TRUE(w.has(4, "key"));
  HealStatus status = w.heal->status();
  EXPECT_EQ(status.totals.partly, 1U);
  ASSERT_EQ(status.queue.waiting.size(), 1U);
  EXPECT_EQ(status.queue.waiting[0].drive, w.drive(5).id());
  w.pass(seconds(700));
  EXPECT_EQ(w.heal->status().totals.keys, 1U) << "tried again for nothing";
  w.drive(5).set_online(true);
  w.pass(seconds(5));
  EXPECT_TRUE(w.has(5, "key"));
  EXPECT_EQ(w.queued(), 0U);
}

TEST(HealQueue, RepairsWhatAReadFoundDamaged) {
  HealWorld w;
  const std::string text = w.world.text(3'000'000);
  ASSERT_TRUE(w.world.put("key", text));
  w.pass(seconds(1));
  const std::size_t victim = w.drive_at("key", 0);
  ASSERT_EQ(w.drive(victim).files().size(), 1U);
  w.drive(victim).files().begin()->second->corrupt[1] = true;
  ASSERT_EQ(*w.world.get("key"), text);
  w.pass(seconds(4));
  EXPECT_EQ(w.queued(), 0U);
  const HealStatus status = w.heal->status();
  EXPECT_EQ(status.totals.healed, 1U);
  ASSERT_EQ(status.recent.size(), 1U);
  EXPECT_EQ(status.recent[0].cause, HealCause::damaged_shard);
  EXPECT_EQ(status.recent[0].shards.at(0).state, ShardState::corrupt);
  EXPECT_EQ(w.drive(victim).files().begin()->second->corrupt[1], false);
}

TEST(HealQueue, KeepsAnEntryThatIsRecordedAnewWhileItIsHealed) {
  HealWorld w;
  w.drive(5).set_online(false);
  ASSERT_TRUE(w.world.put("key", "old"));
  w.pass(seconds(3));
  ASSERT_GT(w.queued(), 0U);
  // The heal takes two seconds; meanwhile another version misses the same drive.
  w.drive(5).set_online(true);
  for (std::size_t i = 0; i < 6; ++i) w.slow_down(i, milliseconds(700));
  w.pass(milliseconds(1200));
  ASSERT_EQ(w.heal->status().totals.keys, 0U) << "the heal is over already";
  std::string name, value;
  for (const auto& [n, v] : w.drive(0).system())
    if (n.starts_with(erasure::kHealPrefix)) name = n, value = v;
  for (std::size_t i = 1; i < 5 && name.empty(); ++i)
    for (const auto& [n, v] : w.drive(i).system())
      if (n.starts_with(erasure::kHealPrefix)) name = n, value = v;
  ASSERT_FALSE(name.empty());
  auto entry = *erasure::decode_heal_entry(as_bytes(value));
  entry.when_ms += 1000;
  for (std::size_t i = 0; i < 5; ++i) {
    if (!w.drive(i).system().contains(name)) continue;
    Ctx ctx = w.world.ctx();
    ASSERT_TRUE(w.world.run(w.drive(i).put_system(ctx, name, erasure::encode(entry))));
  }
  for (int i = 0; i < 50 && w.heal->status().totals.keys == 0; ++i) w.pass(milliseconds(200));
  EXPECT_EQ(w.heal->status().totals.keys, 1U);
  EXPECT_GT(w.queued(), 0U) << "an entry that nobody has looked at is gone";
  for (std::size_t i = 0; i < 6; ++i) w.world.faulty[i]->follow({});
  w.pass(seconds(10));
  EXPECT_EQ(w.heal->status().totals.keys, 2U);
  EXPECT_EQ(w.queued(), 0U);
}

TEST(HealQueue, TakesTheOldestFirst) {
  HealWorld w;
  w.heal->set_priority(HealPriority::high);
  w.drive(5).set_online(false);
  std::vector<std::string> keys;
  for (int i = 0; i < 12; ++i) {
    keys.push_back("key" + std::to_string(i * 7919 % 12));
    ASSERT_TRUE(w.world.put(keys.back(), "text"));
    w.pass(seconds(2));
  }
  w.drive(5).set_online(true);
  w.pass(seconds(5));
  const HealStatus status = w.heal->status();
  ASSERT_EQ(status.recent.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i)
    EXPECT_EQ(status.recent[keys.size() - 1 - i].key, keys[i]);  // the newest first
}

TEST(HealQueue, DropsEntriesThatDoNotDecode) {
  HealWorld w;
  Ctx ctx = w.world.ctx();
  ASSERT_TRUE(w.world.run(w.drive(0).put_system(ctx, "heal/garbage", "\x01what is this")));
  w.pass(seconds(3));
  EXPECT_EQ(w.queued(), 0U);
}

TEST(HealQueue, BacksOffFromWhatDoesNotHeal) {
  HealWorld w;
  w.drive(5).set_online(false);
  ASSERT_TRUE(w.world.put("key", "text"));
  w.pass(seconds(3));
  w.drive(5).set_online(true);
  w.drive(5).set_full(true);  // it says that it is there, and takes nothing
  w.world.faulty[5]->follow([](std::string_view call) {
    erasure::Fate fate;
    fate.request_lost = call == "commit";
    return fate;
  });
  w.pass(seconds(100));
  const std::uint64_t tries = w.heal->status().totals.keys;
  EXPECT_GE(tries, 4U);
  EXPECT_LE(tries, 10U);
  w.world.faulty[5]->follow({});
  w.drive(5).set_full(false);
  w.pass(seconds(200));
  EXPECT_TRUE(w.has(5, "key"));
  EXPECT_EQ(w.queued(), 0U);
}

// --- on demand

TEST(HealRun, NamesWhatADryRunWouldHealAndThenHealsIt) {
  HealWorld w;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(w.world.put("a/" + std::to_string(i), w.world.text(200'000)));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(w.world.put("b/" + std::to_string(i), "text"));
  w.pass(seconds(1));
  w.drive(2).files().clear();
  HealRunSpec spec;
  spec.bucket = BucketName("bucket");
  spec.dry_run = true;
  const auto dry = w.heal->start_run(spec);
  ASSERT_TRUE(dry);
  w.pass(seconds(5));
  auto run = w.heal->run(*dry);
  ASSERT_TRUE(run);
  EXPECT_EQ(run->state, HealRunStatus::State::done);
  EXPECT_EQ(run->counts.keys, 20U);
  EXPECT_EQ(run->counts.healthy, 10U);
  EXPECT_EQ(run->keys_total, 20U);
  ASSERT_EQ(run->named.size(), 10U);
  EXPECT_EQ(run->named[0].shards.at(0).state, ShardState::no_shard);
  EXPECT_EQ(run->named[0].bucket_name, "bucket");
  EXPECT_TRUE(w.drive(2).files().empty());
  EXPECT_EQ(w.heal->status().totals.keys, 0U) << "a dry run counts as healing";

  spec.dry_run = false;
  spec.prefix = "a/3";
  const auto one = w.heal->start_run(spec);
  ASSERT_TRUE(one);
  w.pass(seconds(5));
  EXPECT_EQ(w.heal->run(*one)->counts.healed, 1U);
  EXPECT_EQ(w.heal->run(*one)->counts.keys, 1U);

  const auto all = w.heal->start_run(HealRunSpec{});
  ASSERT_TRUE(all);
  w.pass(seconds(5));
  run = w.heal->run(*all);
  EXPECT_EQ(run->counts.healed, 9U);
  EXPECT_EQ(run->counts.keys, 20U);
  EXPECT_EQ(w.drive(2).files().size(), 10U);
  EXPECT_EQ(w.heal->status().runs.size(), 3U);
  EXPECT_EQ(w.heal->status().runs[0].id, *all);
}

TEST(HealRun, FindsCorruptBlocksOnlyWhenDeep) {
  HealWorld w;
  ASSERT_TRUE(w.world.put("key", w.world.text(2'000'000)));
  w.pass(seconds(1));
  w.drive(1).files().begin()->second->corrupt[0] = true;
  const auto shallow = w.heal->start_run(HealRunSpec{});
  w.pass(seconds(2));
  EXPECT_EQ(w.heal->run(*shallow)->counts.healthy, 1U);
  HealRunSpec spec;
  spec.deep = true;
  const auto deep = w.heal->start_run(spec);
  w.pass(seconds(2));
  EXPECT_EQ(w.heal->run(*deep)->counts.healed, 1U);
  EXPECT_GT(w.heal->run(*deep)->counts.bytes_verified, 2'000'000U);
}

TEST(HealRun, NamesWhatIsLost) {
  HealWorld w;
  ASSERT_TRUE(w.world.put("gone", w.world.text(200'000)));
  ASSERT_TRUE(w.world.put("here", w.world.text(200'000)));
  w.pass(seconds(1));
  for (std::size_t i = 0; i < 6; ++i) {
    const disk::KeyState* state = w.drive(i).state(w.ref("gone"));
    const auto record = disk::decode_version_record(as_bytes(*state->versions.front().record));
    if (i < 3) w.drive(i).files().erase(record->parts.at(0).data);
  }
  const auto id = w.heal->start_run(HealRunSpec{});
  w.pass(seconds(10));
  const auto run = w.heal->run(*id);
  EXPECT_EQ(run->counts.lost, 1U);
  EXPECT_EQ(run->counts.healthy, 1U);
  ASSERT_EQ(run->named.size(), 1U);
  EXPECT_EQ(run->named[0].key, "gone");
  EXPECT_EQ(run->named[0].outcome, Outcome::lost);
}

TEST(HealRun, IsOneAtATimeAndCanBeCancelled) {
  HealWorld w;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(w.world.put("key" + std::to_string(i), "text"));
  for (std::size_t i = 0; i < 6; ++i) w.slow_down(i, seconds(2));
  const auto first = w.heal->start_run(HealRunSpec{});
  ASSERT_TRUE(first);
  w.pass(seconds(3));
  EXPECT_TRUE(w.heal->start_run(HealRunSpec{}).failed_with(Errc::conflict));
  EXPECT_EQ(w.heal->run(*first)->state, HealRunStatus::State::running);
  EXPECT_TRUE(w.heal->cancel_run(*first + 1).failed_with(Errc::not_found));
  ASSERT_TRUE(w.heal->cancel_run(*first));
  w.pass(seconds(15));
  EXPECT_EQ(w.heal->run(*first)->state, HealRunStatus::State::cancelled);
  EXPECT_LT(w.heal->run(*first)->counts.keys, 100U);
  EXPECT_TRUE(w.heal->cancel_run(*first).failed_with(Errc::not_found));
  EXPECT_TRUE(w.heal->start_run(HealRunSpec{}));

  HealRunSpec wrong;
  wrong.prefix = "a";
  EXPECT_TRUE(w.heal->start_run(wrong).failed_with(Errc::invalid_argument));
  wrong.bucket = BucketName("nowhere");
  EXPECT_TRUE(w.heal->start_run(wrong).failed_with(Errc::no_such_bucket));
  EXPECT_TRUE(w.heal->run(99).failed_with(Errc::not_found));
}

TEST(HealService, HealsOneKeyOnRequestAndRemembersIt) {
  HealWorld w;
  ASSERT_TRUE(w.world.put("key", w.world.text(200'000)));
  w.pass(seconds(1));
  w.drive(3).files().clear();
  Ctx ctx = w.world.ctx();
  const auto report = w.world.run(w.heal->heal(ctx, w.ref("key"), erasure::HealSpec{}, HealCause::scanner));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->outcome, Outcome::healed);
  EXPECT_EQ(w.heal->history(w.ref("key").bucket, "key").at(0).cause, HealCause::scanner);
  EXPECT_TRUE(w.heal->history(w.ref("key").bucket, "other").empty());
}

TEST(HealService, StopsAtOnceWhileADriveReadsALargeObject) {
  HealWorld w;
  w.drive(5).set_online(false);
  ASSERT_TRUE(w.world.put("large", w.world.text(3'000'000)));
  w.pass(seconds(3));
  for (const auto& drive : w.world.faulty)
    drive->follow([](std::string_view call) {
      erasure::Fate fate;
      if (call == "open_shard") fate.delay = seconds(8);
      return fate;
    });
  w.drive(5).set_online(true);
  w.pass(seconds(3));
  ASSERT_FALSE(w.has(5, "large"));
  ASSERT_EQ(w.heal->status().totals.keys, 0U) << "it is under way";
  const TimePoint began = w.world.clock.now();
  w.world.run(w.heal->close());
  EXPECT_LE(w.world.clock.now() - began, seconds(1));
  w.heal.reset();
  w.restart();
}

TEST(HealService, StopsWithinASecond) {
  HealWorld w;
  w.drive(5).set_online(false);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(w.world.put("key" + std::to_string(i), "text"));
  w.pass(seconds(3));
  w.heal->set_priority(HealPriority::idle);
  w.drive(5).set_online(true);
  ASSERT_TRUE(w.heal->start_run(HealRunSpec{}));
  w.pass(milliseconds(10));
  const TimePoint began = w.world.clock.now();
  w.world.run(w.heal->close());
  EXPECT_LE(w.world.clock.now() - began, seconds(1));
  EXPECT_TRUE(w.heal->start_run(HealRunSpec{}).failed_with(Errc::closed));
  w.heal.reset();
  w.restart();
}

}  // namespace
}  // namespace ostraka::object
