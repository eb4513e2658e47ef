// The admin API in a cluster: whichever node is asked, the answer is that of the cluster. Scans, heals on
// demand and what is known of both are the leader's, so its node is asked; the status of heals is put
// together from all nodes; a drive is trusted again by its own node. Requests pass between nodes as calls
// "admin.call" (admin/API.md, "Between nodes").
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/api_json.h"
#include "base/result.h"
#include "cluster/transport.h"
#include "runtime/gate.h"

namespace ostraka::admin {

inline constexpr std::string_view kAdminCalls = "admin.";

// A request that was let in: what it asks for.
struct ApiRequest {
  bool reads = true;                                                 // GET; otherwise POST
  std::string path;                                                  // behind kApiPath
  std::vector<std::pair<std::string, std::string>> query;            // decoded
  ApiJson body = ApiJson::object();                                  // empty for GET
  std::string_view parameter(std::string_view name) const noexcept;  // "" when absent
};
std::string encode_request(const ApiRequest& request);
Result<ApiRequest> decode_request(std::string_view text);  // malformed

// All of it outlives the API.
struct ApiPeers {
  cluster::NodeName self;
  cluster::Transport& transport;
  Gate& background;                                         // calls to nodes that do not answer in time
  std::function<std::vector<cluster::NodeName>()> members;  // those that live, this node among them
  std::function<cluster::NodeName()> leader;                // of the scanner; "": nobody just now
};

// Asks that node alone. Errors: those of the transport, and what the other node answered.
Task<Result<ApiJson>> ask_peer(Ctx& ctx, const ApiPeers& peers, cluster::NodeName node, std::string request);
// Asks all other members, each for a few seconds at most. One that did not answer has none.
struct PeerSaid {
  cluster::NodeName node;
  Result<ApiJson> answer;
};
Task<std::vector<PeerSaid>> ask_all_peers(Ctx& ctx, const ApiPeers& peers, std::string request);

// Answers of `GET heal` put together: counts are added, lists are joined. Members of another kind than those
// of `into` are left out.
void merge_heal_status(ApiJson& into, const ApiJson& other);

}  // namespace ostraka::admin
