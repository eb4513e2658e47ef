#include "cluster/placement.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "base/hash.h"

namespace ostraka::cluster {

namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kTableVersion = 1;
constexpr std::size_t kMaxTableDrives = 65536;

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

// Deals out groups one after the other, each to those who are furthest behind their share.
class GroupDealer {
 public:
  GroupDealer(Spread spread, unsigned set_drives)
      : spread_(std::move(spread)),
        set_drives_(set_drives),
        nodes_(spread_.node_shares.size()),
        node_got_(nodes_.size(), 0),
        got_(spread_.shares.size(), 0),
        first_(got_.size(), 0) {
    for (std::size_t i = 0; i < spread_.node_of.size(); ++i) nodes_[spread_.node_of[i]].push_back(i);
  }

  // The drives of group g by slot. Groups in their order.
  std::vector<std::size_t> next(std::size_t g) {
    const double dealt = static_cast<double>(g + 1);
    const std::vector<unsigned> quotas = node_quotas(g, dealt);
    std::vector<std::size_t> chosen;
    std::vector<Claim> claims;
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      claims.clear();
      for (const std::size_t i : nodes_[node])
        claims.emplace_back(spread_.shares[i] * dealt - got_[i], lot(g, i), i);
      std::partial_sort(claims.begin(), claims.begin() + quotas[node], claims.end());
      for (unsigned i = 0; i < quotas[node]; ++i) chosen.push_back(claims[i].who);
    }
    for (const std::size_t i : chosen) ++got_[i];
    std::sort(chosen.begin(), chosen.end());
    // Data shards are read more, so every drive is the first as often as its share says.
    claims.clear();
    for (std::size_t at = 0; at < chosen.size(); ++at)
      claims.emplace_back(spread_.shares[chosen[at]] * dealt / set_drives_ - first_[chosen[at]], at, at);
    const std::size_t first = std::min_element(claims.begin(), claims.end())->who;
    ++first_[chosen[first]];
    std::rotate(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(first), chosen.end());
    return chosen;
  }

 private:
  static constexpr double kNothing = 1e-6;  // of a share: rounding
  struct Claim {
    Claim(double groups, std::uint64_t drawn, std::size_t of)
        : behind(std::llround(groups / kNothing)), lot(drawn), who(of) {}
    std::int64_t behind;
    std::uint64_t lot;
    std::size_t who;
    bool operator<(const Claim& other) const {
      return behind != other.behind ? behind > other.behind : lot < other.lot;
    }
  };

  // Among equals chance decides, and decides again alike after as many groups as there are drives: drives of
  // one size then are dealt no more sets than that, and a listing has to merge all sets.
  std::uint64_t lot(std::size_t g, std::size_t who) const {
    const std::array<std::uint64_t, 2> both{g % got_.size(), who};
    return xxh3_64(ByteSpan(reinterpret_cast<const std::uint8_t*>(both.data()), sizeof both));
  }

  // How many drives of each node: its share, rounded down or up.
  std::vector<unsigned> node_quotas(std::size_t g, double dealt) {
    std::vector<unsigned> quotas(nodes_.size());
    std::vector<Claim> claims;
    unsigned rest = set_drives_;
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      const double share = spread_.node_shares[node];
      quotas[node] = static_cast<unsigned>(share + kNothing);
      rest -= quotas[node];
      const bool may_have_more = share - quotas[node] > kNothing;
      if (may_have_more)
        claims.emplace_back(share * dealt - node_got_[node] - quotas[node], lot(g, node), node);
    }
    CHECK(rest <= claims.size());
    std::partial_sort(claims.begin(), claims.begin() + rest, claims.end());
    for (unsigned i = 0; i < rest; ++i) ++quotas[claims[i].who];
    for (std::size_t node = 0; node < nodes_.size(); ++node) node_got_[node] += quotas[node];
    return quotas;
  }

  const Spread spread_;
  const unsigned set_drives_;
  std::vector<std::vector<std::size_t>> nodes_;  // their drives
  std::vector<double> node_got_, got_, first_;   // shards dealt so far, and in the first slot
};

}  // namespace

Placement Placement::make(const DeploymentId& deployment, const std::vector<PlacementDrive>& drives,
                          unsigned set_drives, unsigned parity) {
  CHECK(set_drives >= 1 && set_drives <= kMaxSetDrives && set_drives <= drives.size());
  Placement placement;
  placement.deployment_ = deployment;
  GroupDealer dealer(spread_over(drives, set_drives, parity), set_drives);
  for (std::size_t g = 0; g < kPlacementGroups; ++g) {
    GroupPlacement& group = placement.groups_.emplace_back();
    for (const std::size_t drive : dealer.next(g)) group.drives.push_back(drives[drive].id);
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

bool Placement::move_slot(std::uint16_t group, unsigned slot, const DriveId& from, const DriveId& to) {
  std::vector<DriveId>& drives = groups_[group].drives;
  if (slot >= drives.size() || drives[slot] != from) return false;
  if (std::find(drives.begin(), drives.end(), to) != drives.end()) return false;
  drives[slot] = to;
  return true;
}

}  // namespace ostraka::cluster
