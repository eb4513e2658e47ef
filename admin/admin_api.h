// AdminApi: what `ostraka admin` asks of a running node: heals, scans, usage, and where the shards of an
// object are. JSON over HTTP under /admin/v1/ of the console address, signed with SigV4 by the root user.
// Requests and answers: admin/API.md.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/admin_peers.h"
#include "admin/api_json.h"
#include "admin/growth_api.h"
#include "base/result.h"
#include "disk/drive_roster.h"
#include "iam/sigv4.h"
#include "net/service.h"
#include "object/bucket_store.h"
#include "object/heal_service.h"
#include "object/object_sets.h"
#include "object/scanner.h"
#include "object/usage.h"

namespace ostraka::admin {

// What the API works on; all of it outlives it.
struct ApiContext {
  Clock& clock;
  const iam::SigV4Verifier& verifier;
  const object::BucketStore& buckets;
  const object::ObjectSets& sets;
  object::HealService& heal;
  object::Scanner& scanner;
  object::Usage& usage;
  disk::RosterPtr drives;
  // One that was taken out is well again. invalid_argument: it is on another node.
  std::function<Result<>(std::size_t slot)> trust_drive = {};
  std::optional<ApiPeers> peers = {};         // none: this is the only node
  cluster::Rebalancer* rebalancer = nullptr;  // null: there is none
};

inline constexpr std::string_view kApiPath = "/admin/v1/";

// Thread safe. What peers ask (calls "admin.*") is answered for this node alone.
class AdminApi final : public net::Service, public cluster::PeerService {
 public:
  explicit AdminApi(ApiContext context);
  Task<> serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override;
  Task<Result<cluster::PeerAnswer>> serve(Ctx& ctx, const cluster::NodeName& from,
                                          cluster::PeerCall call) override;

 private:
  // Errors are for people; access_denied and signature_mismatch become 403.
  Task<Result<ApiRequest>> admit(const net::RequestHead& head, net::BodySource& body) const;
  Task<Result<ApiJson>> answer(Ctx& ctx, const ApiRequest& request);
  Task<Result<ApiJson>> answer_as_cluster(Ctx& ctx, const ApiRequest& request);
  Task<Result<ApiJson>> answer_here(Ctx& ctx, const ApiRequest& request);
  cluster::NodeName node_for(const ApiRequest& request) const;
  Result<ApiJson> heal(const ApiRequest& request);
  Result<ApiJson> scan(const ApiRequest& request);
  Result<ApiJson> trust_drive(const ApiRequest& request);
  Task<Result<ApiJson>> inspect(Ctx& ctx, const ApiRequest& request);

  const ApiContext context_;
  const ApiNames names_;
  GrowthApi growth_;
};

}  // namespace ostraka::admin
