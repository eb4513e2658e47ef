#include "admin/growth_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "admin/health.h"
#include "runtime/shard.h"

namespace ostraka::admin {
namespace {

constexpr std::size_t kMaxNamedDrives = 256;  // in one request
constexpr Duration kChangeTime = std::chrono::seconds(20);
constexpr std::array<std::string_view, 8> kPaths{"rebalance",   "rebalance/pause", "drive/add",
                                                 "drive/drain", "drive/remove",    "node/add",
                                                 "node/drain",  "node/remove"};

bool flag(const ApiJson& body, const char* name) {
  const auto at = body.find(name);
  return at != body.end() && at->is_boolean() && at->get<bool>();
}

Result<std::vector<cluster::DriveUrl>> named_drives(const ApiJson& body) {
  const auto at = body.find("drives");
  if (at == body.end() || !at->is_array() || at->empty())
    return fail(Errc::invalid_argument, "drives: name them, as http://NODE:PORT/FOLDER");
  if (at->size() > kMaxNamedDrives)
    return fail(Errc::invalid_argument, fmt::format("drives: at most {} at a time", kMaxNamedDrives));
  std::vector<cluster::DriveUrl> out;
  for (const ApiJson& entry : *at) {
    if (!entry.is_string()) return fail(Errc::invalid_argument, "drives: one is no text");
    TRY(url, cluster::parse_drive_url(entry.get_ref<const std::string&>()));
    if (std::find(out.begin(), out.end(), url) != out.end())
      return fail(Errc::invalid_argument, to_string(url) + " is named twice");
    out.push_back(std::move(url));
  }
  return out;
}

// Whether the node of the drives that are added is new is said, so that a name that was mistyped is noticed.
Result<> check_newness(const cluster::Topology& topology, const std::vector<cluster::DriveUrl>& drives,
                       bool of_new_node) {
  const cluster::NodeName& node = drives.front().node;
  const bool known = cluster::drives_of_node(topology, node).has_value();
  if (known && of_new_node)
    return fail(Errc::conflict, fmt::format("{} is a node of the cluster already: add drives to it with "
                                            "`ostraka admin drive add`",
                                            node));
  if (!known && !of_new_node)
    return fail(Errc::not_found, fmt::format("the cluster has no node {}: add it, with its drives, with "
                                             "`ostraka admin node add`",
                                             node));
  return {};
}

// Which folders are its drives a node is told when it starts, so that it knows them from a mistyped one, or
// one whose disk is not mounted. So what is added here is used from its next start on.
std::string next_step(const cluster::NodeName& node, const ApiJson& drives, bool of_new_node) {
  std::string named;
  for (const ApiJson& drive : drives) named += (named.empty() ? "" : " ") + drive.get<std::string>();
  return of_new_node ? fmt::format(
                           "start {} with the drives of all nodes in its list, also {}: data moves to "
                           "it as soon as it is there",
                           node, named)
                     : fmt::format(
                           "start {} anew with {} in its list of drives as well: it uses them from "
                           "then on, and data moves to them",
                           node, named);
}

}  // namespace

bool is_growth_request(const ApiRequest& request) {
  return std::find(kPaths.begin(), kPaths.end(), request.path) != kPaths.end();
}

cluster::NodeName GrowthApi::node_for(const ApiRequest& request, const cluster::NodeName& self) const {
  if (rebalancer_ == nullptr || !request.reads || rebalancer_->leads()) return self;
  const cluster::NodeName leader = rebalancer_->leader();
  return leader.empty() ? self : leader;
}

Result<std::vector<cluster::DriveUrl>> GrowthApi::drives_of(const ApiRequest& request) const {
  const auto node = request.body.find("node");
  if (!request.path.starts_with("node/") || request.path == "node/add") return named_drives(request.body);
  if (node == request.body.end() || !node->is_string())
    return fail(Errc::invalid_argument, "node: its name, as in the URLs of its drives");
  TRY(topology, rebalancer_->topology());
  return cluster::drives_of_node(topology, node->get<std::string>());
}

Task<Result<ApiJson>> GrowthApi::answer(Ctx& ctx, const ApiRequest& request) {
  if (rebalancer_ == nullptr)
    co_return fail(Errc::invalid_argument,
                   "this is the store of one node, whose drives are those it was started with. Growing takes "
                   "a cluster: see \"Growing\" in docs/cluster.md");
  if (request.path == "rebalance" && request.reads) co_return co_await status(ctx);
  if (request.reads || request.path == "rebalance")
    co_return fail(Errc::not_found, fmt::format("the admin API has no {}", request.path));
  Ctx mine = ctx;
  mine.deadline = std::min(ctx.deadline, ctx.shard.clock().now() + kChangeTime);
  auto changing = change(mine, request);
  Result<ApiJson> out = co_await std::move(changing);
  co_return out;
}

Task<Result<ApiJson>> GrowthApi::change(Ctx& ctx, const ApiRequest& request) {
  if (request.path == "rebalance/pause") {
    const bool paused = flag(request.body, "paused");
    auto pausing = rebalancer_->pause(ctx, paused);
    CO_TRY_VOID(co_await std::move(pausing));
    co_return ApiJson{{"paused", paused}};
  }
  CO_TRY(drives, drives_of(request));
  ApiJson named = ApiJson::array();
  for (const cluster::DriveUrl& url : drives) named.push_back(to_string(url));
  const std::string verb = request.path.substr(request.path.find('/') + 1);
  if (verb == "add") {
    CO_TRY(topology, rebalancer_->topology());
    CO_TRY_VOID(check_newness(topology, drives, request.path == "node/add"));
    const std::string next = next_step(drives.front().node, named, request.path == "node/add");
    auto adding = rebalancer_->add(ctx, std::move(drives));
    CO_TRY(revision, co_await std::move(adding));
    co_return ApiJson{{"drives", std::move(named)}, {"topology", revision}, {"next", next}};
  }
  auto changing = verb == "remove" ? rebalancer_->remove(ctx, std::move(drives))
                  : flag(request.body, "cancel")
                      ? rebalancer_->take_back(ctx, std::move(drives))
                      : rebalancer_->drain(ctx, std::move(drives), flag(request.body, "force"));
  CO_TRY(revision, co_await std::move(changing));
  co_return ApiJson{{"drives", std::move(named)}, {"topology", revision}};
}

Task<Result<ApiJson>> GrowthApi::status(Ctx& ctx) {
  // First: what is said of the drives is then not older than the topology that the state is about.
  ApiJson out = rebalance_json(rebalancer_->status(), rebalancer_->leader());
  auto asking = rebalancer_->drives(ctx);
  CO_TRY(drives, co_await std::move(asking));
  out["drives"] = ApiJson::array();
  for (const cluster::DriveReport& drive : drives) out["drives"].push_back(drive_report_json(drive));
  co_return out;
}

ApiJson rebalance_json(const cluster::RebalanceStatus& status, const std::string& leader) {
  const cluster::MoveProgress& progress = status.progress;
  ApiJson out;
  out["state"] = cluster::to_string(status.state);
  out["leader"] = leader;
  out["topology"] = status.topology;
  out["newest_topology"] = status.newest_topology;
  out["paused"] = progress.paused;
  out["now"] = progress.now;
  out["problem"] = progress.problem;
  out["slots_done"] = progress.slots_done;
  out["slots_left"] = progress.slots_left;
  out["bytes_done"] = progress.bytes_done;
  out["bytes_left"] = progress.bytes_left;
  out["bytes_per_second"] = progress.bytes_per_second;
  out["seconds_left"] = progress.seconds_left ? ApiJson(*progress.seconds_left) : ApiJson(nullptr);
  out["since_ms"] = progress.since_ms > 0 ? ApiJson(progress.since_ms) : ApiJson(nullptr);
  return out;
}

ApiJson drive_report_json(const cluster::DriveReport& drive) {
  disk::DriveInfo seen;
  seen.online = drive.online;
  seen.total_bytes = drive.total_bytes;
  seen.free_bytes = drive.free_bytes;
  return {{"drive", to_string(drive.url)},  {"node", drive.url.node},
          {"id", to_string(drive.id)},      {"state", cluster::to_string(drive.state)},
          {"online", drive.online},         {"refilling", drive.refilling},
          {"problem", drive.problem},       {"total_bytes", drive.total_bytes},
          {"used_bytes", drive.used_bytes}, {"free_bytes", drive.free_bytes},
          {"full", is_full(seen)},          {"groups", drive.groups},
          {"leaving", drive.leaving},       {"arriving", drive.arriving}};
}

}  // namespace ostraka::admin
