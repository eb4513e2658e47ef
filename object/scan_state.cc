#include "object/scan_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/log.h"
#include "object/limits.h"

namespace ostraka::object {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kVersion = 1;
constexpr const char* kStateName = "scanner/state";
constexpr const char* kVerifiedName = "scanner/verified";
constexpr std::size_t kMaxRowKeyBytes = 4096;
constexpr std::uint64_t kMaxCost = 1ULL << 53;  // what a double counts exactly

struct TotalsField {
  const char* name;
  std::uint64_t ScanTotals::* member;
};
constexpr TotalsField kTotals[] = {
    {"keys", &ScanTotals::keys},
    {"bytes_verified", &ScanTotals::bytes_verified},
    {"damaged", &ScanTotals::damaged},
    {"repaired", &ScanTotals::repaired},
    {"unrepaired", &ScanTotals::unrepaired},
    {"lost", &ScanTotals::lost},
    {"cleared", &ScanTotals::cleared},
    {"not_verified", &ScanTotals::not_verified},
    {"unclaimed", &ScanTotals::unclaimed},
    {"corrupt_rows", &ScanTotals::corrupt_rows},
    {"orphan_files", &ScanTotals::orphan_files},
    {"orphan_bytes", &ScanTotals::orphan_bytes},
    {"orphan_inline", &ScanTotals::orphan_inline},
    {"usage_corrections", &ScanTotals::usage_corrections},
};

std::string bucket_text(BucketId id) {
  return fmt::format("{:016x}", static_cast<std::uint64_t>(id));
}

std::optional<BucketId> parse_bucket(std::string_view text) {
  const auto raw = unhex(text);
  if (!raw || raw->size() != 8) return std::nullopt;
  std::uint64_t number = 0;
  for (const char byte : *raw) number = number << 8 | static_cast<std::uint8_t>(byte);
  return BucketId{number};
}

// Takes fields out of an object; `ok` turns false at the first that is missing or of another kind.
struct Reader {
  const Json& root;
  bool ok = true;

  template <class T>
  void number(const char* field, T& out) {
    const auto found = root.find(field);
    if (found == root.end() || !found->is_number_integer()) {
      ok = false;
      return;
    }
    if constexpr (std::is_unsigned_v<T>) {
      if (!found->is_number_unsigned() || found->template get<std::uint64_t>() > std::uint64_t{T(~T{0})}) {
        ok = false;
        return;
      }
    }
    out = found->template get<T>();
  }
  void flag(const char* field, bool& out) {
    const auto found = root.find(field);
    ok = ok && found != root.end() && found->is_boolean();
    if (ok) out = found->get<bool>();
  }
  void raw(const char* field, std::string& out) {
    const auto found = root.find(field);
    ok = ok && found != root.end() && found->is_string();
    if (!ok) return;
    const auto bytes = unhex(found->get_ref<const std::string&>());
    ok = bytes && bytes->size() <= kMaxRowKeyBytes;
    if (ok) out = *bytes;
  }
};

Json to_json(const PassState& pass) {
  Json out;
  out["number"] = pass.number;
  out["deep"] = pass.deep;
  out["started"] = pass.started_ms;
  out["phase"] = static_cast<unsigned>(pass.phase);
  out["after"] = hex(pass.after);
  out["step"] = pass.step;
  out["cost"] = static_cast<std::uint64_t>(std::min(pass.cost_done, static_cast<double>(kMaxCost)));
  for (const TotalsField& field : kTotals) out["totals"][field.name] = pass.totals.*field.member;
  out["all_incomplete"] = pass.all_incomplete;
  out["incomplete"] = Json::array();
  for (const BucketId bucket : pass.incomplete) out["incomplete"].push_back(bucket_text(bucket));
  return out;
}

Result<PassState> pass_from(const Json& root) {
  PassState pass;
  Reader reader{root};
  unsigned phase = 0;
  std::uint64_t cost = 0;
  reader.number("number", pass.number);
  reader.flag("deep", pass.deep);
  reader.number("started", pass.started_ms);
  reader.number("phase", phase);
  reader.raw("after", pass.after);
  reader.number("step", pass.step);
  reader.number("cost", cost);
  reader.flag("all_incomplete", pass.all_incomplete);
  const auto totals = root.find("totals"), incomplete = root.find("incomplete");
  reader.ok = reader.ok && phase >= 1 && phase <= 3 && cost <= kMaxCost && totals != root.end() &&
              totals->is_object() && incomplete != root.end() && incomplete->is_array() &&
              incomplete->size() <= kScanIncomplete;
  if (!reader.ok) return fail(Errc::corrupt, "scanner checkpoint: pass");
  Reader counts{*totals};
  for (const TotalsField& field : kTotals) counts.number(field.name, pass.totals.*field.member);
  if (!counts.ok) return fail(Errc::corrupt, "scanner checkpoint: totals");
  for (const Json& text : *incomplete) {
    const auto bucket = text.is_string() ? parse_bucket(text.get_ref<const std::string&>()) : std::nullopt;
    if (!bucket) return fail(Errc::corrupt, "scanner checkpoint: bucket");
    pass.incomplete.insert(*bucket);
  }
  pass.phase = static_cast<PassState::Phase>(phase);
  pass.cost_done = static_cast<double>(cost);
  return pass;
}

Result<Json> parse(std::string_view text) {
  Json root = Json::parse(text, nullptr, false);
  if (!root.is_object() || !root.contains("version") || !root["version"].is_number_unsigned())
    return fail(Errc::corrupt, "scanner checkpoint: not JSON with a version");
  if (root["version"].get<std::uint64_t>() != kVersion)
    return fail(Errc::unsupported_version, "scanner checkpoint: version " + root["version"].dump());
  return root;
}

// Takes what a drive has, if it is newer.
template <class State>
void adopt(State& newest, Result<State> found, const disk::Drive& drive) {
  if (!found)
    log::warn("a scanner checkpoint is left aside drive={} reason={}", to_string(drive.id()),
              found.error().detail);
  else if (found->sequence > newest.sequence)
    newest = std::move(*found);
}

}  // namespace

std::string encode(const ScanState& state) {
  Json root;
  root["version"] = kVersion;
  root["sequence"] = state.sequence;
  root["last_number"] = state.last_number;
  root["background"] = state.background_ms;
  root["deep"] = state.deep_ms;
  root["ended"] = state.ended_ms;
  if (state.background) root["pass"] = to_json(*state.background);
  return root.dump();
}

Result<ScanState> decode_scan_state(std::string_view text) {
  TRY(root, parse(text));
  ScanState state;
  Reader reader{root};
  reader.number("sequence", state.sequence);
  reader.number("last_number", state.last_number);
  reader.number("background", state.background_ms);
  reader.number("deep", state.deep_ms);
  reader.number("ended", state.ended_ms);
  if (!reader.ok) return fail(Errc::corrupt, "scanner checkpoint: numbers");
  if (const auto pass = root.find("pass"); pass != root.end()) {
    if (!pass->is_object()) return fail(Errc::corrupt, "scanner checkpoint: pass");
    TRY(background, pass_from(*pass));
    state.background = std::move(background);
  }
  return state;
}

std::string encode(const VerifiedState& state) {
  Json root;
  root["version"] = kVersion;
  root["sequence"] = state.sequence;
  root["since"] = Json::object();
  for (const auto& [bucket, since_ms] : state.since_ms) root["since"][bucket_text(bucket)] = since_ms;
  return root.dump();
}

Result<VerifiedState> decode_verified_state(std::string_view text) {
  TRY(root, parse(text));
  VerifiedState state;
  Reader reader{root};
  reader.number("sequence", state.sequence);
  const auto since = root.find("since");
  if (!reader.ok || since == root.end() || !since->is_object() || since->size() > kMaxBuckets)
    return fail(Errc::corrupt, "verified buckets: fields");
  for (const auto& [name, value] : since->items()) {
    const auto bucket = parse_bucket(name);
    if (!bucket || !value.is_number_integer()) return fail(Errc::corrupt, "verified buckets: bucket");
    state.since_ms[*bucket] = value.get<std::int64_t>();
  }
  return state;
}

Task<> ScanStateStore::load(Ctx& ctx) {
  const std::vector<disk::Drive*> drives = drives_->all();
  for (disk::Drive* drive : drives) {
    if (!drive->online()) continue;
    const auto found = co_await drive->scan_system(ctx, "scanner/", 8);
    if (!found) {
      log::warn("a scanner checkpoint could not be read drive={} reason={}", to_string(drive->id()),
                found.error().detail);
      continue;
    }
    for (const auto& record : *found) {
      if (record.name == kStateName) adopt(state, decode_scan_state(record.value), *drive);
      if (record.name == kVerifiedName) adopt(verified, decode_verified_state(record.value), *drive);
    }
  }
}

Task<Result<>> ScanStateStore::put(Ctx& ctx, std::string name, std::string value) {
  Result<> last = fail(Errc::unavailable, "no drive is in service");
  unsigned written = 0;
  const std::vector<disk::Drive*> drives = drives_->all();
  for (disk::Drive* drive : drives) {
    if (written == copies_) break;
    if (!drive->online()) continue;
    last = co_await drive->put_system(ctx, name, value);
    if (last) ++written;
  }
  if (written > 0) co_return Result<>();
  co_return last;
}

Task<Result<>> ScanStateStore::save_state(Ctx& ctx) {
  ++state.sequence;
  std::string text = encode(state);
  co_return co_await put(ctx, kStateName, std::move(text));
}

Task<Result<>> ScanStateStore::save_verified(Ctx& ctx) {
  ++verified.sequence;
  std::string text = encode(verified);
  co_return co_await put(ctx, kVerifiedName, std::move(text));
}

}  // namespace ostraka::object
