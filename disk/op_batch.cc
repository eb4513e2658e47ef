#include "disk/op_batch.h"

#include <algorithm>
#include <unordered_set>

#include "base/sabotage.h"
#include "disk/inline_value.h"
#include "disk/limits.h"
#include "disk/row_key.h"
#include "disk/row_rules.h"

namespace ostraka::disk {
namespace {

bool contains(const std::vector<DataId>& ids, const DataId& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool names(const VersionRecord& record, const DataId& data) {
  return std::any_of(record.parts.begin(), record.parts.end(),
                     [&](const PartRecord& part) { return part.data == data; });
}

Result<std::unordered_set<DataId>> files_of(const KeyState& state) {
  std::unordered_set<DataId> out;
  for (const HeldVersion& version : state.versions) {
    if (!version.has_files) continue;
    TRY(record, decode_version_record(as_bytes(*version.record)));
    for (const PartRecord& part : record.parts) out.insert(part.data);
  }
  return out;
}

bool refuses_older_epochs(const DriveOp& op) {
  return op.kind == OpKind::fence || op.kind == OpKind::withdraw ||
         (op.kind == OpKind::commit && op.mode != CommitMode::heal);
}

// A write that fails leaves a fence, and only one that succeeds clears them: clients that try again and again
// on a full drive must not make the row grow for ever. Without the promise the version stays in doubt.
Result<> room_for_fence(const KeyState& state, VersionId id) {
  if (state.fences.size() < kFencesTaken || state.find(id) != nullptr) return {};
  if (std::find(state.fences.begin(), state.fences.end(), id) != state.fences.end()) return {};
  return fail(Errc::overloaded, "too many failed writes of this key since the last that succeeded");
}

}  // namespace

GroupState OpBatch::group_of(std::uint16_t group) const {
  const auto at = groups_.find(group);
  return at == groups_.end() ? p_.groups.state(group) : at->second;
}

void OpBatch::changed(Row& row) {
  if (row.second.dirty) return;
  row.second.dirty = true;
  row_bytes_ += row.first.size() + row.second.bytes + 64;
  dirty_.push_back(&row);
}

Result<OpAnswer> OpBatch::apply(DriveOp& op) {
  switch (op.kind) {
    case OpKind::put_system:
    case OpKind::erase_system:
      return system(op);
    case OpKind::readmit:
      return readmit(op);
    case OpKind::begin_row:
      return begin_row(op);
    case OpKind::correct_usage:
      return correct_usage(op);
    case OpKind::take_orphans:
      return take_orphans(op);
    case OpKind::drop_inline:
      return drop_inline(op);
    case OpKind::move:
      return move(op);
    default:
      return change_key(op);
  }
}

Result<OpAnswer> OpBatch::change_key(DriveOp& op) {
  if (!serves(op.ref.group)) return moved_away();
  GroupState group = group_of(op.ref.group);
  if (refuses_older_epochs(op) && !epoch_is_current(group, op.ref.epoch)) {
    return fail(Errc::stale_epoch,
                "epoch " + std::to_string(op.ref.epoch) + ", the drive knows " + std::to_string(group.epoch));
  }
  if (op.ref.epoch > group.epoch) {
    group.epoch = op.ref.epoch;
    groups_[op.ref.group] = group;
    needs_sync_ = true;
  }
  if (op.kind == OpKind::learn_epoch) return OpAnswer{};

  TRY(row, p_.rows.load(p_.index, op.row));
  KeyState& state = row->second.state;
  group = group_of_key(group, state);
  OpAnswer answer;
  switch (op.kind) {
    case OpKind::commit: {
      TRY(committed, commit(op, *row, group));
      answer = std::move(committed);
      needs_sync_ = true;
      break;
    }
    case OpKind::fence: {
      TRY_VOID(room_for_fence(state, op.id));
      const FenceVerdict verdict = apply_fence(state, op.id);
      answer.has = verdict.has;
      answer.birth = group.refilling ? group.birth : 0;
      if (!verdict.has) changed(*row);
      needs_sync_ = true;
      break;
    }
    case OpKind::withdraw: {
      TRY_VOID(room_for_fence(state, op.id));
      Dropped dropped;
      answer.verdict = apply_withdraw(state, op.id, dropped);
      changed(*row);
      for (const HeldVersion& version : dropped.versions) TRY_VOID(drop(op.ref, op.row, state, version));
      needs_sync_ = true;
      break;
    }
    case OpKind::retire: {
      TRY_VOID(retire(op, *row, answer));
      break;
    }
    case OpKind::readmit_row: {
      const bool refilling = state.refilling;
      answer.verdict = apply_readmit(state, op.birth, now_ms_);
      if (answer.verdict != Verdict::ok || (state.birth != 0 && state.refilling == refilling)) break;
      changed(*row);
      needs_sync_ = true;
      break;
    }
    case OpKind::purge: {
      Dropped dropped;
      answer.verdict = apply_purge(state, op.id, dropped);
      if (answer.verdict == Verdict::ok) changed(*row);
      for (const HeldVersion& version : dropped.versions) TRY_VOID(drop(op.ref, op.row, state, version));
      needs_sync_ = true;
      break;
    }
    default:
      break;
  }
  answer.newest = state.newest();
  answer.final_id = state.final_id;
  return answer;
}

// What comes just after a version that was taken while the clock was ahead makes nothing worse.
bool OpBatch::too_far_ahead(VersionId id, const KeyState& state) const {
  const VersionId known = std::max(state.newest(), state.final_id);
  return id.unix_ms() > std::max(now_ms_ + kMaxClockAheadMs, known.unix_ms() + kMaxStepAheadMs);
}

Result<OpAnswer> OpBatch::commit(DriveOp& op, Row& row, const GroupState& group) {
  KeyState& state = row.second.state;
  OpAnswer answer;
  const bool held = state.find(op.version.id) != nullptr;
  if (held && op.mode != CommitMode::heal) return answer;
  if (op.mode == CommitMode::commit && too_far_ahead(op.version.id, state))
    return fail(Errc::refused, "the version's time is more than a minute ahead of this drive's clock");
  const std::size_t claims = claimed_.size();
  const auto give_back = [&] {
    p_.files.settle_claims(std::span(claimed_).subspan(claims), false);
    claimed_.resize(claims);
  };
  const Result<> claimed = claim_files(op, answer);
  if (!claimed) give_back();
  TRY_VOID(claimed);
  if (!answer.unknown.empty() || answer.verdict != Verdict::ok) {
    give_back();
    return answer;
  }
  const VersionId id = op.version.id;
  const bool has_inline = op.version.has_inline;
  const HeldVersion* before = state.find(id);
  const bool had_inline = before != nullptr && before->has_inline;
  switch (op.mode) {
    case CommitMode::commit:
      answer.verdict = apply_commit(state, group, std::move(op.version));
      break;
    case CommitMode::roll_forward:
      answer.verdict = apply_roll_forward(state, group, std::move(op.version));
      break;
    case CommitMode::heal:
      answer.verdict = apply_heal(state, std::move(op.version));
      break;
  }
  if (answer.verdict != Verdict::ok) {
    give_back();
    return answer;
  }
  changed(row);
  for (auto& [owner, files] : dropped_)  // withdrawn a moment ago, and now taken again
    std::erase_if(files, [&](const DataId& data) { return names(*op.record, data); });
  row_bytes_ += op.record->parts.size() * 32 + 256;
  if (has_inline) {
    put_inline(p_.batch, inline_key(op.row, id), id, op.inline_shard.bytes);
  } else if (had_inline) {
    p_.batch.erase(Column::inline_data, inline_key(op.row, id));
  }
  if (op.retires) {  // as lazily as always: the next heal of the key retires it where this fails
    OpAnswer ignored;
    static_cast<void>(retire(op, row, ignored));
  }
  return answer;
}

// Each file is staged, or owned by a part row, or was found on disk. Otherwise: to be looked up, or refused
// when it is on its way out.
Result<> OpBatch::claim_files(DriveOp& op, OpAnswer& answer) {
  for (const PartRecord& part : op.record->parts) {
    if (part.data.is_nil()) continue;
    switch (p_.files.claim(part.data, contains(op.verified, part.data))) {
      case FileTable::Claim::taken:
        claimed_.push_back(part.data);
        continue;
      case FileTable::Claim::going:
        answer.verdict = Verdict::refused;
        return {};
      case FileTable::Claim::unknown:
        break;
    }
    if (op.version.from_upload) {
      const auto owned = part_row_owns(op.ref, *op.record, part);
      // A part's row that cannot be read goes with the upload: it must not keep the version away.
      if (!owned && !owned.failed_with(Errc::corrupt)) return fail(owned.code(), owned.error().detail);
      if (owned.value_or(false)) continue;
      TRY(missed, missed_part(op.ref, *op.record, part));
      if (missed) continue;
    }
    answer.unknown.push_back(part.data);
  }
  return {};
}

Result<> OpBatch::retire(DriveOp& op, Row& row, OpAnswer& answer) {
  KeyState& state = row.second.state;
  const VersionId final_before = state.final_id;
  const std::size_t fences_before = state.fences.size();
  Dropped dropped;
  answer.verdict = apply_retire(state, op.id, now_ms_, dropped);
  if (answer.verdict != Verdict::ok) return {};
  if (state.final_id != final_before || state.fences.size() != fences_before || !dropped.versions.empty())
    changed(row);
  for (const HeldVersion& version : dropped.versions) TRY_VOID(drop(op.ref, op.row, state, version));
  const HeldVersion* held = state.find(op.id);
  if (held == nullptr || !held->from_upload) return {};
  TRY(record, decode_version_record(as_bytes(*held->record)));
  return end_upload(op.ref, *held, record);
}

Result<> OpBatch::drop(const ObjectRef& ref, const std::string& row_key, const KeyState& left,
                       const HeldVersion& version) {
  if (version.has_inline) p_.batch.erase(Column::inline_data, inline_key(row_key, version.id));
  if (!version.has_files) return {};
  const auto record = decode_version_record(as_bytes(*version.record));
  if (!record) return {};  // its files are left to the scrubber
  // A write that was tried again under a new id names the same files as before.
  TRY(still_named, files_of(left));
  std::vector<DataId> files;
  for (const PartRecord& part : record->parts) {
    if (part.data.is_nil()) continue;
    bool owned = still_named.contains(part.data);
    if (owned) continue;
    Result<bool> by_other = false;
    if (ref.space == KeySpace::part) {
      by_other = object_owns(ref, record->upload_id, part.data);
    } else if (version.from_upload) {
      by_other = part_row_owns(ref, *record, part);
    }
    owned = by_other.value_or(true);  // by a row that cannot be read: left to the scrubber
    if (!by_other && !by_other.failed_with(Errc::corrupt))
      return fail(by_other.code(), by_other.error().detail);
    if (!owned) files.push_back(part.data);
  }
  if (files.empty()) return {};
  dropped_.emplace_back(version.id, std::move(files));
  needs_sync_ = true;
  return {};
}

// The version is final, so its upload is over: that is what its row says from now on. Those of the parts go,
// and with them the files of parts that the version does not name.
Result<> OpBatch::end_upload(const ObjectRef& ref, const HeldVersion& held, const VersionRecord& completed) {
  const std::string upload = row_key(ref.bucket, KeySpace::upload, ref.key, completed.upload_id);
  TRY(upload_row, load_to_drop(upload));
  KeyState& state = upload_row->second.state;
  if (!state.empty() && (state.versions.empty() || !state.versions.front().tombstone)) {
    apply_upload_end(state, held, completed, now_ms_);
    changed(*upload_row);
  }
  const std::string parts = row_key(ref.bucket, KeySpace::part, ref.key, completed.upload_id);
  const std::size_t part_key_bytes = parts.size() + 2;
  for (std::size_t i = 0; i < dirty_.size(); ++i) {  // rows that this batch has made or changed
    Row* row = dirty_[i];
    if (row->first.size() == part_key_bytes && row->first.starts_with(parts))
      TRY_VOID(drop_part_row(*row, completed));
  }
  const auto cursor = p_.index.scan(Column::rows, parts, after_prefix(parts));
  for (cursor->seek(parts); cursor->valid(); cursor->next()) {
    if (cursor->key().size() != part_key_bytes) continue;
    TRY(row, load_to_drop(std::string(cursor->key())));
    TRY_VOID(drop_part_row(*row, completed));
  }
  return cursor->status();
}

Result<OpBatch::Row*> OpBatch::load_to_drop(const std::string& key) {
  auto loaded = p_.rows.load(p_.index, key);
  if (!loaded.failed_with(Errc::corrupt)) return loaded;
  TRY(readable, p_.rows.readable(p_.index, key));
  if (readable) return loaded;
  Row* const row = p_.rows.begin_anew(key);
  changed(*row);
  return row;
}

Result<> OpBatch::drop_part_row(Row& row, const VersionRecord& completed) {
  for (const HeldVersion& version : row.second.state.versions) {
    if (version.has_inline) p_.batch.erase(Column::inline_data, inline_key(row.first, version.id));
    if (!version.has_files) continue;
    TRY(record, decode_version_record(as_bytes(*version.record)));
    std::vector<DataId> files;
    for (const PartRecord& part : record.parts) {
      if (!part.data.is_nil() && !names(completed, part.data)) files.push_back(part.data);
    }
    if (files.empty()) continue;
    dropped_.emplace_back(version.id, std::move(files));
    needs_sync_ = true;
  }
  if (row.second.state.empty()) return {};
  row.second.state = KeyState{};
  changed(row);
  return {};
}

Result<bool> OpBatch::part_row_owns(const ObjectRef& ref, const VersionRecord& record,
                                    const PartRecord& part) {
  const std::string key =
      row_key(ref.bucket, KeySpace::part, ref.key, part_sub(record.upload_id, part.number));
  TRY(state, p_.rows.peek(p_.index, key));
  for (const HeldVersion& version : state.versions) {
    if (!version.has_files) continue;
    TRY(held, decode_version_record(as_bytes(*version.record)));
    if (names(held, part.data)) return true;
  }
  return false;
}

// Each part is durable at its own write quorum, whichever drives that were: one that missed a part while the
// upload is still open here takes the completed version all the same, or an upload whose parts missed
// different drives could never be completed.
Result<bool> OpBatch::missed_part(const ObjectRef& ref, const VersionRecord& record, const PartRecord& part) {
  const std::string part_key =
      row_key(ref.bucket, KeySpace::part, ref.key, part_sub(record.upload_id, part.number));
  const auto part_state = p_.rows.peek(p_.index, part_key);
  if (!part_state && !part_state.failed_with(Errc::corrupt))
    return fail(part_state.code(), part_state.error().detail);
  if (part_state && !part_state->versions.empty()) return false;  // another upload of the part took its place
  const std::string upload_key = row_key(ref.bucket, KeySpace::upload, ref.key, record.upload_id);
  const auto upload_state = p_.rows.peek(p_.index, upload_key);
  if (upload_state.failed_with(Errc::corrupt)) return false;
  if (!upload_state) return fail(upload_state.code(), upload_state.error().detail);
  return !upload_state->versions.empty() && !upload_state->versions.front().tombstone;
}

Result<bool> OpBatch::object_owns(const ObjectRef& part_ref, const std::string& upload_id,
                                  const DataId& data) {
  TRY(state, p_.rows.peek(p_.index, row_key(part_ref.bucket, KeySpace::object, part_ref.key, {})));
  for (const HeldVersion& version : state.versions) {
    if (!version.from_upload) continue;
    TRY(held, decode_version_record(as_bytes(*version.record)));
    if (held.upload_id == upload_id && names(held, data)) return true;
  }
  return false;
}

Result<std::optional<std::string>> OpBatch::system_value(const std::string& name) {
  if (const auto earlier = system_.find(name); earlier != system_.end()) return earlier->second;
  std::string value;
  TRY(found, p_.index.get(Column::system, name, value, Tier::all));
  if (found != Lookup::found) return std::optional<std::string>();
  return std::optional(std::move(value));
}

Result<OpAnswer> OpBatch::system(DriveOp& op) {
  const bool put = op.kind == OpKind::put_system;
  TRY(held, system_value(op.name));
  if (!put && op.only_if_value && held) {
    const auto value = unseal(*held);  // what fails its checksum says nothing that could be lost
    if (value && *value != op.value) {
      OpAnswer answer;
      answer.verdict = Verdict::refused;
      return answer;
    }
  }
  if (!put && !held) return OpAnswer{};
  needs_sync_ = true;
  if (op.name.starts_with(kHealQueue)) {
    heal_entries_ += static_cast<int>(put) - static_cast<int>(held.has_value());
    heal_recorded_ += put && !held ? 1U : 0U;
  }
  if (put) {
    std::string sealed = seal(op.value);
    const std::string_view part = sealed;
    p_.batch.put(Column::system, op.name, std::span<const std::string_view>(&part, 1));
    system_[op.name] = std::move(sealed);
  } else {
    p_.batch.erase(Column::system, op.name);
    system_[op.name] = std::nullopt;
  }
  return OpAnswer{};
}

Result<> OpBatch::write() {
  count_usage();
  for (Row* row : dirty_) {
    row->second.dirty = false;
    if (row->second.state.empty()) {
      p_.batch.erase(Column::rows, row->first);
      row->second.bytes = 0;
      continue;
    }
    const std::string encoded = encode_key_row(row->second.state);
    const std::string_view part = encoded;
    p_.batch.put(Column::rows, row->first, std::span<const std::string_view>(&part, 1));
    p_.rows.grew(encoded.size());
    row->second.bytes = encoded.size();
  }
  note_changes();
  write_raw_rows();
  for (const auto& [group, state] : groups_) {
    const std::string encoded = GroupTable::encode(state);
    const std::string_view part = encoded;
    p_.batch.put(Column::system, GroupTable::record_name(group), std::span<const std::string_view>(&part, 1));
  }
  if (p_.batch.empty()) return {};
  return p_.index.write(p_.batch, needs_sync_ && !sabotaged(Sabotage::nosync) ? Sync::yes : Sync::no);
}

void OpBatch::settle(bool durable) {
  p_.files.settle_claims(claimed_, durable);
  if (!durable) {
    p_.files.give_back(orphans_);
    return;
  }
  for (const auto& [group, state] : groups_) p_.groups.set(group, state);
  for (const auto& [group, entry] : places_) p_.places.set(group, entry);
  if (changes_ > 0) p_.places.set_changes(p_.places.changes() + changes_);
  for (const auto& [bucket, usage] : usage_) p_.usage.set(usage);
  for (auto& [owner, files] : dropped_) p_.files.drop(owner, std::move(files));
}

}  // namespace ostraka::disk
