#include "disk/drive_format.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/fault_point.h"
#include "base/hash.h"
#include "base/limits.h"

namespace ostraka::disk {
namespace {

constexpr unsigned kVersion = 2;  // 1: without incarnation and refilling; still written where there are none
constexpr std::size_t kMaxFormatBytes = 128U << 10;
constexpr std::string_view kKind = "ostraka-drive";

using Json = nlohmann::ordered_json;

std::string marker_path(const std::string& folder) {
  return folder + "/format.json.new";  // formatting has begun, and nothing was stored yet
}

unsigned version_of(const DriveFormat& format) {
  return format.incarnation.is_nil() && !format.refilling ? 1 : kVersion;
}

// Guards against a damaged file, not against a determined editor.
std::string checksum_of(const DriveFormat& format) {
  std::string text = fmt::format("{}|{}|{}|{}|{}", to_string(format.deployment), format.slot,
                                 format.data_shards, format.parity_shards, format.created_ms);
  for (const DriveId& drive : format.drives) text += "|" + to_string(drive);
  if (version_of(format) >= 2)
    text += fmt::format("|{}|{}", to_string(format.incarnation), format.refilling ? 1 : 0);
  return fmt::format("{:016x}", xxh3_64(as_bytes(text)));
}

tl::unexpected<Error> damaged(const std::string& folder, const std::string& what) {
  return fail(Errc::corrupt, fmt::format("{0}: format.json is damaged ({1}); the folder is left as it is. "
                                         "Restore {0}/format.json from a backup, or give "
                                         "this slot an empty folder and let it be healed",
                                         folder, what));
}

// Reads the fields; throws what nlohmann/json throws.
DriveFormat parse_fields(const Json& json) {
  DriveFormat format;
  Uuid id;
  if (!parse_uuid(json.at("deployment").get<std::string>(), id))
    throw std::runtime_error("deployment is no id");
  static_cast<Uuid&>(format.deployment) = id;
  format.slot = json.at("slot").get<unsigned>();
  for (const Json& drive : json.at("drives")) {
    if (!parse_uuid(drive.get<std::string>(), id)) throw std::runtime_error("a drive is no id");
    static_cast<Uuid&>(format.drives.emplace_back()) = id;
  }
  format.data_shards = json.at("data_shards").get<std::uint8_t>();
  format.parity_shards = json.at("parity_shards").get<std::uint8_t>();
  format.created_ms = json.at("created_ms").get<std::int64_t>();
  if (json.at("version").get<std::int64_t>() >= 2) {
    if (!parse_uuid(json.at("incarnation").get<std::string>(), format.incarnation) ||
        format.incarnation.is_nil())
      throw std::runtime_error("incarnation is no id");
    format.refilling = json.at("refilling").get<bool>();
  }
  if (format.drives.empty() || format.drives.size() > kMaxDrives)
    throw std::runtime_error("number of drives");
  if (format.slot >= format.drives.size()) throw std::runtime_error("slot");
  if (format.data_shards == 0 || format.parity_shards > format.data_shards ||
      std::size_t{format.data_shards} + format.parity_shards > kMaxSetDrives) {
    throw std::runtime_error("geometry");
  }
  return format;
}

Result<std::optional<DriveFormat>> read_format(Fs& fs, const std::string& folder) {
  auto text = fs.read_file(format_path(folder), kMaxFormatBytes);
  if (text) {
    TRY(format, decode_drive_format(*text, folder));
    return std::optional<DriveFormat>(std::move(format));
  }
  if (text.failed_with(Errc::not_found)) return std::optional<DriveFormat>();
  return fail(
      Errc::io,
      fmt::format("{}: cannot read format.json ({}); check the drive's health, its mount and the permissions",
                  folder, text.error().detail));
}

// Names that may lie in a folder that has never held anything.
bool harmless(const std::string& name, bool interrupted) {
  if (name == "lost+found" || name == "lock") return true;
  return interrupted && (name == "data" || name == "index" || name.starts_with("format.json."));
}

Result<> check_never_used(Fs& fs, const std::string& folder) {
  auto names = fs.list_dir(folder);
  if (!names) {
    if (names.failed_with(Errc::not_found)) return {};
    return fail(
        Errc::io,
        fmt::format("{}: cannot be read ({}); check the drive's health, its mount and the permissions",
                    folder, names.error().detail));
  }
  const bool interrupted = std::any_of(names->begin(), names->end(), [](const std::string& name) {
    return name.starts_with("format.json.new");
  });
  for (const std::string& name : *names) {
    if (harmless(name, interrupted)) continue;
    return fail(
        Errc::wrong_drive,
        fmt::format(
            "{}: has no format.json but is not empty (it holds '{}'); it is left as it is. Name an empty "
            "folder, or empty this one by hand if nothing in it is needed",
            folder, name));
  }
  return {};
}

Result<> make_data_folders(Fs& fs, const std::string& folder) {
  for (unsigned i = 0; i < 256; ++i) TRY_VOID(fs.make_dirs(fmt::format("{}/data/{:02x}", folder, i)));
  return fs.sync_dir(folder + "/data");
}

Result<> make_index(MetaIndexFactory& indexes, const std::string& folder, const FirstRecords& records) {
  TRY(index, indexes.open(index_folder(folder), IndexMode::create));
  const auto rows = index->scan(Column::rows, {}, {});
  rows->seek({});
  TRY_VOID(rows->status());
  if (rows->valid())
    return fail(Errc::wrong_drive,
                folder + ": has no format.json, but an index that is in use; it is left as it is");
  if (records.empty()) return {};
  const auto batch = index->make_batch();
  for (const auto& [name, value] : records) {
    const std::string_view part = value;
    batch->put(Column::system, name, std::span<const std::string_view>(&part, 1));
  }
  TRY_VOID(index->write(*batch, Sync::yes));
  index->prepare_close();
  return {};
}

}  // namespace

std::string index_identity(const DriveFormat& format) {
  std::string text = to_string(format.deployment) + " " + to_string(format.drive());
  if (!format.incarnation.is_nil()) text += " " + to_string(format.incarnation);
  return text;
}

std::string index_folder(const std::string& folder) {
  return folder + "/index";
}
std::string format_path(const std::string& folder) {
  return folder + "/format.json";
}
std::string data_folder(const std::string& folder, const DataId& data) {
  return fmt::format("{}/data/{:02x}", folder, data.bytes[0]);
}
std::string data_path(const std::string& folder, const DataId& data) {
  return fmt::format("{}/data/{:02x}/{}", folder, data.bytes[0], to_string(data));
}

std::string encode_drive_format(const DriveFormat& format) {
  Json json;
  json["format"] = kKind;
  json["version"] = version_of(format);
  json["deployment"] = to_string(format.deployment);
  json["slot"] = format.slot;
  Json drives = Json::array();
  for (const DriveId& drive : format.drives) drives.push_back(to_string(drive));
  json["drives"] = std::move(drives);
  json["data_shards"] = format.data_shards;
  json["parity_shards"] = format.parity_shards;
  json["created_ms"] = format.created_ms;
  if (version_of(format) >= 2) {
    json["incarnation"] = to_string(format.incarnation);
    json["refilling"] = format.refilling;
  }
  json["checksum"] = checksum_of(format);
  return json.dump(2) + "\n";
}

Result<DriveFormat> decode_drive_format(std::string_view text, const std::string& folder) {
  try {
    const Json json = Json::parse(text);
    if (json.at("format").get<std::string>() != kKind) return damaged(folder, "it is not one of a drive");
    const auto version = json.at("version").get<std::int64_t>();
    if (version < 1) return damaged(folder, "version");
    if (version > kVersion) {
      return fail(Errc::unsupported_version,
                  fmt::format("{}: written by a newer release (drive format {}, this one knows up to {}); it "
                              "is left as it is. Start that "
                              "release or a later one",
                              folder, version, kVersion));
    }
    DriveFormat format = parse_fields(json);
    if (json.at("checksum").get<std::string>() != checksum_of(format))
      return damaged(folder, "checksum mismatch");
    return format;
  } catch (const std::exception& e) {
    return damaged(folder, e.what());
  }
}

Result<std::optional<DriveFormat>> inspect_drive(Fs& fs, const std::string& folder) {
  TRY(format, read_format(fs, folder));
  if (!format) TRY_VOID(check_never_used(fs, folder));
  return format;
}

Result<> format_drive(Fs& fs, MetaIndexFactory& indexes, const std::string& folder, const DriveFormat& format,
                      const FirstRecords& records) {
  TRY(present, inspect_drive(fs, folder));
  if (present) {
    return fail(Errc::wrong_drive,
                fmt::format("{}: belongs to deployment {} already and is not formatted again", folder,
                            to_string(present->deployment)));
  }
  TRY_VOID(fs.make_dirs(folder));
  TRY(lock, fs.lock(folder + "/lock"));
  TRY_VOID(check_never_used(fs, folder));  // again, now that nobody else can be at it
  TRY_VOID(fs.write_file(marker_path(folder), encode_drive_format(format)));
  fault_point("format.begun");
  TRY_VOID(make_data_folders(fs, folder));
  fault_point("format.folders_made");
  TRY_VOID(make_index(indexes, folder, records));
  fault_point("format.index_made");
  TRY_VOID(fs.sync_dir(folder));
  TRY_VOID(fs.write_file(format_path(folder), encode_drive_format(format)));
  fault_point("format.written");
  TRY_VOID(fs.remove(marker_path(folder)));
  return fs.sync_dir(folder);
}

Result<OpenFolder> open_drive_folder(Fs& fs, const std::string& folder, const DriveFormat& expected) {
  TRY(before, inspect_drive(fs, folder));
  if (!before) {
    return fail(
        Errc::not_found,
        fmt::format(
            "{}: the folder is missing or empty, but drive {} (slot {}) of deployment {} should be there. "
            "Mount it or bring the folder back; an empty folder is taken for a new drive and refilled once "
            "enough of the other drives answer",
            folder, to_string(expected.drive()), expected.slot, to_string(expected.deployment)));
  }
  if (before->deployment != expected.deployment) {
    return fail(
        Errc::wrong_drive,
        fmt::format("{}: belongs to deployment {}, not to {}; it is left as it is. Check the list of folders",
                    folder, to_string(before->deployment), to_string(expected.deployment)));
  }
  if (before->drive() != expected.drive() || before->slot != expected.slot) {
    return fail(
        Errc::wrong_drive,
        fmt::format(
            "{}: holds drive {} (slot {}), where drive {} (slot {}) should be; folders were swapped. Put "
            "them back in their order, or restart the server: identity decides then",
            folder, to_string(before->drive()), before->slot, to_string(expected.drive()), expected.slot));
  }
  OpenFolder open;
  open.format = std::move(*before);
  TRY(lock, fs.lock(folder + "/lock"));
  open.lock = std::move(lock);
  TRY(locked, fs.identity(folder + "/lock"));
  open.lock_file = locked;
  TRY(id, fs.identity(format_path(folder)));
  open.format_file = id;
  TRY(complete, fs.exists(folder + "/data/ff"));
  if (!complete) {  // restored by something that leaves out empty folders
    TRY_VOID(make_data_folders(fs, folder));
    TRY_VOID(fs.sync_dir(folder));
  }
  return open;
}

}  // namespace ostraka::disk
