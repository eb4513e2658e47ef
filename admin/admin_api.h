// AdminApi: what `ostraka admin` asks of a running node: heals, scans, usage, and where the shards of an
// object are. JSON over HTTP under /admin/v1/ of the console address, signed with SigV4 by the root user.
// Requests and answers: admin/API.md.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/api_json.h"
#include "base/result.h"
#include "disk/drive.h"
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
  std::vector<disk::Drive*> drives;      // by slot
  std::vector<std::string> drive_paths;  // by slot
  // One that was taken out is well again. invalid_argument: it is on another node.
  std::function<Result<>(std::size_t slot)> trust_drive = {};
};

inline constexpr std::string_view kApiPath = "/admin/v1/";

// Thread safe.
class AdminApi final : public net::Service {
 public:
  explicit AdminApi(ApiContext context);
  Task<> serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override;

 private:
  // A request that was let in: what it asks for.
  struct Request {
    bool reads = true;                                                 // GET; otherwise POST
    std::string path;                                                  // behind kApiPath
    std::vector<std::pair<std::string, std::string>> query;            // decoded
    ApiJson body;                                                      // an object; empty for GET
    std::string_view parameter(std::string_view name) const noexcept;  // "" when absent
  };
  // Errors are for people; access_denied and signature_mismatch become 403.
  Task<Result<Request>> admit(const net::RequestHead& head, net::BodySource& body) const;
  Task<Result<ApiJson>> answer(Ctx& ctx, const Request& request);
  Result<ApiJson> heal(const Request& request);
  Result<ApiJson> scan(const Request& request);
  Result<ApiJson> trust_drive(const Request& request);
  Task<Result<ApiJson>> inspect(Ctx& ctx, const Request& request);

  const ApiContext context_;
  const ApiNames names_;
};

}  // namespace ostraka::admin
