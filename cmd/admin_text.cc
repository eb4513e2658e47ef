#include "cmd/admin_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/encoding.h"

namespace ostraka::cmd {
namespace {

using Json = AdminJson;

// A member of what a node answered; an answer of another release may lack it.
std::uint64_t count(const Json& json, const char* name) {
  const auto at = json.find(name);
  return at != json.end() && at->is_number() ? at->get<std::uint64_t>() : 0;
}
double number(const Json& json, const char* name) {
  const auto at = json.find(name);
  return at != json.end() && at->is_number() ? at->get<double>() : 0;
}
std::string text(const Json& json, const char* name) {
  const auto at = json.find(name);
  return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
}
bool flag(const Json& json, const char* name) {
  const auto at = json.find(name);
  return at != json.end() && at->is_boolean() && at->get<bool>();
}
const Json& member(const Json& json, const char* name) {
  static const Json kNothing = Json::object();
  const auto at = json.find(name);
  return at != json.end() ? *at : kNothing;
}

std::string bytes_text(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 6> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string span_text(std::int64_t ms) {
  const std::int64_t s = std::max<std::int64_t>(ms, 0) / 1000;
  if (s < 120) return fmt::format("{} s", s);
  if (s < 7200) return fmt::format("{} min", s / 60);
  if (s < 172800) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} days", s / 86400);
}

std::string time_text(const Json& json, const char* name) {
  const auto at = json.find(name);
  return at != json.end() && at->is_number() ? iso8601(at->get<std::int64_t>()) : "never";
}

std::string share_text(std::uint64_t done, std::uint64_t total) {
  if (total == 0) return "";
  return fmt::format(" ({:.1f} %)",
                     std::min(100.0, 100.0 * static_cast<double>(done) / static_cast<double>(total)));
}

// Keys may hold anything: what a terminal would act on is escaped.
std::string printable(const std::string& raw) {
  std::string out;
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string healed_key_line(const Json& key) {
  std::string out =
      fmt::format("  {}  {}/{}", text(key, "outcome"), text(key, "bucket"), printable(text(key, "key")));
  if (text(key, "kind") != "object") out += fmt::format(" ({})", text(key, "kind"));
  if (flag(key, "dry_run")) out += "  [dry run]";
  if (!text(key, "error").empty()) out += ": " + text(key, "error");
  out += '\n';
  for (const Json& shard : member(key, "shards")) {
    const std::string detail = text(shard, "detail");
    out += fmt::format("      {}: {}{}{}\n", text(shard, "drive"), text(shard, "state"),
                       flag(shard, "healed") ? ", made good" : "", detail.empty() ? "" : " (" + detail + ")");
  }
  return out;
}

std::string counts_line(const Json& counts) {
  return fmt::format(
      "{} keys: {} healthy, {} healed, {} partly, {} absent, {} undecided, {} LOST; {} shards rebuilt, {} "
      "read, {} "
      "written",
      count(counts, "keys"), count(counts, "healthy"), count(counts, "healed"), count(counts, "partly"),
      count(counts, "absent"), count(counts, "undecided"), count(counts, "lost"),
      count(counts, "shards_healed"), bytes_text(count(counts, "bytes_read")),
      bytes_text(count(counts, "bytes_written")));
}

}  // namespace

std::string heal_status_text(const Json& status, std::int64_t now_ms) {
  const Json& queue = member(status, "queue");
  std::string out;
  if (count(queue, "entries") == 0) {
    out += "Queue     empty: no drive is known to lack anything\n";
  } else {
    out += fmt::format("Queue     {} keys to heal, {} of them now; the oldest waits for {}\n",
                       count(queue, "entries"), count(queue, "ready") - count(queue, "backing_off"),
                       span_text(now_ms - static_cast<std::int64_t>(count(queue, "oldest_ms"))));
    if (count(queue, "backing_off") > 0)
      out += fmt::format("          {} of them could not be healed yet and are tried again later\n",
                         count(queue, "backing_off"));
    for (const Json& drive : member(queue, "waiting"))
      out += fmt::format("          {} of them wait for {}\n", count(drive, "entries"), text(drive, "drive"));
  }
  for (const Json& node : member(status, "not_asked"))
    out += fmt::format("          without {}, which did not answer: {}\n", text(node, "node"),
                       text(node, "message"));
  out += fmt::format("Priority  {} (idle, normal or high); {} keys at once just now\n",
                     text(status, "priority"), count(status, "in_flight"));
  for (const Json& refill : member(status, "refills")) {
    out += fmt::format("Refill    {}: {}{}{}\n", text(refill, "drive"), text(refill, "phase"),
                       text(refill, "problem").empty() ? "" : ": ", text(refill, "problem"));
    out += fmt::format(
        "          {} of about {} keys{}, {}/s, {} keys/s{}\n", count(refill, "keys"),
        count(refill, "keys_total"), share_text(count(refill, "keys"), count(refill, "keys_total")),
        bytes_text(static_cast<std::uint64_t>(number(refill, "bytes_per_second"))),
        static_cast<std::uint64_t>(number(refill, "keys_per_second")),
        member(refill, "eta_ms").is_number()
            ? ", about " + span_text(static_cast<std::int64_t>(count(refill, "eta_ms"))) + " left"
            : "");
    for (const Json& bucket : member(refill, "buckets"))
      out += fmt::format("          {}: {} of {} keys, {} of {}\n", text(bucket, "bucket"),
                         count(bucket, "keys"), count(bucket, "keys_total"),
                         bytes_text(count(bucket, "bytes")), bytes_text(count(bucket, "bytes_total")));
  }
  for (const Json& run : member(status, "runs")) {
    if (text(run, "state") == "running") out += fmt::format("Run       {}", heal_run_text(run));
  }
  out += fmt::format("Since the start: {}\n", counts_line(member(status, "totals")));
  std::size_t shown = 0;
  for (const Json& key : member(status, "recent")) {
    if (shown++ == 10) break;
    out += fmt::format("{}  {}\n{}", time_text(key, "when_ms"), text(key, "cause"), healed_key_line(key));
  }
  return out;
}

std::string heal_run_text(const Json& run) {
  const std::string bucket = text(run, "bucket");
  std::string out =
      fmt::format("{} ({}{}{}{}): {}{}\n", count(run, "id"), bucket.empty() ? "all buckets" : bucket,
                  text(run, "prefix").empty() ? "" : "/" + text(run, "prefix"),
                  flag(run, "deep") ? ", deep" : "", flag(run, "dry_run") ? ", dry run" : "",
                  text(run, "state"), text(run, "problem").empty() ? "" : ": " + text(run, "problem"));
  out += fmt::format("  {}\n", counts_line(member(run, "counts")));
  for (const Json& key : member(run, "named")) out += healed_key_line(key);
  if (count(run, "named_beyond") > 0) out += fmt::format("  and {} more\n", count(run, "named_beyond"));
  return out;
}

std::string scan_status_text(const Json& pass, std::int64_t now_ms) {
  const Json& totals = member(pass, "totals");
  std::string out;
  if (text(pass, "state") == "none") {
    out = "No pass has been made yet\n";
  } else {
    out = fmt::format("Pass {}   {}{}{}: {:.1f} %, begun {}\n", count(pass, "number"), text(pass, "state"),
                      flag(pass, "deep") ? ", deep" : "", flag(pass, "on_demand") ? ", on demand" : "",
                      100 * number(pass, "progress"), time_text(pass, "started_ms"));
    if (text(pass, "state") == "running") {
      out += fmt::format("  at      {}/{}{}\n", text(pass, "bucket"), printable(text(pass, "key")),
                         flag(pass, "waiting") ? "  (waits for clients)" : "");
      out += fmt::format("  for     {}\n",
                         span_text(now_ms - static_cast<std::int64_t>(count(pass, "started_ms"))));
    }
    out += fmt::format("  keys    {}, {} verified\n", count(totals, "keys"),
                       bytes_text(count(totals, "bytes_verified")));
    out += fmt::format("  damage  {} keys: {} repaired, {} not repaired, {} LOST\n", count(totals, "damaged"),
                       count(totals, "repaired"), count(totals, "unrepaired"), count(totals, "lost"));
    out += fmt::format(
        "  rows    {} damaged; {} leftovers cleared; {} keys not verified since a drive was away\n",
        count(totals, "corrupt_rows"), count(totals, "cleared"), count(totals, "not_verified"));
    out +=
        fmt::format("  orphans {} files ({}), {} shards in indexes, removed\n", count(totals, "orphan_files"),
                    bytes_text(count(totals, "orphan_bytes")), count(totals, "orphan_inline"));
    out += fmt::format("  usage   {} numbers corrected\n", count(totals, "usage_corrections"));
  }
  if (pass.contains("last_deep_pass_ms"))
    out += fmt::format("All blocks that were there {} have been verified since\n",
                       time_text(pass, "last_deep_pass_ms"));
  return out;
}

std::string scan_report_text(const Json& report, std::int64_t now_ms) {
  std::string out = scan_status_text(member(report, "pass"), now_ms);
  for (const Json& key : member(report, "findings")) out += healed_key_line(key);
  if (count(report, "left_off") > 0) out += fmt::format("  and {} more\n", count(report, "left_off"));
  return out;
}

std::string usage_text(const Json& usage) {
  std::string out = fmt::format("{:<40} {:>12} {:>12} {:>9} {:>12}  {}\n", "BUCKET", "OBJECTS", "BYTES",
                                "UPLOADS", "IN PARTS", "LAST VERIFIED");
  for (const Json& bucket : member(usage, "buckets")) {
    const std::string name = text(bucket, "bucket");
    out += fmt::format(
        "{:<40} {:>12} {:>12} {:>9} {:>12}  {}{}\n", name.empty() ? "(a bucket that is gone)" : name,
        count(bucket, "objects"), bytes_text(count(bucket, "bytes")), count(bucket, "uploads"),
        bytes_text(count(bucket, "part_bytes")), time_text(bucket, "last_verified_ms"),
        flag(bucket, "exact") ? "" : "  (about: some drive is away or being healed, or data moves)");
  }
  return out;
}

std::string inspection_text(const Json& object) {
  std::string out = fmt::format("{}/{}\n{}\n", text(object, "bucket"), printable(text(object, "key")),
                                text(object, "sentence"));
  if (object.contains("version")) {
    const std::uint64_t k = count(object, "data_shards"), m = count(object, "parity_shards");
    out +=
        fmt::format("  version  {}, of {}, {}, {}\n", text(object, "version"),
                    time_text(object, "modified_ms"), bytes_text(count(object, "bytes")),
                    flag(object, "final") ? "known to be at its write quorum" : "not known to be final yet");
    out += fmt::format(
        "  quorum   {}+{}: any {} of {} shards read it; it was acknowledged by at least {} drives\n", k, m, k,
        k + m, count(object, "write_quorum"));
    out += fmt::format("  stored   {}{}, placement group {}\n", text(object, "placed"),
                       member(object, "parts").size() > 1
                           ? fmt::format(", in {} parts", member(object, "parts").size())
                           : std::string(),
                       count(object, "group"));
  }
  for (const Json& shard : member(object, "shards")) {
    const std::string detail = text(shard, "detail");
    out += fmt::format("  shard {:<2} {}: {}{}\n", count(shard, "slot"), text(shard, "drive"),
                       text(shard, "words"), detail.empty() ? "" : " (" + detail + ")");
  }
  const Json& history = member(object, "history");
  if (history.empty()) {
    out += "  healed   never since the server started\n";
  } else {
    out += "  healed\n";
    for (const Json& key : history)
      out += fmt::format("  {}  {}\n{}", time_text(key, "when_ms"), text(key, "cause"), healed_key_line(key));
  }
  out += fmt::format("  verified by the scanner: {}{}\n", time_text(object, "bucket_last_verified_ms"),
                     flag(object, "deep") ? "; all blocks within reach were verified just now" : "");
  return out;
}

namespace {

// As remove_drives() wants it.
bool is_drained(const Json& drive) {
  return text(drive, "state") == "draining" &&
         count(drive, "groups") + count(drive, "leaving") + count(drive, "arriving") == 0;
}

std::string drive_state(const Json& drive) {
  const std::string state = text(drive, "state");
  if (state == "removed") return state;
  std::string out = state == "draining" ? "draining" : flag(drive, "online") ? "in service" : "away";
  if (is_drained(drive)) out = "drained";
  if (state == "draining" && !flag(drive, "online")) out += ", away";
  if (flag(drive, "full")) out = state == "in_service" ? "full" : out + ", full";
  if (flag(drive, "refilling")) out += ", being refilled";
  return out;
}

std::string fullness_text(std::uint64_t used, std::uint64_t total) {
  if (total == 0) return "size not known";
  return fmt::format("{} of {}{}", bytes_text(used), bytes_text(total), share_text(used, total));
}

}  // namespace

std::string rebalance_line(const Json& status) {
  const std::uint64_t done = count(status, "slots_done"), left = count(status, "slots_left");
  std::string out =
      fmt::format("{} of {} shards of groups moved{}", done, done + left, share_text(done, done + left));
  if (left == 0) return out;
  out += fmt::format(", {} of about {}", bytes_text(count(status, "bytes_done")),
                     bytes_text(count(status, "bytes_done") + count(status, "bytes_left")));
  if (number(status, "bytes_per_second") > 0)
    out += fmt::format(", {}/s", bytes_text(static_cast<std::uint64_t>(number(status, "bytes_per_second"))));
  if (member(status, "seconds_left").is_number())
    out += ", about " + span_text(static_cast<std::int64_t>(count(status, "seconds_left")) * 1000) + " left";
  return out;
}

std::string rebalance_text(const Json& status) {
  const std::string state = text(status, "state");
  std::string out = "State     ";
  if (state == "balanced")
    out += "balanced: all data is where it belongs\n";
  else if (state == "moving")
    out += "moving data\n";
  else if (state == "paused")
    out += "paused: `ostraka admin rebalance resume` goes on\n";
  else if (state == "waiting")
    out += "waiting\n";
  else
    out += "not known: no node leads just now, ask again in a moment\n";
  if (count(status, "slots_done") + count(status, "slots_left") > 0)
    out += fmt::format("Progress  {}\n", rebalance_line(status));
  if (!text(status, "now").empty()) out += fmt::format("Now       {}\n", printable(text(status, "now")));
  if (!text(status, "problem").empty())
    out += fmt::format("Problem   {}\n", printable(text(status, "problem")));
  if (!text(status, "leader").empty()) out += fmt::format("Leader    {}\n", text(status, "leader"));
  for (const Json& drive : member(status, "drives")) {
    const std::uint64_t leaving = count(drive, "leaving"), arriving = count(drive, "arriving");
    const bool drains = text(drive, "state") == "draining";
    if (leaving + arriving == 0 && !drains) continue;
    out += fmt::format("          {}: {}, holds {} groups", text(drive, "drive"), drive_state(drive),
                       count(drive, "groups"));
    if (leaving > 0) out += fmt::format(", {} leave", leaving);
    if (arriving > 0) out += fmt::format(", {} arrive", arriving);
    out += is_drained(drive) ? ": it may be removed\n" : "\n";
  }
  return out;
}

std::string drive_list_text(const Json& status) {
  std::string out;
  for (const Json& drive : member(status, "drives")) {
    out += fmt::format("{:<44} {:<12} {:>5} groups  {}", text(drive, "drive"), drive_state(drive),
                       count(drive, "groups"),
                       text(drive, "state") == "removed"
                           ? ""
                           : fullness_text(count(drive, "used_bytes"), count(drive, "total_bytes")));
    while (out.back() == ' ') out.pop_back();
    if (!text(drive, "problem").empty()) out += "  " + printable(text(drive, "problem"));
    out += '\n';
  }
  return out;
}

std::string node_list_text(const Json& status) {
  struct Node {
    std::string name;
    std::uint64_t drives = 0, online = 0, full = 0, draining = 0, groups = 0, used = 0, total = 0;
  };
  std::vector<Node> nodes;
  for (const Json& drive : member(status, "drives")) {
    if (text(drive, "state") == "removed") continue;
    const std::string name = text(drive, "node");
    auto at = std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) { return node.name == name; });
    if (at == nodes.end()) {
      nodes.emplace_back().name = name;
      at = nodes.end() - 1;
    }
    ++at->drives;
    at->online += flag(drive, "online") ? 1U : 0U;
    at->full += flag(drive, "full") ? 1U : 0U;
    at->draining += text(drive, "state") == "draining" ? 1U : 0U;
    at->groups += count(drive, "groups");
    at->used += count(drive, "used_bytes");
    at->total += count(drive, "total_bytes");
  }
  std::string out;
  for (const Node& node : nodes) {
    std::string state = node.online == node.drives ? "in service"
                        : node.online == 0         ? "away"
                                                   : fmt::format("{} drives away", node.drives - node.online);
    if (node.draining == node.drives) state = node.groups == 0 ? "drained" : "draining";
    out += fmt::format("{:<24} {:>3} drives  {:<14} {:>6} shards of groups  {}\n", node.name, node.drives,
                       state, node.groups, fullness_text(node.used, node.total));
    if (node.full > 0)
      out.insert(out.size() - 1, fmt::format(", {} drive{} full", node.full, node.full == 1 ? "" : "s"));
  }
  return out;
}

}  // namespace ostraka::cmd
