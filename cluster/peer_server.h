// The other end of HttpTransport: answers the calls of peers. Protocol: cluster/FORMAT.md, "Peer protocol".
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "cluster/byte_budget.h"
#include "cluster/peer_frame.h"
#include "cluster/transport.h"
#include "net/service.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

struct PeerServerConfig {
  NodeName self;
  std::string build;  // for people
  // Of calls that are being received or worked on, a shard: their bodies, and heads above kUncountedHead.
  // What is larger is received alone. Not of the shard's own slabs: those may all be held by requests that
  // wait for another node, which waits for us.
  std::size_t body_bytes_per_shard = 32U << 20;
  Duration body_wait = std::chrono::seconds(10);  // for a part of them
};

// The service for net::PeerPort. Only what head.peer names is answered.
class PeerServer final : public net::Service {
 public:
  // shards: all on which requests come.
  PeerServer(const std::vector<Shard*>& shards, MetricRegistry& metrics, PeerServerConfig config);
  // Calls whose method begins with prefix ("drive.") go to the service, which outlives this or is taken out
  // (nullptr) once no call can be inside; where there is none yet or any more they are answered with
  // unavailable. At any time.
  void set_service(const std::string& prefix, PeerService* service);
  Task<> serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override;

 private:
  using Services = std::map<std::string, PeerService*, std::less<>>;
  Result<PeerService*> find(std::string_view method) const;
  Task<Result<>> hello(net::ResponseSink& sink) const;
  Task<Result<>> answer_call(Ctx& ctx, net::RequestHead& head, std::string method, net::BodySource& body,
                             net::ResponseSink& sink);
  Task<Result<PeerAnswer>> receive_and_serve(Ctx& ctx, const net::RequestHead& head, std::string method,
                                             net::BodySource& body);

  const PeerServerConfig config_;
  Counter& calls_;
  Counter& errors_;
  Histogram& latency_;
  std::unordered_map<const Shard*, std::unique_ptr<ByteBudget>> budgets_;  // not changed once made
  mutable std::mutex mutex_;
  Services services_;
};

}  // namespace ostraka::cluster
