#include "object/refill_checkpoint.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/encoding.h"
#include "base/limits.h"
#include "object/limits.h"

namespace ostraka::object {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kMaxRowKeyBytes = 4096;

std::string bucket_text(BucketId id) {
  return fmt::format("{:016x}", static_cast<std::uint64_t>(id));
}

std::optional<std::uint64_t> number(const Json& json) {
  if (!json.is_number_unsigned()) return std::nullopt;
  return json.get<std::uint64_t>();
}

std::optional<std::uint16_t> group(const Json& json) {
  const auto value = number(json);
  if (!value || *value >= kPlacementGroups) return std::nullopt;
  return static_cast<std::uint16_t>(*value);
}

std::optional<std::string> raw(const Json& json, std::size_t limit) {
  if (!json.is_string()) return std::nullopt;
  auto out = unhex(json.get_ref<const std::string&>());
  if (!out || out->size() > limit) return std::nullopt;
  return out;
}

std::optional<BucketId> bucket(const Json& json) {
  const auto bytes = raw(json, 8);
  if (!bytes || bytes->size() != 8) return std::nullopt;
  std::uint64_t id = 0;
  for (const char byte : *bytes) id = id << 8 | static_cast<std::uint8_t>(byte);
  return BucketId{id};
}

bool list(const Json& json, std::size_t limit) {
  return json.is_array() && json.size() <= limit;
}

bool read_births(const Json& json, RefillCheckpoint& out) {
  if (!list(json, kPlacementGroups)) return false;
  for (const Json& pair : json) {
    if (!pair.is_array() || pair.size() != 2) return false;
    const auto which = group(pair[0]);
    const auto birth = number(pair[1]);
    if (!which || !birth) return false;
    out.births[*which] = *birth;
  }
  return true;
}

bool read_failed(const Json& json, RefillCheckpoint& out) {
  if (!list(json, kRefillFailedKeys)) return false;
  for (const Json& row : json) {
    if (!row.is_array() || row.size() != 4 || !row[1].is_string()) return false;
    const auto where = bucket(row[0]);
    const auto key = raw(row[2], kMaxKeyBytes);
    const auto sub = raw(row[3], kMaxKeyBytes);
    const auto& space = row[1].get_ref<const std::string&>();
    if (!where || !key || !sub || (space != "o" && space != "p" && space != "u")) return false;
    out.failed.push_back({*where, static_cast<disk::KeySpace>(space[0]), *key, *sub});
  }
  return true;
}

bool read_again(const Json& json, RefillCheckpoint& out) {
  if (!list(json, kPlacementGroups)) return false;
  for (const Json& entry : json) {
    const auto which = group(entry);
    if (!which) return false;
    out.again.insert(*which);
  }
  return true;
}

bool read_done(const Json& json, RefillCheckpoint& out) {
  if (!list(json, 2 * kMaxBuckets)) return false;
  for (const Json& entry : json) {
    if (!entry.is_array() || entry.size() != 3) return false;
    const auto where = bucket(entry[0]);
    const auto keys = number(entry[1]);
    const auto bytes = number(entry[2]);
    if (!where || !keys || !bytes) return false;
    out.done[*where] = {*keys, *bytes};
  }
  return true;
}

}  // namespace

std::string encode(const RefillCheckpoint& checkpoint) {
  Json out;
  out["version"] = kVersion;
  out["after"] = hex(checkpoint.after);
  out["walked"] = checkpoint.walked;
  out["started"] = static_cast<std::uint64_t>(checkpoint.started_ms);
  Json& births = out["births"] = Json::array();
  for (const auto& [which, birth] : checkpoint.births) births.push_back(Json::array({which, birth}));
  Json& failed = out["failed"] = Json::array();
  for (const RowName& row : checkpoint.failed) {
    const std::string space(1, static_cast<char>(row.space));
    failed.push_back(Json::array({bucket_text(row.bucket), space, hex(row.key), hex(row.sub)}));
  }
  Json& again = out["again"] = Json::array();
  for (const std::uint16_t which : checkpoint.again) again.push_back(which);
  Json& done = out["done"] = Json::array();
  for (const auto& [where, sum] : checkpoint.done) {
    if (done.size() == 2 * kMaxBuckets) break;  // only figures for people
    done.push_back(Json::array({bucket_text(where), sum.keys, sum.bytes}));
  }
  return out.dump();
}

Result<RefillCheckpoint> decode_refill_checkpoint(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(Errc::corrupt, "refill checkpoint: not a JSON object");
  const auto at = [&json](const char* field) -> const Json& {
    static const Json kNone;
    const auto found = json.find(field);
    return found == json.end() ? kNone : *found;
  };
  const auto version = number(at("version"));
  if (version && *version > kVersion)
    return fail(Errc::unsupported_version, "refill checkpoint of another release");
  RefillCheckpoint out;
  const auto after = raw(at("after"), kMaxRowKeyBytes);
  const auto started = number(at("started"));
  const bool sound = version == kVersion && after && started && at("walked").is_boolean() &&
                     read_births(at("births"), out) && read_failed(at("failed"), out) &&
                     read_again(at("again"), out) && read_done(at("done"), out);
  if (!sound) return fail(Errc::corrupt, "refill checkpoint does not decode");
  out.after = *after;
  out.walked = at("walked").get<bool>();
  out.started_ms = static_cast<std::int64_t>(*started);
  return out;
}

}  // namespace ostraka::object
