#include "disk/key_state.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "disk/limits.h"

namespace ostraka::disk {
namespace {

VersionId id_of(std::uint64_t n) {
  return n == 0 ? kNoVersion : VersionId{n, 7};
}

HeldVersion version(std::uint64_t n, VersionId expect = kAnyVersion, std::uint64_t epoch = 0) {
  HeldVersion held;
  held.id = id_of(n);
  held.expect = expect;
  held.epoch = epoch;
  held.record = std::make_shared<const std::string>("record " + std::to_string(n));
  return held;
}

// The vectors of the protocol model: make_key_state_vectors.py wrote them from the model's own class Drive.
class Replay {
 public:
  void line(const std::string& text) {
    std::istringstream in(text);
    std::string call;
    in >> call;
    if (call == "drive") {
      int refilling = 0;
      in >> group_.birth >> refilling;
      group_.refilling = refilling == 1;
      state_ = KeyState{};
      return;
    }
    in_ = &in;
    const std::size_t bar = text.find('|');
    std::istringstream after(text.substr(bar + 1));
    std::string held, fences;
    std::uint64_t final_id = 0;
    std::int64_t final_at = 0;
    after >> now_ >> held >> fences >> final_id >> final_at;
    const bool was_empty = state_.empty();
    const std::string answer = apply(call);
    std::string equals, expected;
    in >> equals >> expected;
    if (call == "purge") {
      EXPECT_EQ(answer == "ok", !was_empty && held == "." && fences == "." && final_id == 0) << text;
    } else {
      EXPECT_EQ(answer, expected) << text;
    }
    EXPECT_EQ(held_text(), held) << text;
    EXPECT_EQ(fences_text(), fences) << text;
    EXPECT_EQ(state_.final_id, id_of(final_id)) << text;
    // A purge drops the whole row; the model keeps the time at which it learnt of it, which nothing reads any
    // more.
    if (!state_.final_id.is_none()) {
      EXPECT_EQ(state_.final_at_ms, final_at) << text;
    }
    const auto again = decode_key_row(encode_key_row(state_));
    ASSERT_TRUE(again) << text;
    EXPECT_EQ(encode_key_row(*again), encode_key_row(state_)) << text;
  }

 private:
  std::string apply(const std::string& call) {
    Dropped dropped;
    std::string text;
    *in_ >> text;
    if (call == "commit") return name(apply_commit(state_, group_, parse(text)));
    if (call == "roll") return name(apply_roll_forward(state_, group_, parse(text)));
    if (call == "heal") return name(apply_heal(state_, parse(text)));
    const VersionId id = id_of(std::stoull(text));
    if (call == "fence") return apply_fence(state_, id).has ? "has" : "fenced";
    if (call == "withdraw") return name(apply_withdraw(state_, id, dropped));
    if (call == "purge") return name(apply_purge(state_, id, dropped));
    if (call == "retire") return name(apply_retire(state_, id, now_, dropped));
    if (std::stoull(text) == group_.birth) group_.refilling = false;  // readmit
    return "ok";
  }
  static std::string name(Verdict verdict) {
    switch (verdict) {
      case Verdict::ok:
        return "ok";
      case Verdict::refused:
        return "refused";
      case Verdict::newer:
        return "newer";
      case Verdict::lacks:
        return "lacks";
      case Verdict::final:
        return "final";
    }
    return "?";
  }
  static HeldVersion parse(const std::string& text) {
    std::istringstream in(text);
    std::string n, expect, epoch;
    std::getline(in, n, ':');
    std::getline(in, expect, ':');
    std::getline(in, epoch, ':');
    const VersionId predecessor = expect == "*"   ? kAnyVersion
                                  : expect == "-" ? kNoVersion
                                                  : id_of(std::stoull(expect));
    HeldVersion held = version(std::stoull(n), predecessor, std::stoull(epoch));
    held.tombstone = std::stoull(n) % 4 == 0;
    return held;
  }
  std::string held_text() const {
    std::string out;
    for (const HeldVersion& held : state_.versions) {
      const std::string expect = held.expect == kAnyVersion  ? "*"
                                 : held.expect == kNoVersion ? "-"
                                                             : std::to_string(held.expect.time);
      out += (out.empty() ? "" : ",") + std::to_string(held.id.time) + ":" + expect + ":" +
             std::to_string(held.epoch);
    }
    return out.empty() ? "." : out;
  }
  std::string fences_text() const {
    std::vector<std::uint64_t> times;
    for (const VersionId fence : state_.fences) times.push_back(fence.time);
    std::sort(times.begin(), times.end());
    std::string out;
    for (const std::uint64_t time : times) out += (out.empty() ? "" : ",") + std::to_string(time);
    return out.empty() ? "." : out;
  }
  KeyState state_;
  GroupState group_;
  std::int64_t now_ = 0;
  std::istringstream* in_ = nullptr;
};

TEST(KeyState, AnswersLikeTheProtocolModel) {
  std::ifstream file(OSTRAKA_SOURCE_DIR "/tests/golden/disk/key_state_vectors.txt");
  ASSERT_TRUE(file);
  Replay replay;
  std::string line;
  int lines = 0;
  while (std::getline(file, line)) {
    replay.line(line);
    ++lines;
    ASSERT_FALSE(testing::Test::HasFatalFailure());
  }
  EXPECT_GT(lines, 1000);
}

TEST(KeyState, RetireGivesBackWhatItDropped) {
  KeyState state;
  const GroupState group;
  ASSERT_EQ(apply_commit(state, group, version(1)), Verdict::ok);
  ASSERT_EQ(apply_commit(state, group, version(2)), Verdict::ok);
  Dropped dropped;
  ASSERT_EQ(apply_retire(state, id_of(2), 99, dropped), Verdict::ok);
  ASSERT_EQ(dropped.versions.size(), 1U);
  EXPECT_EQ(*dropped.versions[0].record, "record 1");
  EXPECT_EQ(state.final_at_ms, 99);
  dropped.versions.clear();
  ASSERT_EQ(apply_retire(state, id_of(2), 100, dropped), Verdict::ok);
  EXPECT_TRUE(dropped.versions.empty());
  EXPECT_EQ(state.final_at_ms, 99) << "the first time it was learnt counts";
}

TEST(KeyState, WithdrawNeverTouchesTheFinalVersion) {
  KeyState state;
  ASSERT_EQ(apply_commit(state, {}, version(1)), Verdict::ok);
  Dropped dropped;
  ASSERT_EQ(apply_retire(state, id_of(1), 1, dropped), Verdict::ok);
  EXPECT_EQ(apply_withdraw(state, id_of(1), dropped), Verdict::final);
  EXPECT_NE(state.find(id_of(1)), nullptr);
}

TEST(KeyState, PurgeDropsOnlyAFinalNewestTombstone) {
  KeyState state;
  HeldVersion stone = version(4);
  stone.tombstone = true;
  ASSERT_EQ(apply_commit(state, {}, version(1)), Verdict::ok);
  Dropped dropped;
  ASSERT_EQ(apply_retire(state, id_of(1), 1, dropped), Verdict::ok);
  EXPECT_EQ(apply_purge(state, id_of(1), dropped), Verdict::refused) << "not a tombstone";
  ASSERT_EQ(apply_commit(state, {}, stone), Verdict::ok);
  EXPECT_EQ(apply_purge(state, id_of(4), dropped), Verdict::refused) << "not final";
  ASSERT_EQ(apply_retire(state, id_of(4), 2, dropped), Verdict::ok);
  dropped.versions.clear();
  EXPECT_EQ(apply_purge(state, id_of(4), dropped), Verdict::ok);
  EXPECT_TRUE(state.empty());
  EXPECT_EQ(dropped.versions.size(), 1U);
}

TEST(KeyState, ARetireThatComesAfterThePurgeLeavesNothingBehind) {
  KeyState state;
  HeldVersion stone = version(4);
  stone.tombstone = true;
  Dropped dropped;
  ASSERT_EQ(apply_commit(state, {}, version(1)), Verdict::ok);
  ASSERT_EQ(apply_commit(state, {}, stone), Verdict::ok);
  ASSERT_EQ(apply_retire(state, id_of(4), 2, dropped), Verdict::ok);
  ASSERT_EQ(apply_purge(state, id_of(4), dropped), Verdict::ok);
  EXPECT_EQ(apply_retire(state, id_of(1), 3, dropped), Verdict::lacks) << "of the value";
  EXPECT_EQ(apply_retire(state, id_of(4), 3, dropped), Verdict::lacks) << "of the tombstone";
  EXPECT_TRUE(state.empty());
}

TEST(KeyState, ARowBegunAnewIsReadmittedAndGoesInTime) {
  KeyState state;
  state.birth = 7;
  state.refilling = true;
  EXPECT_FALSE(state.empty());
  const GroupState group = group_of_key({9, 3, false}, state);
  EXPECT_EQ(group.epoch, 9U);
  EXPECT_EQ(group.birth, 7U);
  EXPECT_TRUE(group.refilling);
  EXPECT_EQ(group_of_key({9, 8, false}, state).birth, 8U);
  EXPECT_FALSE(group_of_key({9, 8, false}, KeyState()).refilling);

  KeyState plain;
  EXPECT_EQ(apply_readmit(plain, 0, 1000), Verdict::refused);
  EXPECT_EQ(apply_readmit(state, 6, 1000), Verdict::refused);
  EXPECT_TRUE(state.refilling);
  EXPECT_EQ(apply_readmit(state, 7, 1000), Verdict::ok);
  EXPECT_FALSE(state.refilling);
  KeyState fenced = state;
  apply_fence(fenced, id_of(3));
  EXPECT_EQ(apply_readmit(state, 7, 999 + kBirthKeptMs), Verdict::ok);
  EXPECT_EQ(state.birth, 7U) << "calls from before may be under way";
  EXPECT_EQ(apply_readmit(state, 7, 1000 + kBirthKeptMs), Verdict::ok);
  EXPECT_TRUE(state.empty());
  EXPECT_EQ(apply_readmit(fenced, 7, 1000 + kBirthKeptMs), Verdict::ok);
  EXPECT_EQ(fenced.birth, 7U) << "it says something";
}

KeyState rich_state() {
  KeyState state;
  state.final_id = id_of(5);
  state.final_at_ms = 1'700'000'000'123;
  state.fences = {id_of(9), id_of(12)};
  HeldVersion newest = version(11, id_of(5), 1ULL << 40);
  newest.data_shards = 4;
  newest.write_quorum = 5;
  newest.shard_index = 3;
  newest.has_files = newest.from_upload = true;
  HeldVersion old = version(5, kNoVersion, 0);
  old.has_inline = true;
  HeldVersion stone = version(2);
  stone.tombstone = true;
  state.versions = {newest, old, stone};
  return state;
}

TEST(KeyRow, KeepsEveryField) {
  const KeyState state = rich_state();
  const auto back = decode_key_row(encode_key_row(state));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->final_id, state.final_id);
  EXPECT_EQ(back->final_at_ms, state.final_at_ms);
  EXPECT_EQ(back->fences, state.fences);
  ASSERT_EQ(back->versions.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const HeldVersion& a = state.versions[i];
    const HeldVersion& b = back->versions[i];
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.expect, b.expect);
    EXPECT_EQ(a.epoch, b.epoch);
    EXPECT_EQ(a.tombstone, b.tombstone);
    EXPECT_EQ(a.data_shards, b.data_shards);
    EXPECT_EQ(a.write_quorum, b.write_quorum);
    EXPECT_EQ(a.shard_index, b.shard_index);
    EXPECT_EQ(a.has_inline, b.has_inline);
    EXPECT_EQ(a.has_files, b.has_files);
    EXPECT_EQ(a.from_upload, b.from_upload);
    EXPECT_EQ(*a.record, *b.record);
  }
}

TEST(KeyRow, ABirthMakesItVersion2) {
  KeyState state = rich_state();
  EXPECT_EQ(encode_key_row(state)[0], 1);
  state.birth = 300;
  state.refilling = true;
  state.readmitted_at_ms = 1'700'000'000'456;
  const std::string row = encode_key_row(state);
  EXPECT_EQ(row[0], 2);
  const auto back = decode_key_row(row);
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(back->birth, 300U);
  EXPECT_TRUE(back->refilling);
  EXPECT_EQ(back->readmitted_at_ms, 1'700'000'000'456);
  EXPECT_EQ(back->fences, state.fences);
  EXPECT_EQ(back->versions.size(), 3U);
}

void expect_every_damage_is_corrupt(const std::string& row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = row;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      EXPECT_TRUE(decode_key_row(bad).failed_with(Errc::corrupt)) << "byte " << i << " bit " << bit;
    }
    EXPECT_TRUE(decode_key_row(row.substr(0, i)).failed_with(Errc::corrupt)) << "cut at " << i;
  }
  EXPECT_TRUE(decode_key_row(row + '\0').failed_with(Errc::corrupt));
}

TEST(KeyRow, EveryFlippedBitAndEveryCutIsCorrupt) {
  KeyState state = rich_state();
  expect_every_damage_is_corrupt(encode_key_row(state));
  state.birth = 300;
  expect_every_damage_is_corrupt(encode_key_row(state));
}

}  // namespace
}  // namespace ostraka::disk
