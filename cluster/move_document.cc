#include "cluster/move_document.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/limits.h"
#include "cluster/limits.h"

namespace ostraka::cluster {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kVersion = 1;

tl::unexpected<Error> malformed(const char* what) {
  return fail(Errc::malformed, std::string("moves: ") + what);
}

bool take(const Json& object, const char* name, std::uint64_t& out) {
  const auto at = object.find(name);
  if (at == object.end() || !at->is_number_unsigned()) return false;
  out = at->get<std::uint64_t>();
  return true;
}

bool take(const Json& object, const char* name, Uuid& out) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() && parse_uuid(at->get_ref<const std::string&>(), out) &&
         !out.is_nil();
}

Result<std::vector<MoveSpec::Slot>> take_slots(const Json& move) {
  const auto at = move.find("slots");
  if (at == move.end() || !at->is_array() || at->empty() || at->size() > kPlacementGroups)
    return malformed("slots of a move");
  std::vector<MoveSpec::Slot> slots;
  for (const Json& entry : *at) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_number_unsigned() ||
        !entry[1].is_number_unsigned())
      return malformed("a slot of a move");
    const auto group = entry[0].get<std::uint64_t>();
    const auto slot = entry[1].get<std::uint64_t>();
    const bool in_order = slots.empty() || group > slots.back().group;
    if (group >= kPlacementGroups || slot >= kMaxSetDrives || !in_order) return malformed("a slot of a move");
    slots.push_back({static_cast<std::uint16_t>(group), static_cast<std::uint16_t>(slot)});
  }
  return slots;
}

Result<MoveDocument::Move> take_move(const Json& entry) {
  if (!entry.is_object()) return malformed("a move");
  MoveDocument::Move move;
  MoveSpec& spec = move.spec;
  if (!take(entry, "id", spec.id) || !take(entry, "from", spec.from) || !take(entry, "to", spec.to) ||
      spec.from == spec.to || !take(entry, "bytes", move.bytes))
    return malformed("a move");
  const auto giving_up = entry.find("giving_up");
  if (giving_up != entry.end() && !giving_up->is_boolean()) return malformed("a move");
  move.giving_up = giving_up != entry.end() && giving_up->get<bool>();
  TRY(slots, take_slots(entry));
  spec.slots = std::move(slots);
  return move;
}

}  // namespace

bool MoveDocument::moves_group(std::uint16_t group) const {
  const auto of_group = [group](const MoveSpec::Slot& slot) { return slot.group == group; };
  return std::any_of(moves.begin(), moves.end(), [&](const Move& move) {
    return std::any_of(move.spec.slots.begin(), move.spec.slots.end(), of_group);
  });
}

bool MoveDocument::is_given_up(const Uuid& move) const {
  return std::any_of(moves.begin(), moves.end(),
                     [&](const Move& one) { return one.spec.id == move && one.giving_up; });
}

std::uint64_t MoveDocument::slots_left() const {
  std::uint64_t out = 0;
  for (const Move& move : moves) out += move.giving_up ? 0 : move.spec.slots.size();
  return out;
}

std::uint64_t MoveDocument::bytes_left() const {
  std::uint64_t out = 0;
  for (const Move& move : moves) out += move.giving_up ? 0 : move.bytes;
  return out;
}

std::string encode_moves(const MoveDocument& document) {
  Json out;
  out["version"] = kVersion;
  out["since_ms"] = static_cast<std::uint64_t>(std::max<std::int64_t>(document.since_ms, 0));
  out["slots_done"] = document.slots_done;
  out["bytes_done"] = document.bytes_done;
  if (document.paused) out["paused"] = true;
  out["moves"] = Json::array();
  for (const MoveDocument::Move& move : document.moves) {
    Json entry;
    entry["id"] = to_string(move.spec.id);
    entry["from"] = to_string(move.spec.from);
    entry["to"] = to_string(move.spec.to);
    entry["bytes"] = move.bytes;
    if (move.giving_up) entry["giving_up"] = true;
    entry["slots"] = Json::array();
    for (const MoveSpec::Slot& slot : move.spec.slots)
      entry["slots"].push_back(Json::array({slot.group, slot.slot}));
    out["moves"].push_back(std::move(entry));
  }
  return out.dump();
}

Result<MoveDocument> decode_moves(std::string_view json) {
  const Json in = Json::parse(json, nullptr, false);
  std::uint64_t version = 0, since_ms = 0;
  if (!in.is_object() || !take(in, "version", version)) return malformed("no version");
  if (version != kVersion)
    return fail(Errc::unsupported_version,
                "moves: version " + std::to_string(version) + " is not known here");
  MoveDocument out;
  const auto moves = in.find("moves");
  if (!take(in, "since_ms", since_ms) || !take(in, "slots_done", out.slots_done) ||
      !take(in, "bytes_done", out.bytes_done) || moves == in.end() || !moves->is_array() ||
      moves->size() > kMaxMoves || since_ms > INT64_MAX)
    return malformed("a field");
  const auto paused = in.find("paused");
  if (paused != in.end() && !paused->is_boolean()) return malformed("a field");
  out.paused = paused != in.end() && paused->get<bool>();
  out.since_ms = static_cast<std::int64_t>(since_ms);
  for (const Json& entry : *moves) {
    TRY(move, take_move(entry));
    out.moves.push_back(std::move(move));
  }
  return out;
}

std::vector<MoveSpec> gather(const std::vector<SlotMove>& slots, Random& random) {
  std::map<std::pair<DriveId, DriveId>, std::vector<MoveSpec::Slot>> pairs;
  for (const SlotMove& one : slots) pairs[{one.from, one.to}].push_back({one.group, one.slot});
  std::vector<MoveSpec> out;
  for (auto& [pair, moving] : pairs) {
    std::sort(moving.begin(), moving.end(), [](const auto& a, const auto& b) { return a.group < b.group; });
    MoveSpec& spec = out.emplace_back();
    random.fill(spec.id.bytes);
    spec.from = pair.first;
    spec.to = pair.second;
    spec.slots = std::move(moving);
  }
  return out;
}

}  // namespace ostraka::cluster
