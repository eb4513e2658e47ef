#include "cluster/etcd_wire.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/encoding.h"
#include "cluster/limits.h"

namespace ostraka::cluster {

namespace {

using Json = nlohmann::json;

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Errc::malformed, "etcd's answer: " + std::string(what));
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json keys_json(const EtcdKeys& keys) {
  Json out = {{"key", base64(keys.key)}};
  if (!keys.end.empty()) out["range_end"] = base64(keys.end);
  return out;
}

Json compare_json(const EtcdCompare& compare) {
  Json out = {{"key", base64(compare.key)}, {"result", "EQUAL"}};
  switch (compare.of) {
    case EtcdCompare::Of::mod_revision:
      out["target"] = "MOD";
      out["mod_revision"] = std::to_string(compare.revision);
      break;
    case EtcdCompare::Of::create_revision:
      out["target"] = "CREATE";
      out["create_revision"] = std::to_string(compare.revision);
      break;
    case EtcdCompare::Of::value:
      out["target"] = "VALUE";
      out["value"] = base64(compare.value);
      break;
    case EtcdCompare::Of::lease:
      out["target"] = "LEASE";
      out["lease"] = std::to_string(compare.lease);
      break;
  }
  return out;
}

// A field that is not there has its type's zero (proto3).
const Json* field(const Json& object, const char* name) {
  const auto at = object.find(name);
  return at == object.end() || at->is_null() ? nullptr : &*at;
}

bool read_number(const Json& object, const char* name, std::uint64_t& out) {
  const Json* at = field(object, name);
  if (at == nullptr) return true;
  if (at->is_number_unsigned()) {
    out = at->get<std::uint64_t>();
    return true;
  }
  if (!at->is_string()) return false;
  const auto number = parse_u64(at->get_ref<const std::string&>());
  if (number) out = *number;
  return number.has_value();
}

bool read_bool(const Json& object, const char* name, bool& out) {
  const Json* at = field(object, name);
  if (at == nullptr) return true;
  if (!at->is_boolean()) return false;
  out = at->get<bool>();
  return true;
}

bool read_text(const Json& object, const char* name, std::string& out) {
  const Json* at = field(object, name);
  if (at == nullptr) return true;
  if (!at->is_string()) return false;
  out = at->get<std::string>();
  return true;
}

bool read_bytes(const Json& object, const char* name, std::string& out) {
  const Json* at = field(object, name);
  if (at == nullptr) return true;
  if (!at->is_string()) return false;
  auto raw = unbase64(at->get_ref<const std::string&>());
  if (raw) out = std::move(*raw);
  return raw.has_value();
}

bool read_header(const Json& object, EtcdHeader& out) {
  const Json* header = field(object, "header");
  return header != nullptr && header->is_object() && read_number(*header, "cluster_id", out.cluster_id) &&
         read_number(*header, "member_id", out.member_id) && read_number(*header, "revision", out.revision);
}

bool read_key_value(const Json& object, EtcdKeyValue& out) {
  return object.is_object() && read_bytes(object, "key", out.key) && read_bytes(object, "value", out.value) &&
         read_number(object, "create_revision", out.create_revision) &&
         read_number(object, "mod_revision", out.mod_revision) && read_number(object, "lease", out.lease) &&
         !out.key.empty() && out.mod_revision > 0;
}

bool read_key_values(const Json& object, std::vector<EtcdKeyValue>& out) {
  const Json* list = field(object, "kvs");
  if (list == nullptr) return true;
  if (!list->is_array()) return false;
  for (const Json& entry : *list) {
    EtcdKeyValue value;
    if (!read_key_value(entry, value)) return false;
    out.push_back(std::move(value));
  }
  return true;
}

// What was found by the reads of a transaction.
bool read_responses(const Json& root, std::vector<EtcdKeyValue>& out) {
  const Json* list = field(root, "responses");
  if (list == nullptr) return true;
  if (!list->is_array()) return false;
  for (const Json& response : *list) {
    if (!response.is_object()) return false;
    const Json* range = field(response, "response_range");
    if (range == nullptr) continue;
    if (!range->is_object() || !read_key_values(*range, out)) return false;
  }
  return true;
}

bool read_event(const Json& object, EtcdEvent& out) {
  std::string type;
  if (!object.is_object() || !read_text(object, "type", type)) return false;
  if (!type.empty() && type != "PUT" && type != "DELETE") return false;
  out.erased = type == "DELETE";
  const Json* now = field(object, "kv");
  return now != nullptr && read_key_value(*now, out.now);
}

bool read_events(const Json& object, std::vector<EtcdEvent>& out) {
  const Json* list = field(object, "events");
  if (list == nullptr) return true;
  if (!list->is_array()) return false;
  std::uint64_t before = 0;
  for (const Json& entry : *list) {
    EtcdEvent event;
    if (!read_event(entry, event) || event.now.mod_revision < before) return false;
    before = event.now.mod_revision;
    out.push_back(std::move(event));
  }
  return true;
}

Result<Json> parse_object(std::string_view text) {
  Json root = Json::parse(text, nullptr, false);
  if (!root.is_object()) return malformed("not a JSON object");
  return root;
}

}  // namespace

EtcdKeys etcd_prefix(std::string prefix) {
  EtcdKeys out{prefix, std::move(prefix)};
  while (!out.end.empty() && out.end.back() == '\xff') out.end.pop_back();
  CHECK(!out.end.empty());
  out.end.back() = static_cast<char>(static_cast<unsigned char>(out.end.back()) + 1);
  return out;
}

std::string etcd_range_request(const EtcdRangeSpec& spec) {
  Json out = keys_json(spec.keys);
  if (spec.limit != 0) out["limit"] = std::to_string(spec.limit);
  if (spec.revision != 0) out["revision"] = std::to_string(spec.revision);
  return dump(out);
}

std::string etcd_txn_request(const EtcdTxnSpec& spec) {
  Json out = {{"compare", Json::array()}, {"success", Json::array()}, {"failure", Json::array()}};
  for (const EtcdCompare& compare : spec.compare) out["compare"].push_back(compare_json(compare));
  for (const EtcdPut& put : spec.puts) {
    Json request = {{"key", base64(put.key)}, {"value", base64(put.value)}};
    if (put.lease != 0) request["lease"] = std::to_string(put.lease);
    out["success"].push_back({{"request_put", std::move(request)}});
  }
  for (const std::string& key : spec.erases)
    out["success"].push_back({{"request_delete_range", {{"key", base64(key)}}}});
  for (const std::string& key : spec.read_otherwise)
    out["failure"].push_back({{"request_range", {{"key", base64(key)}}}});
  return dump(out);
}

std::string etcd_watch_request(const EtcdKeys& keys, std::uint64_t start_revision) {
  Json create = keys_json(keys);
  create["start_revision"] = std::to_string(start_revision);
  create["fragment"] = true;  // else an answer may be as large as all that was missed
  return dump({{"create_request", std::move(create)}});
}

std::string etcd_grant_request(std::uint64_t ttl_seconds) {
  return dump({{"TTL", std::to_string(ttl_seconds)}});
}

std::string etcd_lease_request(std::uint64_t id) {
  return dump({{"ID", std::to_string(id)}});
}

std::string etcd_login_request(std::string_view user, std::string_view password) {
  return dump({{"name", user}, {"password", password}});
}

Result<EtcdRange> parse_etcd_range(std::string_view text) {
  TRY(root, parse_object(text));
  EtcdRange out;
  if (!read_header(root, out.header) || !read_key_values(root, out.found) ||
      !read_bool(root, "more", out.more))
    return malformed("not a range");
  for (std::size_t i = 1; i < out.found.size(); ++i)
    if (out.found[i].key <= out.found[i - 1].key) return malformed("a range that is not in order");
  return out;
}

Result<EtcdTxn> parse_etcd_txn(std::string_view text) {
  TRY(root, parse_object(text));
  EtcdTxn out;
  if (!read_header(root, out.header) || !read_bool(root, "succeeded", out.succeeded) ||
      !read_responses(root, out.found))
    return malformed("not a transaction");
  return out;
}

Result<EtcdLease> parse_etcd_lease(std::string_view text) {
  TRY(root, parse_object(text));
  EtcdLease out;
  if (!read_number(root, "ID", out.id) || !read_number(root, "TTL", out.ttl_seconds) || out.id == 0)
    return malformed("not a lease");
  return out;
}

Result<EtcdLease> parse_etcd_keep_alive(std::string_view text) {
  TRY(root, parse_object(text));
  const Json* result = field(root, "result");
  if (result == nullptr || !result->is_object()) return malformed("no answer to a keepalive");
  EtcdLease out;
  if (!read_number(*result, "ID", out.id) || !read_number(*result, "TTL", out.ttl_seconds))
    return malformed("not a lease");
  return out;
}

Result<std::string> parse_etcd_login(std::string_view text) {
  TRY(root, parse_object(text));
  std::string token;
  if (!read_text(root, "token", token) || token.empty()) return malformed("no token");
  return token;
}

Result<EtcdStatus> parse_etcd_status(std::string_view text) {
  TRY(root, parse_object(text));
  EtcdStatus out;
  EtcdHeader header;
  std::uint64_t leader = 0;
  if (!read_header(root, header) || !read_text(root, "version", out.version) ||
      !read_number(root, "leader", leader))
    return malformed("not a status");
  out.cluster_id = header.cluster_id;
  out.has_leader = leader != 0;
  out.leads = out.has_leader && leader == header.member_id;
  return out;
}

Result<EtcdWatchAnswer> parse_etcd_watch(std::string_view text) {
  TRY(root, parse_object(text));
  if (const Json* error = field(root, "error"); error != nullptr) {
    std::string message;
    if (error->is_object()) read_text(*error, "message", message);
    return fail(Errc::unavailable, message.empty() ? "the watch ended" : message);
  }
  const Json* result = field(root, "result");
  EtcdWatchAnswer out;
  if (result == nullptr || !result->is_object() || !read_header(*result, out.header) ||
      !read_bool(*result, "created", out.created) || !read_bool(*result, "canceled", out.canceled) ||
      !read_bool(*result, "fragment", out.fragment) ||
      !read_number(*result, "compact_revision", out.compact_revision) ||
      !read_text(*result, "cancel_reason", out.reason) || !read_events(*result, out.events))
    return malformed("not an answer to a watch");
  return out;
}

namespace {

std::string printable_line(std::string_view text) {
  constexpr std::size_t kShown = 200;
  std::string out(text.substr(0, std::min({text.find_first_of("\r\n"), text.size(), kShown})));
  const bool printable =
      std::all_of(out.begin(), out.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
  return printable ? out : std::string();
}

}  // namespace

EtcdFailure parse_etcd_failure(std::string_view text) {
  EtcdFailure out;
  Json root = Json::parse(text, nullptr, false);
  const char* code_name = "code";
  if (root.is_object() && root.contains("error") && root["error"].is_object()) {  // of a stream
    const Json inner = root["error"];
    root = inner;
    code_name = "grpc_code";
  }
  std::uint64_t code = 0;
  if (root.is_object()) {
    if (!read_text(root, "message", out.message) || out.message.empty())
      read_text(root, "error", out.message);
    if (read_number(root, code_name, code) && code > 0 && code <= 16) out.code = static_cast<int>(code);
  }
  if (out.message.size() > kMaxEtcdMessageBytes) out.message.resize(kMaxEtcdMessageBytes);
  if (out.message.empty()) {
    out.message = "an answer that is not etcd's";
    const std::string line = printable_line(text);  // a proxy, or etcd itself before it comes to its gateway
    if (!root.is_object() && !line.empty()) out.message += ": " + line;
  }
  return out;
}

}  // namespace ostraka::cluster
