#include "disk/group_places.h"

#include <algorithm>

#include "disk/group_table.h"
#include "disk/row_key.h"
#include "disk/wire.h"

namespace ostraka::disk {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::string_view kPlaceRecords{"\0place/", 7};
constexpr std::string_view kMoveRecords{"\0move/", 6};
constexpr std::string_view kChangeRecords{"\0changed/", 9};

void put_group(std::string& out, std::uint16_t group) {
  out.push_back(static_cast<char>(group >> 8));
  out.push_back(static_cast<char>(group & 0xff));
}

Result<std::uint16_t> group_in(std::string_view name) {
  if (name.size() < 2) return fail(Errc::corrupt, "record of no group");
  const unsigned group = static_cast<std::uint8_t>(name[0]) * 256U + static_cast<std::uint8_t>(name[1]);
  if (group >= kPlacementGroups) return fail(Errc::corrupt, "record of no group");
  return static_cast<std::uint16_t>(group);
}

Result<> check_version(WireReader& in) {
  if (in.take_int<std::uint8_t>() > kVersion)
    return fail(Errc::unsupported_version, "record of a move, of a newer release");
  return {};
}

Result<GroupPlaces::Entry> decode_place(std::string_view sealed) {
  TRY(value, unseal(sealed));
  WireReader in(value);
  TRY_VOID(check_version(in));
  GroupPlaces::Entry entry;
  const auto place = in.take_int<std::uint8_t>();
  const std::string_view move = in.take(entry.move.bytes.size());
  if (!in.ok() || in.left() != 0 || place > static_cast<std::uint8_t>(GroupPlace::arriving))
    return fail(Errc::corrupt, "record of a group's place does not decode");
  entry.place = static_cast<GroupPlace>(place);
  std::copy(move.begin(), move.end(), entry.move.bytes.begin());
  return entry;
}

}  // namespace

tl::unexpected<Error> moved_away() {
  return fail(Errc::unavailable, "the placement group has moved to another drive, or is on its way here");
}

GroupPlaces::Entry GroupPlaces::of(std::uint16_t group) const {
  const std::lock_guard lock(mutex_);
  return {places_[group].load(std::memory_order_relaxed), moves_[group]};
}

void GroupPlaces::set(std::uint16_t group, const Entry& entry) {
  const std::lock_guard lock(mutex_);
  const GroupPlace before = places_[group].load(std::memory_order_relaxed);
  // Counted before: whoever asks must not find none when there is one.
  if (entry.place == GroupPlace::leaving) leaving_.fetch_add(1, std::memory_order_acq_rel);
  if (!answers(entry.place)) unserved_.fetch_add(1, std::memory_order_acq_rel);
  places_[group].store(entry.place, std::memory_order_release);
  moves_[group] = entry.move;
  if (before == GroupPlace::leaving) leaving_.fetch_sub(1, std::memory_order_acq_rel);
  if (!answers(before)) unserved_.fetch_sub(1, std::memory_order_acq_rel);
}

GroupBits GroupPlaces::unserved() const noexcept {
  GroupBits out;
  if (unserved_.load(std::memory_order_acquire) == 0) return out;
  for (unsigned group = 0; group < kPlacementGroups; ++group)
    out[group] = !serves(static_cast<std::uint16_t>(group));
  return out;
}

GroupBits GroupPlaces::moved_by(const Uuid& move, GroupPlace place, GroupPlace or_place) const {
  GroupBits out;
  const std::lock_guard lock(mutex_);
  for (std::size_t group = 0; group < kPlacementGroups; ++group) {
    const GroupPlace now = places_[group].load(std::memory_order_relaxed);
    out[group] = moves_[group] == move && (now == place || now == or_place);
  }
  return out;
}

Result<> GroupPlaces::load(MetaIndex& index) {
  std::array<Entry, kPlacementGroups> entries{};
  const auto cursor = index.scan(Column::system, kPlaceRecords, after_prefix(kPlaceRecords));
  for (cursor->seek(kPlaceRecords); cursor->valid(); cursor->next()) {
    const std::string_view name = cursor->key().substr(kPlaceRecords.size());
    TRY(group, group_in(name));
    if (name.size() != 2) return fail(Errc::corrupt, "record of no group");
    TRY(entry, decode_place(cursor->value()));
    entries[group] = entry;
  }
  TRY_VOID(cursor->status());
  std::uint64_t newest = 0;
  const auto changes = index.scan(Column::system, kChangeRecords, after_prefix(kChangeRecords));
  for (changes->seek(kChangeRecords); changes->valid(); changes->next()) {
    TRY(number, decode_change(changes->value()));
    newest = std::max(newest, number);
  }
  TRY_VOID(changes->status());
  for (std::size_t group = 0; group < kPlacementGroups; ++group)
    set(static_cast<std::uint16_t>(group), entries[group]);
  set_changes(newest);
  return {};
}

std::string place_record_name(std::uint16_t group) {
  std::string name(kPlaceRecords);
  put_group(name, group);
  return name;
}

std::string encode_place(const GroupPlaces::Entry& entry) {
  std::string out;
  put_int(out, kVersion);
  put_int(out, static_cast<std::uint8_t>(entry.place));
  out.append(entry.move.bytes.begin(), entry.move.bytes.end());
  return seal(out);
}

std::string move_record_name(const Uuid& move) {
  std::string name(kMoveRecords);
  name.append(move.bytes.begin(), move.bytes.end());
  return name;
}

std::string encode_move(const MoveRecord& record) {
  std::string out;
  put_int(out, kVersion);
  put_int(out, record.term);
  put_int(out, record.life);
  put_int(out, record.other);
  put_int(out, record.step);
  out.append(record.cursor);
  return seal(out);
}

Result<MoveRecord> decode_move(std::string_view sealed) {
  TRY(value, unseal(sealed));
  WireReader in(value);
  TRY_VOID(check_version(in));
  MoveRecord record;
  record.term = in.take_int<std::uint64_t>();
  record.life = in.take_int<std::uint64_t>();
  record.other = in.take_int<std::uint64_t>();
  record.step = in.take_int<std::uint64_t>();
  if (!in.ok()) return fail(Errc::corrupt, "record of a move does not decode");
  record.cursor = in.take(in.left());
  return record;
}

std::string change_record_prefix(std::uint16_t group) {
  std::string name(kChangeRecords);
  put_group(name, group);
  return name;
}

std::string encode_change(std::uint64_t number) {
  std::string out;
  put_int(out, number);
  return seal(out);
}

Result<std::uint64_t> decode_change(std::string_view sealed) {
  TRY(value, unseal(sealed));
  WireReader in(value);
  const auto number = in.take_int<std::uint64_t>();
  if (!in.ok() || in.left() != 0) return fail(Errc::corrupt, "record of a change does not decode");
  return number;
}

}  // namespace ostraka::disk
