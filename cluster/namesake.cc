#include "cluster/namesake.h"

#include <utility>

#include "base/metrics.h"
#include "cluster/http_transport.h"

namespace ostraka::cluster {
namespace {

constexpr Duration kPatience = std::chrono::seconds(2);

}  // namespace

Task<Result<>> check_no_namesake(Shard& shard, Random& random, std::shared_ptr<const net::TlsConnector> tls,
                                 NodeName self, net::HostPort address) {
  MetricRegistry unseen;  // it says nothing of calls between nodes
  HttpTransportConfig config;
  config.tls = std::move(tls);
  config.connect_timeout = kPatience;
  HttpTransport transport({&shard}, random, unseen, std::move(config));
  transport.set_nodes({{self, address}});
  Ctx ctx{shard, shard.clock().now() + kPatience, "namesake"};
  auto asking = transport.hello(ctx, self);
  const Result<PeerHello> hello = co_await std::move(asking);
  co_await transport.close();
  if (!hello && !hello.failed_with(Errc::unsupported_version)) co_return Result<>();
  co_return fail(Errc::unavailable,
                 "another process runs as " + self + " at " + to_string(address) +
                     ": stop it, or give this machine a name and a certificate of its own");
}

}  // namespace ostraka::cluster
