#include "cluster/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/limits.h"
#include "disk/drive_format.h"
#include "net/spiffe.h"

namespace ostraka::cluster {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kVersion = 2;  // 1: as long as it is as it was founded
constexpr std::size_t kMaxFolderBytes = 4096;

bool is_folder(std::string_view text) {
  if (text.size() < 2 || text.size() > kMaxFolderBytes || text.front() != '/' || text.back() == '/')
    return false;
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f || c == '?' || c == '#';
  });
}

bool is_sound(const DriveUrl& url) {
  return net::is_node_name(url.node) && url.port != 0 && is_folder(url.folder);
}

SlotState parse_state(const Json& drive) {
  const auto at = drive.find("state");
  if (at == drive.end()) return SlotState::in_service;
  for (const SlotState state : {SlotState::draining, SlotState::removed})
    if (at->get<std::string>() == to_string(state)) return state;
  throw std::runtime_error("a drive's state");
}

bool parse_added(const Json& drive) {
  const auto at = drive.find("added");
  return at != drive.end() && at->get<bool>();
}

bool clash(const Topology::Slot& a, const Topology::Slot& b) {
  const bool both_used = a.state != SlotState::removed && b.state != SlotState::removed;
  return a.id == b.id || (both_used && a.url == b.url);
}

bool is_as_founded(const Topology& topology) {
  return std::all_of(topology.slots.begin(), topology.slots.end(), [](const Topology::Slot& slot) {
    return slot.state == SlotState::in_service && !slot.added;
  });
}

Topology parse(const Json& root) {
  const auto number = [](const Json& value, std::uint64_t max) {
    const auto n = value.get<std::uint64_t>();
    if (!value.is_number_unsigned() || n > max) throw std::runtime_error("a number is too large");
    return n;
  };
  Topology out;
  if (!parse_uuid(root.at("deployment").get<std::string>(), out.deployment))
    throw std::runtime_error("deployment is no id");
  out.data_shards = static_cast<unsigned>(number(root.at("data_shards"), kMaxDataShards));
  out.parity_shards = static_cast<unsigned>(number(root.at("parity_shards"), kMaxParityShards));
  if (out.data_shards == 0 || out.parity_shards > out.data_shards) throw std::runtime_error("geometry");
  out.created_ms = static_cast<std::int64_t>(number(root.at("created_ms"), INT64_MAX));
  for (const Json& drive : root.at("drives")) {
    Topology::Slot slot;
    slot.url.node = drive.at("node").get<std::string>();
    slot.url.port = static_cast<std::uint16_t>(number(drive.at("port"), UINT16_MAX));
    slot.url.folder = drive.at("folder").get<std::string>();
    if (!is_sound(slot.url)) throw std::runtime_error("a drive's place");
    if (!parse_uuid(drive.at("id").get<std::string>(), slot.id))
      throw std::runtime_error("a drive's id is none");
    slot.state = parse_state(drive);
    slot.added = parse_added(drive);
    for (const Topology::Slot& other : out.slots)
      if (clash(slot, other)) throw std::runtime_error("a drive twice");
    out.slots.push_back(std::move(slot));
  }
  if (out.slots.size() < out.data_shards + out.parity_shards || out.slots.size() > disk::kMaxDrives)
    throw std::runtime_error("number of drives");
  return out;
}

}  // namespace

std::string_view to_string(SlotState state) noexcept {
  switch (state) {
    case SlotState::in_service:
      return "in_service";
    case SlotState::draining:
      return "draining";
    case SlotState::removed:
      return "removed";
  }
  return "";
}

std::string to_string(const DriveUrl& url) {
  return fmt::format("http://{}:{}{}", url.node, url.port, url.folder);
}

Result<DriveUrl> parse_drive_url(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail(Errc::invalid_argument,
                fmt::format("drive {}: {}; name a drive of a node as http://NODE:PORT/FOLDER, for example "
                            "http://node{{1...4}}:9000/data/d{{1...2}}",
                            text, why));
  };
  std::string_view rest = text;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else {
    return bad("it begins with neither http:// nor https://");
  }
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return bad("it names no folder");
  const std::string_view authority = rest.substr(0, slash);
  const std::size_t colon = authority.find(':');
  if (colon == std::string_view::npos) return bad("it names no port");
  DriveUrl url;
  url.node = authority.substr(0, colon);
  const auto port = parse_u64(authority.substr(colon + 1));
  if (!port || *port == 0 || *port > UINT16_MAX) return bad("its port is none");
  url.port = static_cast<std::uint16_t>(*port);
  url.folder = rest.substr(slash);
  if (!net::is_node_name(url.node)) return bad("its node is no host name or IPv4 address");
  if (!is_folder(url.folder)) return bad("its folder is none");
  return url;
}

std::vector<DriveId> Topology::ids() const {
  std::vector<DriveId> out;
  for (const Slot& slot : slots) out.push_back(slot.id);
  return out;
}

std::vector<NodeName> Topology::nodes() const {
  std::vector<NodeName> out;
  for (const Slot& slot : slots)
    if (slot.state != SlotState::removed && std::find(out.begin(), out.end(), slot.url.node) == out.end())
      out.push_back(slot.url.node);
  return out;
}

std::optional<std::size_t> Topology::slot_at(const DriveUrl& url) const {
  for (std::size_t i = 0; i < slots.size(); ++i)
    if (slots[i].state != SlotState::removed && slots[i].url == url) return i;
  return std::nullopt;
}

Topology make_topology(Random& random, std::int64_t now_ms, const std::vector<DriveUrl>& drives,
                       unsigned data_shards, unsigned parity_shards) {
  Topology out;
  out.deployment = DeploymentId{make_uuid(random)};
  out.data_shards = data_shards;
  out.parity_shards = parity_shards;
  out.created_ms = now_ms;
  for (const DriveUrl& url : drives) {
    Topology::Slot& slot = out.slots.emplace_back();
    slot.url = url;
    slot.id = DriveId{make_uuid(random)};
  }
  return out;
}

std::string encode_topology(const Topology& topology) {
  Json root;
  root["version"] = is_as_founded(topology) ? 1 : kVersion;  // what an older release can read, it may
  root["deployment"] = to_string(topology.deployment);
  root["data_shards"] = topology.data_shards;
  root["parity_shards"] = topology.parity_shards;
  root["created_ms"] = topology.created_ms;
  root["drives"] = Json::array();
  for (const Topology::Slot& slot : topology.slots) {
    Json drive{{"node", slot.url.node},
               {"port", slot.url.port},
               {"folder", slot.url.folder},
               {"id", to_string(slot.id)}};
    if (slot.state != SlotState::in_service) drive["state"] = to_string(slot.state);
    if (slot.added) drive["added"] = true;
    root["drives"].push_back(std::move(drive));
  }
  return root.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Topology> decode_topology(std::string_view json) {
  try {
    const Json root = Json::parse(json);
    const auto version = root.at("version").get<std::uint64_t>();
    if (version > kVersion)
      return fail(
          Errc::unsupported_version,
          fmt::format("topology: version {} is of a newer release, this one knows {}", version, kVersion));
    if (version == 0) return fail(Errc::malformed, "topology: version");
    Topology topology = parse(root);
    if (version == 1 && !is_as_founded(topology)) return fail(Errc::malformed, "topology: version");
    return topology;
  } catch (const std::exception& e) {
    return fail(Errc::malformed, fmt::format("topology: {}", e.what()));
  }
}

namespace {

std::string difference_as_founded(const Topology& topology, const std::vector<DriveUrl>& drives) {
  const std::size_t both = std::min(drives.size(), topology.slots.size());
  for (std::size_t slot = 0; slot < both; ++slot) {
    if (drives[slot] == topology.slots[slot].url) continue;
    return fmt::format("drive {} is {} here, and {} in the cluster", slot + 1, to_string(drives[slot]),
                       to_string(topology.slots[slot].url));
  }
  if (drives.size() > both)
    return fmt::format("drive {} is {} here, and the cluster has {} drives", both + 1,
                       to_string(drives[both]), both);
  if (topology.slots.size() > both)
    return fmt::format("{} drives are named here, and the cluster has {}: the next is {}", both,
                       topology.slots.size(), to_string(topology.slots[both].url));
  return "";
}

// Each drive that is named is one, and all those are named that were always there.
std::string difference_since(const Topology& topology, const std::vector<DriveUrl>& drives) {
  const auto is_at = [](const DriveUrl& url) {
    return [&url](const Topology::Slot& slot) { return slot.url == url; };
  };
  for (std::size_t i = 0; i < drives.size(); ++i) {
    if (std::any_of(topology.slots.begin(), topology.slots.end(), is_at(drives[i]))) continue;
    return fmt::format("drive {} is {} here, and the cluster has no such drive", i + 1, to_string(drives[i]));
  }
  for (const Topology::Slot& slot : topology.slots) {
    if (slot.added || slot.state == SlotState::removed) continue;
    if (std::find(drives.begin(), drives.end(), slot.url) != drives.end()) continue;
    return fmt::format("{} is a drive of the cluster, and is not named here", to_string(slot.url));
  }
  return "";
}

}  // namespace

std::string first_difference(const Topology& topology, const std::vector<DriveUrl>& drives) {
  return is_as_founded(topology) ? difference_as_founded(topology, drives)
                                 : difference_since(topology, drives);
}

}  // namespace ostraka::cluster
