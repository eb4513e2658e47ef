#include "disk/group_table.h"

#include "base/hash.h"
#include "disk/row_key.h"
#include "disk/wire.h"

namespace ostraka::disk {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::string_view kGroupRecords{"\0group/", 7};

}  // namespace

std::string seal(std::string_view value) {
  std::string out;
  out.reserve(value.size() + 8);
  out.append(value);
  put_int(out, xxh3_64(as_bytes(value)));
  return out;
}

Result<std::string_view> unseal(std::string_view sealed) {
  if (sealed.size() < 8) return fail(Errc::corrupt, "system record: too short");
  const std::string_view value = sealed.substr(0, sealed.size() - 8);
  WireReader in(sealed.substr(value.size()));
  if (in.take_int<std::uint64_t>() != xxh3_64(as_bytes(value)))
    return fail(Errc::corrupt, "system record: checksum mismatch");
  return value;
}

std::vector<GroupState> GroupTable::all() const {
  const std::lock_guard lock(mutex_);
  return {groups_.begin(), groups_.end()};
}

std::string GroupTable::record_name(std::uint16_t group) {
  std::string name(kGroupRecords);
  name.push_back(static_cast<char>(group >> 8));
  name.push_back(static_cast<char>(group & 0xff));
  return name;
}

std::string GroupTable::encode(const GroupState& state) {
  std::string out;
  put_int(out, kVersion);
  put_int(out, state.epoch);
  put_int(out, state.birth);
  put_int(out, static_cast<std::uint8_t>(state.refilling));
  return seal(out);
}

Result<> GroupTable::load(MetaIndex& index) {
  std::array<GroupState, kPlacementGroups> groups{};
  const auto cursor = index.scan(Column::system, kGroupRecords, after_prefix(kGroupRecords));
  for (cursor->seek(kGroupRecords); cursor->valid(); cursor->next()) {
    const std::string_view name = cursor->key().substr(kGroupRecords.size());
    TRY(value, unseal(cursor->value()));
    WireReader in(value);
    const auto version = in.take_int<std::uint8_t>();
    if (version > kVersion) return fail(Errc::unsupported_version, "group record of a newer release");
    GroupState state;
    state.epoch = in.take_int<std::uint64_t>();
    state.birth = in.take_int<std::uint64_t>();
    state.refilling = in.take_int<std::uint8_t>() != 0;
    if (name.size() != 2 || !in.ok() || in.left() != 0)
      return fail(Errc::corrupt, "group record does not decode");
    const unsigned group = static_cast<std::uint8_t>(name[0]) * 256U + static_cast<std::uint8_t>(name[1]);
    if (group >= kPlacementGroups) return fail(Errc::corrupt, "group record of no group");
    groups[group] = state;
  }
  TRY_VOID(cursor->status());
  GroupBits refilling;
  for (std::size_t group = 0; group < kPlacementGroups; ++group) refilling[group] = groups[group].refilling;
  const std::lock_guard lock(mutex_);
  groups_ = groups;
  refilling_ = refilling;
  return {};
}

}  // namespace ostraka::disk
