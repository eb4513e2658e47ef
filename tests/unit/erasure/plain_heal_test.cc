// Small keys that were looked at together are healed together, and nothing else is.
#include "erasure/plain_heal.h"

#include <gtest/gtest.h>

#include "erasure/set_core.h"
#include "tests/unit/erasure/ahead_world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::seconds;

struct PlainWorld : AheadWorld {
  // Small ones, which slot 3 lacks.
  void put_many(unsigned count) {
    for (unsigned i = 0; i < count; ++i) bodies.push_back(put(i, i == 0 ? 0 : 1 + i * 5000));
    pass(seconds(1));
    for (unsigned i = 0; i < count; ++i) memory[3]->lose_row(key(i));
  }
  std::vector<KeyLookPtr> look_at(unsigned count, std::uint32_t inline_of = 0b010111) {
    std::vector<KeyAhead> keys;
    for (unsigned i = 0; i < count; ++i) keys.push_back(ahead(i, inline_of));
    return look(std::move(keys));
  }
  std::vector<std::optional<HealReport>> heal_all(const std::vector<KeyLookPtr>& looks) {
    std::vector<PlainKey> keys;
    for (unsigned i = 0; i < looks.size(); ++i) keys.push_back({set.get(), key(i), looks[i]});
    return run(heal_plain(ctx(), std::move(keys)));
  }
  void erase(unsigned i) {
    Ctx erasing = ctx();
    ASSERT_TRUE(run(set->erase(erasing, key(i), false, nullptr)).has_value());
  }
  // A writer died after one drive had taken his version.
  void leave_behind(unsigned i, unsigned slot) {
    auto record = disk::decode_version_record(as_bytes(*memory[slot]->state(key(i))->versions[0].record));
    ASSERT_TRUE(record.has_value());
    record->id = hlc.next(clock.unix_ms());
    disk::CommitRequest request;
    request.encoded = std::make_shared<const std::string>(encode(*record));
    request.record = std::make_shared<const disk::VersionRecord>(*record);
    request.shard_index = static_cast<std::uint8_t>(slot);
    const Buffer piece = Buffer::on_heap(64);
    request.inline_shard = Slice{piece, piece.span()};
    Ctx committing = ctx();
    ASSERT_TRUE(run(memory[slot]->commit(committing, key(i), request)).has_value());
  }
};

TEST(PlainHeal, BringsManyKeysAtOnceAndRetiresThem) {
  PlainWorld w;
  w.put_many(20);
  const auto looks = w.look_at(20);
  const unsigned long reads = w.reads();
  std::vector<std::string> calls;
  for (const auto& drive : w.faulty) {
    drive->follow([&calls](std::string_view call) {
      calls.emplace_back(call);
      return Fate();
    });
  }
  const auto reports = w.heal_all(looks);
  EXPECT_EQ(calls, std::vector<std::string>(20, "commit"));
  EXPECT_EQ(w.reads(), reads);
  for (unsigned i = 0; i < 20; ++i) {
    ASSERT_TRUE(reports[i].has_value()) << i;
    EXPECT_EQ(reports[i]->outcome, Out::healed);
    EXPECT_EQ(reports[i]->shards[3].state, ShardState::no_record);
    EXPECT_TRUE(reports[i]->shards[3].healed);
    EXPECT_EQ(reports[i]->shards[0].state, ShardState::good);
    EXPECT_EQ(reports[i]->readmissible, 0x3fU);
    EXPECT_EQ(reports[i]->record->size, w.bodies[i].size());
    EXPECT_EQ(reports[i]->bytes_written, reports[i]->bytes_read / 4);
    EXPECT_EQ(w.memory[3]->state(w.key(i))->final_id, reports[i]->version);
  }
  w.expect_whole_on({0, 5});
}

TEST(PlainHeal, SaysWhatTheHealOfOneKeySays) {
  PlainWorld w;
  w.put_many(2);
  w.memory[5]->lose_inline(w.key(1));
  auto looks = w.look({w.ahead(0), w.ahead(1, 0b110111)});
  for (auto& look : looks) look = std::make_shared<KeyLook>(*look);
  const auto reports = w.heal_all(looks);
  ASSERT_TRUE(reports[1].has_value());
  EXPECT_EQ(reports[1]->shards[5].state, ShardState::no_shard);
  EXPECT_TRUE(reports[1]->shards[5].healed && reports[1]->shards[3].healed);
  w.memory[3]->lose_row(w.key(1));
  w.memory[5]->lose_inline(w.key(1));
  const HealReport alone = w.heal_by(1, w.look({w.ahead(1, 0b110111)})[0]);
  EXPECT_EQ(alone.outcome, reports[1]->outcome);
  EXPECT_EQ(alone.version, reports[1]->version);
  EXPECT_EQ(alone.is_final, reports[1]->is_final);
  EXPECT_EQ(alone.readmissible, reports[1]->readmissible);
  EXPECT_EQ(alone.bytes_verified, reports[1]->bytes_verified);
  EXPECT_EQ(alone.bytes_read, reports[1]->bytes_read);
  EXPECT_EQ(alone.bytes_written, reports[1]->bytes_written);
  for (unsigned slot = 0; slot < 6; ++slot) {
    EXPECT_EQ(alone.shards[slot].state, reports[1]->shards[slot].state) << slot;
    EXPECT_EQ(alone.shards[slot].healed, reports[1]->shards[slot].healed) << slot;
    EXPECT_EQ(alone.shards[slot].detail, reports[1]->shards[slot].detail) << slot;
  }
  const auto again = w.heal_all(w.look({w.ahead(0), w.ahead(1, 0b110111)}));
  ASSERT_TRUE(again[1].has_value());
  EXPECT_EQ(again[1]->outcome, Out::healthy);
  w.expect_whole_on({0, 1});
}

TEST(PlainHeal, LeavesAllElseAsItWas) {
  PlainWorld w;
  w.put_many(5);
  w.bodies[0] = w.put(0, 2 * kMiB + 1);  // has files
  w.leave_behind(1, 2);                  // undecided
  const auto row_of_three = w.key(3);    // too few shards come along
  w.pass(seconds(1));
  auto looks = w.look({w.ahead(0), w.ahead(1), w.ahead(2), w.ahead(3, 0b000011), w.ahead(4), w.ahead(5)});
  looks[4].reset();  // nobody has looked
  HealTurn other(w.set->core()->shared, w.set->core()->heal_name(w.key(2)));
  ASSERT_TRUE(other.enter());              // somebody heals it already
  const auto reports = w.heal_all(looks);  // and the last key is absent
  for (const auto& report : reports) EXPECT_FALSE(report.has_value());
  EXPECT_EQ(w.memory[3]->state(row_of_three), nullptr);
  EXPECT_FALSE(may_be_plain(*looks[0]));
  EXPECT_TRUE(may_be_plain(*looks[2]));
  for (const unsigned i : {0U, 1U, 3U, 4U}) {
    EXPECT_EQ(w.heal_by(i, looks[i]).shards.size(), 6U);
    EXPECT_NE(w.memory[3]->state(w.key(i)), nullptr) << i;
  }
  EXPECT_EQ(w.heal_by(5, looks[5]).outcome, Out::absent);
}

TEST(PlainHeal, GoesByNoLookThatIsOldOrOfAnOlderEpoch) {
  for (const bool old : {false, true}) {
    PlainWorld w;
    w.put_many(2);
    const auto looks = w.look_at(2);
    if (old)
      w.pass(seconds(6));
    else
      w.set->raise_epoch(5);
    for (const auto& report : w.heal_all(looks)) EXPECT_FALSE(report.has_value());
  }
}

TEST(PlainHeal, BringsTombstonesToo) {
  PlainWorld w;
  w.put_many(3);
  for (unsigned i = 0; i < 3; ++i) {
    w.erase(i);
    w.pass(seconds(1));
    w.memory[3]->lose_row(w.key(i));
  }
  w.memory[5]->set_online(false);
  const auto partly = w.heal_all(w.look({w.ahead(0)}));
  ASSERT_TRUE(partly[0].has_value());
  EXPECT_EQ(partly[0]->outcome, Out::partly);
  w.memory[5]->set_online(true);
  const auto reports = w.heal_all(w.look_at(3));
  EXPECT_FALSE(reports[0].has_value()) << "nobody lacks it: it may be purged";
  for (unsigned i = 1; i < 3; ++i) {
    ASSERT_TRUE(reports[i].has_value());
    EXPECT_EQ(reports[i]->outcome, Out::absent);
    EXPECT_EQ(reports[i]->record, nullptr);
    EXPECT_EQ(reports[i]->readmissible, 0x3fU);
    EXPECT_EQ(w.memory[3]->state(w.key(i))->final_id, w.memory[0]->state(w.key(i))->final_id);
  }
}

TEST(PlainHeal, TellsWhoIsAwayAndWhoDoesNotTakeIt) {
  PlainWorld w;
  w.put_many(2);
  w.memory[1]->set_online(false);
  const auto looks = w.look_at(2, 0b110101);
  w.faulty[3]->follow(losing("commit"));
  auto reports = w.heal_all(looks);
  for (const auto& report : reports) {
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->outcome, Out::partly);
    EXPECT_EQ(report->shards[1].state, ShardState::offline);
    EXPECT_FALSE(report->shards[3].healed);
    EXPECT_EQ(report->readmissible, 0x35U);
  }
  w.faulty[3]->follow({});
  reports = w.heal_all(w.look_at(2, 0b110101));
  for (const auto& report : reports) {
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->outcome, Out::partly);
    EXPECT_TRUE(report->shards[3].healed);
    EXPECT_EQ(report->readmissible, 0x3dU);
  }
  w.memory[1]->set_online(true);
  w.expect_whole_on({0, 2});
}

}  // namespace
}  // namespace ostraka::erasure
