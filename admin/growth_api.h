// GrowthApi: the verbs by which a cluster grows and shrinks: nodes and drives added, drained and removed, and
// how far the moving of data is. Requests and answers: admin/API.md.
#pragma once

#include "admin/admin_peers.h"
#include "admin/api_json.h"
#include "cluster/rebalancer.h"

namespace ostraka::admin {

// rebalance, rebalance/pause, drive/add, drive/drain, drive/remove, node/add, node/drain, node/remove.
bool is_growth_request(const ApiRequest& request);

class GrowthApi {
 public:
  // rebalancer: outlives it; null: this is the store of one node.
  explicit GrowthApi(cluster::Rebalancer* rebalancer) : rebalancer_(rebalancer) {}
  // Whoever leads in moving data answers how far it is; "": nobody just now. Any node answers the rest.
  cluster::NodeName node_for(const ApiRequest& request, const cluster::NodeName& self) const;
  // Errors are for people.
  Task<Result<ApiJson>> answer(Ctx& ctx, const ApiRequest& request);

 private:
  Task<Result<ApiJson>> status(Ctx& ctx);
  Task<Result<ApiJson>> change(Ctx& ctx, const ApiRequest& request);
  Result<std::vector<cluster::DriveUrl>> drives_of(const ApiRequest& request) const;

  cluster::Rebalancer* const rebalancer_;
};

ApiJson rebalance_json(const cluster::RebalanceStatus& status, const std::string& leader);
ApiJson drive_report_json(const cluster::DriveReport& drive);

}  // namespace ostraka::admin
