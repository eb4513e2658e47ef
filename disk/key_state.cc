#include "disk/key_state.h"

#include <algorithm>

#include "base/sabotage.h"
#include "disk/limits.h"
#include "disk/row_rules.h"

namespace ostraka::disk {
namespace {

auto position_of(std::vector<HeldVersion>& versions, VersionId id) {
  return std::find_if(versions.begin(), versions.end(), [id](const HeldVersion& v) { return v.id == id; });
}

void hold(KeyState& state, HeldVersion version) {
  const auto at = std::find_if(state.versions.begin(), state.versions.end(),
                               [&](const HeldVersion& v) { return v.id <= version.id; });
  if (at != state.versions.end() && at->id == version.id) {
    *at = std::move(version);
  } else {
    state.versions.insert(at, std::move(version));
  }
}

bool fenced(const KeyState& state, VersionId id) {
  return std::find(state.fences.begin(), state.fences.end(), id) != state.fences.end();
}

void add_fence(KeyState& state, VersionId id) {
  if (!fenced(state, id)) state.fences.push_back(id);
}

// The expected predecessor is the newest thing this drive knows, or newer. An emptied drive cannot know the
// predecessor.
bool follows(const KeyState& state, const GroupState& group, const HeldVersion& version) {
  const bool blind = group.refilling && version.expect != kAnyVersion;
  const bool known = !blind && std::max(state.newest(), state.final_id) <= version.expect;
  return known || sabotaged(Sabotage::expect);
}

}  // namespace

const HeldVersion* KeyState::find(VersionId id) const noexcept {
  for (const HeldVersion& version : versions) {
    if (version.id == id) return &version;
  }
  return nullptr;
}

VersionId KeyState::newest() const noexcept {
  return versions.empty() ? kNoVersion : versions.front().id;
}

GroupState group_of_key(const GroupState& group, const KeyState& state) noexcept {
  return {group.epoch, std::max(group.birth, state.birth), group.refilling || state.refilling};
}

bool epoch_is_current(const GroupState& group, std::uint64_t epoch) noexcept {
  return epoch >= group.epoch || sabotaged(Sabotage::epoch);
}

Verdict apply_commit(KeyState& state, const GroupState& group, HeldVersion version) {
  if (state.find(version.id) != nullptr) return Verdict::ok;
  if (fenced(state, version.id)) return Verdict::refused;
  if (version.id <= std::max(state.newest(), state.final_id)) return Verdict::refused;
  if (!follows(state, group, version)) return Verdict::refused;
  hold(state, std::move(version));
  return Verdict::ok;
}

Verdict apply_roll_forward(KeyState& state, const GroupState& group, HeldVersion version) {
  if (state.find(version.id) != nullptr) return Verdict::ok;
  if (version.id < state.final_id) return Verdict::refused;
  if (!follows(state, group, version) && !sabotaged(Sabotage::split)) return Verdict::refused;
  if (fenced(state, version.id) && !sabotaged(Sabotage::fence)) return Verdict::refused;
  // An emptied drive has in effect fenced all that is older than its birth.
  if (version.epoch < group.birth && !sabotaged(Sabotage::birth)) return Verdict::refused;
  hold(state, std::move(version));
  return Verdict::ok;
}

Verdict apply_heal(KeyState& state, HeldVersion version) {
  if (version.id < state.final_id) return Verdict::newer;
  std::erase(state.fences, version.id);
  hold(state, std::move(version));
  return Verdict::ok;
}

FenceVerdict apply_fence(KeyState& state, VersionId id) {
  if (state.find(id) != nullptr) return {.has = true, .final_id = state.final_id};
  if (id >= state.final_id) add_fence(state, id);
  return {.has = false, .final_id = state.final_id};
}

Verdict apply_withdraw(KeyState& state, VersionId id, Dropped& dropped) {
  if (!state.final_id.is_none() && state.final_id == id) return Verdict::final;
  const auto at = position_of(state.versions, id);
  if (at != state.versions.end()) {
    dropped.versions.push_back(std::move(*at));
    state.versions.erase(at);
  }
  add_fence(state, id);
  return Verdict::ok;
}

Verdict apply_retire(KeyState& state, VersionId id, std::int64_t now_ms, Dropped& dropped) {
  // A retire has no deadline: it may come when all that was ever known of the key has been purged.
  if (state.find(id) == nullptr && !sabotaged(Sabotage::bare)) return Verdict::lacks;
  if (id > state.final_id) {
    state.final_id = id;
    state.final_at_ms = now_ms;
  }
  while (!state.versions.empty() && state.versions.back().id < state.final_id) {  // newest first
    dropped.versions.push_back(std::move(state.versions.back()));
    state.versions.pop_back();
  }
  std::erase_if(state.fences, [&](VersionId fence) { return fence < state.final_id; });
  return Verdict::ok;
}

Verdict apply_purge(KeyState& state, VersionId id, Dropped& dropped) {
  if (state.versions.empty() || state.final_id != id || state.newest() != id) return Verdict::refused;
  if (!state.versions.front().tombstone) return Verdict::refused;
  for (HeldVersion& version : state.versions) dropped.versions.push_back(std::move(version));
  state = KeyState{};
  return Verdict::ok;
}

std::optional<KeyState> begin_row(const GroupState& group, std::uint64_t epoch) {
  if (epoch <= group.epoch) return std::nullopt;
  KeyState state;
  if (sabotaged(Sabotage::oblivion)) return state;
  state.birth = sabotaged(Sabotage::newborn) ? group.epoch : epoch;
  state.refilling = true;
  return state;
}

Verdict apply_readmit(KeyState& state, std::uint64_t birth, std::int64_t now_ms) {
  if (birth == 0 || state.birth != birth) return Verdict::refused;
  if (state.refilling) {
    state.refilling = false;
    state.readmitted_at_ms = now_ms;
  } else if (state.says_nothing() && now_ms - state.readmitted_at_ms >= kBirthKeptMs) {
    state = KeyState{};
  }
  return Verdict::ok;
}

void apply_upload_end(KeyState& upload, const HeldVersion& completed, const VersionRecord& record,
                      std::int64_t now_ms) {
  if (upload.versions.empty()) {
    upload = KeyState{};
    return;
  }
  if (upload.versions.front().tombstone) return;
  VersionRecord end;
  end.id = completed.id;
  end.epoch = completed.epoch;
  end.kind = RecordKind::tombstone;
  end.data_shards = record.data_shards;
  end.parity_shards = record.parity_shards;
  end.write_quorum = completed.write_quorum;
  end.modified_ms = record.modified_ms;
  end.upload_id = record.upload_id;
  HeldVersion stone;
  stone.id = completed.id;
  stone.epoch = completed.epoch;
  stone.tombstone = true;
  stone.data_shards = completed.data_shards;
  stone.write_quorum = completed.write_quorum;
  stone.shard_index = completed.shard_index;
  stone.record = std::make_shared<const std::string>(encode(end));
  upload.versions.clear();
  upload.versions.push_back(std::move(stone));
  upload.final_id = completed.id;
  upload.final_at_ms = now_ms;
  upload.fences.clear();
}

}  // namespace ostraka::disk
