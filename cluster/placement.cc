#include "cluster/placement.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "base/hash.h"

namespace ostraka::cluster {

namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kTableVersion = 1;
constexpr std::size_t kMaxTableDrives = 65536;

std::array<std::uint8_t, 8> big_endian(std::uint64_t value) noexcept {
  std::array<std::uint8_t, 8> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  return bytes;
}

Result<std::vector<DriveId>> parse_drives(const Json& table) {
  const auto found = table.find("drives");
  if (found == table.end() || !found->is_array() || found->empty() || found->size() > kMaxTableDrives)
    return fail(Errc::malformed, "placement: \"drives\" is not a list of drive ids");
  std::vector<DriveId> drives;
  std::set<Uuid> seen;
  for (const Json& entry : *found) {
    DriveId id;
    if (!entry.is_string() || !parse_uuid(entry.get_ref<const std::string&>(), id) || !seen.insert(id).second)
      return fail(Errc::malformed, "placement: a drive id is malformed or listed twice");
    drives.push_back(id);
  }
  return drives;
}

// A group is [epoch, index of the drive of slot 0, of slot 1, ...].
Result<GroupPlacement> parse_group(const Json& entry, const std::vector<DriveId>& drives) {
  const Error bad{Errc::malformed, "placement: a group is not an epoch and distinct drive indices"};
  if (!entry.is_array() || entry.size() < 2 || entry.size() > kMaxSetDrives + 1) return tl::unexpected(bad);
  GroupPlacement group;
  std::set<std::uint64_t> seen;
  for (std::size_t i = 0; i < entry.size(); ++i) {
    if (!entry[i].is_number_unsigned()) return tl::unexpected(bad);
    const auto number = entry[i].get<std::uint64_t>();
    if (i == 0) {
      if (number == 0) return tl::unexpected(bad);
      group.epoch = number;
      continue;
    }
    if (number >= drives.size() || !seen.insert(number).second) return tl::unexpected(bad);
    group.drives.push_back(drives[number]);
  }
  return group;
}

}  // namespace

Placement Placement::make(const DeploymentId& deployment, const std::vector<DriveId>& drives,
                          unsigned set_drives) {
  CHECK(set_drives >= 1 && set_drives <= kMaxSetDrives && set_drives <= drives.size());
  Placement placement;
  placement.deployment_ = deployment;
  placement.groups_.resize(kPlacementGroups);
  for (std::size_t g = 0; g < kPlacementGroups; ++g) {
    for (std::size_t slot = 0; slot < set_drives; ++slot)
      placement.groups_[g].drives.push_back(drives[(g + slot) % drives.size()]);
  }
  return placement;
}

Result<Placement> Placement::from_json(const DeploymentId& deployment, std::string_view json) {
  const Json table = Json::parse(json, nullptr, false);
  if (!table.is_object()) return fail(Errc::malformed, "placement: not a JSON object");
  const auto version = table.find("version");
  if (version == table.end() || !version->is_number_unsigned())
    return fail(Errc::malformed, "placement: no version");
  if (version->get<std::uint64_t>() != kTableVersion)
    return fail(Errc::unsupported_version, "placement: version " + version->dump() + " is not known here");
  TRY(drives, parse_drives(table));
  const auto groups = table.find("groups");
  if (groups == table.end() || !groups->is_array() || groups->size() != kPlacementGroups)
    return fail(Errc::malformed, "placement: the number of groups is wrong");
  Placement placement;
  placement.deployment_ = deployment;
  for (const Json& entry : *groups) {
    TRY(group, parse_group(entry, drives));
    if (!placement.groups_.empty() && group.drives.size() != placement.set_drives())
      return fail(Errc::malformed, "placement: groups of different sizes");
    placement.groups_.push_back(std::move(group));
  }
  return placement;
}

std::string Placement::to_json() const {
  std::vector<DriveId> drives;
  for (const auto& group : groups_) drives.insert(drives.end(), group.drives.begin(), group.drives.end());
  std::sort(drives.begin(), drives.end());
  drives.erase(std::unique(drives.begin(), drives.end()), drives.end());
  Json table;
  table["version"] = kTableVersion;
  for (const DriveId& id : drives) table["drives"].push_back(to_string(id));
  for (const auto& group : groups_) {
    Json entry = Json::array({group.epoch});
    for (const DriveId& id : group.drives)
      entry.push_back(std::lower_bound(drives.begin(), drives.end(), id) - drives.begin());
    table["groups"].push_back(std::move(entry));
  }
  return table.dump();
}

std::vector<std::uint64_t> Placement::raise_epochs(const DriveId& drive) {
  std::vector<std::uint64_t> raised(groups_.size(), 0);
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    GroupPlacement& group = groups_[i];
    if (std::find(group.drives.begin(), group.drives.end(), drive) == group.drives.end()) continue;
    raised[i] = ++group.epoch;
  }
  return raised;
}

void Placement::raise_epoch(std::uint16_t group, std::uint64_t known) {
  std::uint64_t& epoch = groups_[group].epoch;
  epoch = std::max(epoch, known) + 1;
}

std::uint16_t Placement::group_of(BucketId bucket, std::string_view key) const noexcept {
  std::array<char, 8 + kMaxKeyBytes> message;
  const auto prefix = big_endian(static_cast<std::uint64_t>(bucket));
  // Longer keys than kMaxKeyBytes never reach the object layer; hashing their beginning keeps this total.
  const std::size_t bytes = std::min(key.size(), kMaxKeyBytes);
  std::memcpy(message.data(), prefix.data(), prefix.size());
  if (bytes > 0) std::memcpy(message.data() + prefix.size(), key.data(), bytes);
  const std::string_view text(message.data(), prefix.size() + bytes);
  return static_cast<std::uint16_t>(siphash24(deployment_.bytes, text) % kPlacementGroups);
}

}  // namespace ostraka::cluster
