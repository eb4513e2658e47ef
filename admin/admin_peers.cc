#include "admin/admin_peers.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::admin {
namespace {

constexpr Duration kPeerTime = std::chrono::seconds(5);
constexpr std::size_t kMaxRequestBytes = 128U << 10;
constexpr std::size_t kMaxAnswerBytes = 8U << 20;
constexpr std::size_t kMaxPath = 1024;
constexpr std::size_t kMaxQuery = 64;
constexpr std::size_t kRecentKept = 100;

Task<Result<ApiJson>> ask(const ApiPeers* peers, cluster::NodeName node, std::string request, Ctx ctx) {
  auto asking = ask_peer(ctx, *peers, std::move(node), std::move(request));
  Result<ApiJson> answer = co_await std::move(asking);
  co_return answer;
}

void add_numbers(ApiJson& into, const ApiJson& other) {
  if (!into.is_object() || !other.is_object()) return;
  for (const auto& [name, value] : other.items()) {
    const auto at = into.find(name);
    if (at == into.end()) continue;
    if (at->is_number_float() && value.is_number()) {
      *at = at->get<double>() + value.get<double>();
    } else if (at->is_number_unsigned() && value.is_number_unsigned()) {
      *at = at->get<std::uint64_t>() + value.get<std::uint64_t>();
    } else if (at->is_object()) {
      add_numbers(*at, value);
    }
  }
}

void join(ApiJson& into, const ApiJson& other, const char* name) {
  const auto here = into.find(name);
  const auto there = other.find(name);
  if (here == into.end() || there == other.end() || !here->is_array() || !there->is_array()) return;
  for (const ApiJson& entry : *there) here->push_back(entry);
}

void earliest(ApiJson& into, const ApiJson& other, const char* name) {
  const auto here = into.find(name);
  const auto there = other.find(name);
  if (here == into.end() || there == other.end() || !there->is_number_integer()) return;
  if (here->is_null() || (here->is_number_integer() && *there < *here)) *here = *there;
}

std::int64_t when_of(const ApiJson& key) {
  const auto at = key.find("when_ms");
  return at != key.end() && at->is_number_integer() ? at->get<std::int64_t>() : 0;
}

// Each node counts for itself what waits for a drive.
void add_up_by_drive(ApiJson& waiting) {
  ApiJson sums = ApiJson::array();
  for (const ApiJson& entry : waiting) {
    if (!entry.is_object() || !entry.contains("drive")) continue;
    const auto same = std::find_if(sums.begin(), sums.end(),
                                   [&](const ApiJson& other) { return other["drive"] == entry["drive"]; });
    if (same == sums.end())
      sums.push_back(entry);
    else
      add_numbers(*same, entry);
  }
  waiting = std::move(sums);
}

}  // namespace

std::string_view ApiRequest::parameter(std::string_view name) const noexcept {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return {};
}

std::string encode_request(const ApiRequest& request) {
  ApiJson query = ApiJson::array();
  for (const auto& [name, value] : request.query) query.push_back(ApiJson::array({name, value}));
  const ApiJson json{
      {"reads", request.reads}, {"path", request.path}, {"query", std::move(query)}, {"body", request.body}};
  return json.dump(-1, ' ', false, ApiJson::error_handler_t::replace);
}

Result<ApiRequest> decode_request(std::string_view text) {
  if (text.size() > kMaxRequestBytes) return fail(Errc::malformed, "an admin request is too large");
  try {
    const ApiJson json = ApiJson::parse(text);
    ApiRequest out;
    out.reads = json.at("reads").get<bool>();
    out.path = json.at("path").get<std::string>();
    if (out.path.size() > kMaxPath || json.at("query").size() > kMaxQuery)
      return fail(Errc::malformed, "an admin request is too large");
    for (const ApiJson& field : json.at("query"))
      out.query.emplace_back(field.at(0).get<std::string>(), field.at(1).get<std::string>());
    out.body = json.at("body");
    if (!out.body.is_object()) return fail(Errc::malformed, "an admin request without a body");
    return out;
  } catch (const std::exception& e) {
    return fail(Errc::malformed, fmt::format("an admin request: {}", e.what()));
  }
}

Task<Result<ApiJson>> ask_peer(Ctx& ctx, const ApiPeers& peers, cluster::NodeName node, std::string request) {
  cluster::PeerCall call;
  call.method = std::string(kAdminCalls) + "call";
  call.head = std::move(request);
  std::vector<disk::BlockTarget> nowhere;
  auto calling = peers.transport.call(ctx, node, std::move(call), std::move(nowhere));
  Result<cluster::PeerAnswer> answer = co_await std::move(calling);
  if (!answer) co_return fail(answer.code(), fmt::format("{}: {}", node, answer.error().detail));
  if (answer->head.size() > kMaxAnswerBytes) co_return fail(Errc::too_large, node + ": its answer");
  ApiJson json = ApiJson::parse(answer->head, nullptr, false);
  if (!json.is_object()) co_return fail(Errc::closed, node + ": its answer makes no sense");
  co_return json;
}

Task<std::vector<PeerSaid>> ask_all_peers(Ctx& ctx, const ApiPeers& peers, std::string request) {
  std::vector<cluster::NodeName> nodes = peers.members();
  std::erase(nodes, peers.self);
  auto fan = std::make_shared<FanOut<Result<ApiJson>>>(nodes.size());
  Clock& clock = ctx.shard.clock();
  Ctx each = ctx;
  each.deadline = std::min(ctx.deadline, clock.now() + kPeerTime);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    fan->start(ctx.shard.executor(), peers.background, i, ask(&peers, nodes[i], request, each));
  co_await fan->wait_all(clock, each.deadline);
  std::vector<PeerSaid> out;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto& said = fan->answers()[i];
    out.push_back(
        {nodes[i], said ? *said : Result<ApiJson>(fail(Errc::deadline, nodes[i] + " did not answer"))});
  }
  co_return out;
}

void merge_heal_status(ApiJson& into, const ApiJson& other) {
  if (!into.is_object() || !other.is_object()) return;
  ApiJson numbers = other;
  for (const char* list : {"refills", "runs", "recent"}) {
    join(into, other, list);
    numbers.erase(list);
  }
  const auto queue = into.find("queue");
  const auto others = other.find("queue");
  if (queue != into.end() && others != other.end() && queue->is_object() && others->is_object()) {
    join(*queue, *others, "waiting");
    if (queue->contains("waiting")) add_up_by_drive((*queue)["waiting"]);
    earliest(*queue, *others, "oldest_ms");
    numbers["queue"].erase("oldest_ms");
    numbers["queue"].erase("waiting");
  }
  add_numbers(into, numbers);
  const auto recent = into.find("recent");
  if (recent == into.end() || !recent->is_array()) return;
  std::stable_sort(recent->begin(), recent->end(),
                   [](const ApiJson& a, const ApiJson& b) { return when_of(a) > when_of(b); });
  while (recent->size() > kRecentKept) recent->erase(recent->size() - 1);
}

}  // namespace ostraka::admin
