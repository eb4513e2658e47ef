// The changes of an OpBatch that move groups from one drive to another.
#include <algorithm>
#include <utility>

#include "base/placement_group.h"
#include "disk/op_batch.h"
#include "disk/row_key.h"

namespace ostraka::disk {
namespace {

tl::unexpected<Error> out_of_place(const char* what) {
  return fail(Errc::conflict, std::string("a move of groups: ") + what);
}

bool contains(const std::vector<DataId>& ids, const DataId& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// Whose row it is. False: nobody's.
bool parse_row_key(std::string_view key, ObjectRef& ref) {
  const auto sub = split_row_key(key, ref.key);
  if (!sub) return false;
  ref.bucket = bucket_of(key);
  ref.space = space_of(key);
  ref.sub = *sub;
  return true;
}

}  // namespace

GroupPlaces::Entry OpBatch::place_of(std::uint16_t group) const {
  const auto at = places_.find(group);
  return at == places_.end() ? p_.places.of(group) : at->second;
}

bool OpBatch::serves(std::uint16_t group) const {
  return places_.empty() ? p_.places.serves(group) : answers(place_of(group).place);
}

void OpBatch::put_own(const std::string& name, std::string sealed) {
  const std::string_view part = sealed;
  p_.batch.put(Column::system, name, std::span<const std::string_view>(&part, 1));
  system_[name] = std::move(sealed);
}

void OpBatch::erase_own(const std::string& name) {
  p_.batch.erase(Column::system, name);
  system_[name] = std::nullopt;
}

void OpBatch::set_place(std::uint16_t group, GroupPlace place, const Uuid& move) {
  places_[group] = {place, move};
  leaving_ = leaving_ || place == GroupPlace::leaving;
  put_own(place_record_name(group), encode_place(places_[group]));
}

std::vector<std::uint16_t> OpBatch::groups_of(const Uuid& move) const {
  std::vector<std::uint16_t> out;
  for (unsigned group = 0; group < kPlacementGroups; ++group) {
    const auto g = static_cast<std::uint16_t>(group);
    if (place_of(g).move == move) out.push_back(g);
  }
  return out;
}

// Whoever has a newer ticket has taken over.
Result<MoveRecord> OpBatch::open_move(const MoveTicket& ticket, bool any_life) {
  const std::string name = move_record_name(ticket.move);
  TRY(held, system_value(name));
  if (!held) return fail(Errc::not_found, "no such move of groups, or it has ended");
  TRY(record, decode_move(*held));
  if (!any_life && ticket.life != record.life)
    return fail(Errc::not_found, "this move of groups ended here, and has begun anew");
  if (ticket.term < record.term) return fail(Errc::stale_epoch, "another mover took over");
  if (ticket.term > record.term) {
    record.term = ticket.term;
    put_own(name, encode_move(record));
  }
  return record;
}

Result<OpAnswer> OpBatch::move(DriveOp& op) {
  using Kind = MoveChange::Kind;
  MoveChange& change = *op.move;
  needs_sync_ = true;
  if (change.kind == Kind::begin_leaving) return begin_move(change, GroupPlace::leaving);
  if (change.kind == Kind::begin_arriving) return begin_move(change, GroupPlace::arriving);
  TRY(record, open_move(change.ticket));
  const std::vector<std::uint16_t> groups = groups_of(change.ticket.move);
  switch (change.kind) {
    case Kind::forget_changes:
      for (const std::uint16_t group : groups) TRY_VOID(forget_changes(group, change.through));
      return OpAnswer{};
    case Kind::seal:
      return seal_groups(change, groups);
    case Kind::take_back:
      return take_back(change, groups);
    case Kind::import:
      return import_rows(change, std::move(record));
    case Kind::own:
      return own(change, groups);
    case Kind::disown:
      for (const std::uint16_t group : groups)
        if (place_of(group).place == GroupPlace::here)
          set_place(group, GroupPlace::arriving, change.ticket.move);
      return OpAnswer{};
    case Kind::drop_rows:
      return drop_rows(change);
    case Kind::end_drop:
      return end_drop(change, groups);
    default:
      return OpAnswer{};
  }
}

Result<OpAnswer> OpBatch::begin_move(const MoveChange& change, GroupPlace place) {
  const Uuid& move = change.ticket.move;
  const std::string name = move_record_name(move);
  TRY(held, system_value(name));
  if (held) {
    TRY(record, open_move(change.ticket, true));
    if (record.other != change.other) return out_of_place("what was copied is from another life");
    if (groups_of(move) != change.groups) return out_of_place("it is for other groups");
    return OpAnswer{};
  }
  for (const std::uint16_t group : change.groups) {
    const GroupPlace now = place_of(group).place;
    const GroupState state = group_of(group);
    if (place == GroupPlace::leaving) {
      if (now != GroupPlace::here) return out_of_place("a group is on its way already, or not here");
      if (state.refilling) return fail(Errc::unavailable, "a group that is being refilled cannot leave");
    } else if (now != GroupPlace::away && (now != GroupPlace::here || state.epoch > 0)) {
      return out_of_place("a group is here already, or on its way");
    }
  }
  for (const std::uint16_t group : change.groups) set_place(group, place, move);
  MoveRecord record;
  record.term = change.ticket.term;
  record.life = change.ticket.life;
  record.other = change.other;
  put_own(name, encode_move(record));
  return OpAnswer{};
}

// All of the move's groups in one of two places, or none of it is done.
Result<> OpBatch::check_places(const std::vector<std::uint16_t>& groups, GroupPlace place,
                               GroupPlace or_place) const {
  if (groups.empty()) return out_of_place("another has moved its groups since");
  for (const std::uint16_t group : groups) {
    const GroupPlace now = place_of(group).place;
    if (now != place && now != or_place) return out_of_place("its groups are not where that could be done");
  }
  return {};
}

Result<OpAnswer> OpBatch::seal_groups(const MoveChange& change, const std::vector<std::uint16_t>& groups) {
  TRY_VOID(check_places(groups, GroupPlace::leaving, GroupPlace::left));
  for (const std::uint16_t group : groups) set_place(group, GroupPlace::left, change.ticket.move);
  return OpAnswer{};
}

Result<OpAnswer> OpBatch::take_back(const MoveChange& change, const std::vector<std::uint16_t>& groups) {
  TRY_VOID(check_places(groups, GroupPlace::leaving, GroupPlace::left));
  if (change.epochs.size() != groups.size()) return fail(Errc::invalid_argument, "an epoch for each group");
  for (std::size_t i = 0; i < groups.size(); ++i) {
    GroupState state = group_of(groups[i]);
    state.epoch = std::max(state.epoch, change.epochs[i]);
    groups_[groups[i]] = state;
    set_place(groups[i], GroupPlace::here, Uuid{});
    TRY_VOID(forget_changes(groups[i], ~0ULL));
  }
  erase_own(move_record_name(change.ticket.move));
  return OpAnswer{};
}

Result<OpAnswer> OpBatch::own(const MoveChange& change, const std::vector<std::uint16_t>& groups) {
  TRY_VOID(check_places(groups, GroupPlace::arriving, GroupPlace::here));
  if (change.states.size() != groups.size()) return fail(Errc::invalid_argument, "a state for each group");
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (place_of(groups[i]).place == GroupPlace::here) continue;
    const std::uint64_t known = group_of(groups[i]).epoch;
    groups_[groups[i]] = change.states[i];
    groups_[groups[i]].epoch = std::max(known, change.states[i].epoch);
    set_place(groups[i], GroupPlace::here, change.ticket.move);
  }
  return OpAnswer{};
}

Result<OpAnswer> OpBatch::end_drop(const MoveChange& change, const std::vector<std::uint16_t>& groups) {
  for (const std::uint16_t group : groups) {
    const GroupPlace now = place_of(group).place;
    if (now != GroupPlace::left && now != GroupPlace::arriving) continue;
    set_place(group, GroupPlace::away, change.ticket.move);
    TRY_VOID(forget_changes(group, ~0ULL));
  }
  erase_own(move_record_name(change.ticket.move));
  return OpAnswer{};
}

Result<> OpBatch::forget_changes(std::uint16_t group, std::uint64_t through) {
  const std::string prefix = change_record_prefix(group);
  const auto cursor = p_.index.scan(Column::system, prefix, after_prefix(prefix));
  for (cursor->seek(prefix); cursor->valid(); cursor->next()) {
    TRY(number, decode_change(cursor->value()));
    if (number <= through) p_.batch.erase(Column::system, cursor->key());
  }
  return cursor->status();
}

// With the batch that changes the rows. Rows of a group that is sealed in this batch may have changed before.
void OpBatch::note_changes() {
  if (!leaving_ && !p_.places.any_leaving()) return;
  for (const Row* row : dirty_) {
    ObjectRef ref;
    if (!parse_row_key(row->first, ref)) continue;
    const std::uint16_t group = placement_group(p_.deployment, ref.bucket, ref.key);
    if (p_.places.of(group).place != GroupPlace::leaving && place_of(group).place != GroupPlace::leaving)
      continue;
    const std::string sealed = encode_change(p_.places.changes() + ++changes_);
    const std::string_view part = sealed;
    p_.batch.put(Column::system, change_record_prefix(group) + row->first,
                 std::span<const std::string_view>(&part, 1));
  }
}

// Each file that is named has to be on the drive, in nobody else's hands.
bool OpBatch::claim_moved_files(const MoveChange& change) {
  for (const MoveChange::Row& row : change.rows) {
    for (const DataId& data : row.files) {
      if (!contains(change.verified, data)) continue;  // lost on the other drive, too
      if (p_.files.claim(data, true) != FileTable::Claim::taken) return false;
      claimed_.push_back(data);
    }
  }
  return true;
}

Result<OpAnswer> OpBatch::import_rows(MoveChange& change, MoveRecord record) {
  if (change.step <= record.step) return out_of_place("a page of rows came late");
  for (const MoveChange::Row& row : change.rows) {
    const GroupPlaces::Entry now = place_of(row.group);
    if (now.move != change.ticket.move || now.place != GroupPlace::arriving)
      return out_of_place("a row of a group that is not arriving");
  }
  OpAnswer answer;
  const std::size_t claims = claimed_.size();
  if (!claim_moved_files(change)) {
    p_.files.settle_claims(std::span(claimed_).subspan(claims), false);
    claimed_.resize(claims);
    answer.verdict = Verdict::refused;
    return answer;
  }
  for (MoveChange::Row& row : change.rows) TRY_VOID(replace_row(row));
  for (auto& [owner, files] : dropped_)  // of a row before, and now taken again
    std::erase_if(files, [&](const DataId& data) { return contains(claimed_, data); });
  record.step = change.step;
  record.cursor = std::move(change.cursor);
  put_own(move_record_name(change.ticket.move), encode_move(record));
  return answer;
}

// The row becomes what it is on the other drive, whatever it was here before.
Result<> OpBatch::replace_row(MoveChange::Row& moved) {
  TRY(row, load_to_drop(moved.key));
  ObjectRef ref;
  if (!parse_row_key(moved.key, ref)) return fail(Errc::invalid_argument, "a row key that is none");
  const KeyState before = std::exchange(row->second.state, std::move(moved.state));
  const KeyState& now = row->second.state;
  changed(*row);
  row_bytes_ += moved.raw.size();
  for (const HeldVersion& version : before.versions) {
    if (const HeldVersion* kept = now.find(version.id)) {
      if (version.has_inline && !kept->has_inline)
        p_.batch.erase(Column::inline_data, inline_key(moved.key, version.id));
      continue;
    }
    TRY_VOID(drop(ref, moved.key, now, version));
  }
  for (const MovedRow::Inline& one : moved.inline_values) {
    const std::string_view part = one.value;
    p_.batch.put(Column::inline_data, inline_key(moved.key, one.id),
                 std::span<const std::string_view>(&part, 1));
  }
  raw_rows_.erase(moved.key);
  if (!moved.readable) raw_rows_[moved.key] = std::move(moved.raw);
  return {};
}

// A row that does not decode stays one, wherever it is: what the drive has forgotten is not made up.
void OpBatch::write_raw_rows() {
  for (const auto& [key, raw] : raw_rows_) {
    const std::string_view part = raw;
    p_.batch.put(Column::rows, key, std::span<const std::string_view>(&part, 1));
    p_.rows.forget(key);
  }
}

Result<OpAnswer> OpBatch::drop_rows(const MoveChange& change) {
  for (const MoveChange::Row& doomed : change.rows) {
    const GroupPlaces::Entry now = place_of(doomed.group);
    if (now.move != change.ticket.move || answers(now.place)) return out_of_place("rows that are needed");
  }
  for (const MoveChange::Row& doomed : change.rows) {
    ObjectRef ref;
    if (!parse_row_key(doomed.key, ref)) continue;
    raw_rows_.erase(doomed.key);
    TRY(row, load_to_drop(doomed.key));
    const KeyState before = std::exchange(row->second.state, KeyState{});
    changed(*row);
    for (const HeldVersion& version : before.versions)
      TRY_VOID(drop(ref, doomed.key, row->second.state, version));
  }
  return OpAnswer{};
}

}  // namespace ostraka::disk
