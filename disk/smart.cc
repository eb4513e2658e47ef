#include "disk/smart.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/process.h"

namespace ostraka::disk {
namespace {

using Json = nlohmann::json;

constexpr Duration kTimeLimit = std::chrono::seconds(15);
constexpr std::size_t kMaxWordBytes = 64;
constexpr std::size_t kMaxAttributes = 256;
constexpr std::uint64_t kMaxNumber = 1ULL << 53;
constexpr std::int64_t kHottest = 1000;
constexpr unsigned kReallocatedSectors = 5, kPendingSectors = 197;  // ATA attributes

const Json* member(const Json* object, const char* name) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto found = object->find(name);
  return found == object->end() ? nullptr : &*found;
}

const Json* member(const Json& object, const char* first, const char* second) {
  return member(member(&object, first), second);
}

std::optional<std::uint64_t> number(const Json* value) {
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  if (!value->is_number_unsigned() && value->get<std::int64_t>() < 0) return std::nullopt;
  const auto out = value->get<std::uint64_t>();
  return out <= kMaxNumber ? std::optional(out) : std::nullopt;
}

std::optional<std::int64_t> temperature(const Json* value) {
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(kHottest))
    return std::nullopt;
  const auto out = value->get<std::int64_t>();
  return out >= -kHottest && out <= kHottest ? std::optional(out) : std::nullopt;
}

// Printable ASCII only: it goes to logs and pages.
std::string word(const Json* value) {
  std::string out;
  if (value == nullptr || !value->is_string()) return out;
  for (const char c : value->get_ref<const std::string&>()) {
    if (out.size() == kMaxWordBytes) break;
    if (c >= ' ' && c <= '~') out.push_back(c);
  }
  return out;
}

void take_attributes(const Json* table, SmartReport& report) {
  if (table == nullptr || !table->is_array()) return;
  std::size_t looked_at = 0;
  for (const Json& row : *table) {
    if (++looked_at > kMaxAttributes) return;
    const auto id = number(member(&row, "id"));
    const auto raw = number(member(row, "raw", "value"));
    if (!id || !raw) continue;
    if (*id == kReallocatedSectors) report.reallocated_sectors = raw;
    if (*id == kPendingSectors) report.pending_sectors = raw;
  }
}

}  // namespace

Result<SmartReport> parse_smart(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(Errc::malformed, "smartctl printed no JSON object");
  SmartReport out;
  out.model = word(member(&json, "model_name"));
  if (out.model.empty()) out.model = word(member(&json, "scsi_model_name"));
  out.serial = word(member(&json, "serial_number"));
  if (const Json* passed = member(json, "smart_status", "passed"); passed != nullptr && passed->is_boolean())
    out.passed = passed->get<bool>();
  out.temperature_celsius = temperature(member(json, "temperature", "current"));
  out.power_on_hours = number(member(json, "power_on_time", "hours"));
  take_attributes(member(json, "ata_smart_attributes", "table"), out);
  if (!out.reallocated_sectors) out.reallocated_sectors = number(member(&json, "scsi_grown_defect_list"));
  const Json* nvme = member(&json, "nvme_smart_health_information_log");
  out.media_errors = number(member(nvme, "media_errors"));
  out.percentage_used = number(member(nvme, "percentage_used"));
  if (!out.percentage_used) out.percentage_used = number(member(json, "endurance_used", "current_percent"));
  return out;
}

Result<SmartReport> read_smart(const std::string& smartctl, const std::string& disk) {
  const ProcessSpec spec{.words = {smartctl, "--json=c", "-a", "/dev/" + disk}, .time_limit = kTimeLimit};
  TRY(printed, run_process(spec));  // its status tells much that is no failure of the call
  TRY(report, parse_smart(printed.output));
  if (report.empty()) return fail(Errc::not_found, "/dev/" + disk + " tells nothing");
  report.device = "/dev/" + disk;
  return report;
}

}  // namespace ostraka::disk
