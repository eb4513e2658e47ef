#include "cluster/drive_register.h"

#include <nlohmann/json.hpp>

namespace ostraka::cluster {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kMaxSlots = 65536;
constexpr std::size_t kMaxMountBytes = 4096;

}  // namespace

std::string encode_drive_register(const DriveRegister& drives) {
  Json root;
  root["version"] = kVersion;
  root["drives"] = Json::array();
  for (const auto& drive : drives) {
    if (!drive) {
      root["drives"].push_back(nullptr);
      continue;
    }
    root["drives"].push_back(
        {{"incarnation", to_string(drive->incarnation)}, {"mount_point", drive->mount_point}});
  }
  return root.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<DriveRegister> decode_drive_register(std::string_view json) {
  const Json root = Json::parse(json, nullptr, false);
  if (!root.is_object()) return fail(Errc::malformed, "drive register: not a JSON object");
  const auto version = root.find("version");
  if (version == root.end() || !version->is_number_unsigned())
    return fail(Errc::malformed, "drive register: no version");
  if (version->get<std::uint64_t>() != kVersion)
    return fail(Errc::unsupported_version,
                "drive register: version " + version->dump() + " is not known here");
  const auto list = root.find("drives");
  if (list == root.end() || !list->is_array() || list->size() > kMaxSlots)
    return fail(Errc::malformed, "drive register: no list of drives");
  DriveRegister drives;
  for (const Json& entry : *list) {
    if (entry.is_null()) {
      drives.emplace_back();
      continue;
    }
    if (!entry.is_object() || !entry.contains("incarnation") || !entry["incarnation"].is_string() ||
        !entry.contains("mount_point") || !entry["mount_point"].is_string())
      return fail(Errc::malformed, "drive register: a drive without incarnation or mount point");
    RegisteredDrive drive;
    if (!parse_uuid(entry["incarnation"].get_ref<const std::string&>(), drive.incarnation))
      return fail(Errc::malformed, "drive register: an incarnation is no id");
    drive.mount_point = entry["mount_point"].get<std::string>();
    if (drive.mount_point.size() > kMaxMountBytes)
      return fail(Errc::malformed, "drive register: a mount point is too long");
    drives.emplace_back(std::move(drive));
  }
  return drives;
}

}  // namespace ostraka::cluster
