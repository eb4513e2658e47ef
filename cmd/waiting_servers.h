// WaitingServers: what a node of a cluster answers on its two addresses while it does not know yet which
// drives there are, since etcd does not answer: that it lives, and what it waits for.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "admin/admin_service.h"
#include "base/metrics.h"
#include "cmd/starting_s3.h"
#include "net/http_server.h"
#include "runtime/shard.h"

namespace ostraka::cmd {

// /health/live is 200, /health/ready and /health/cluster say what is waited for. Thread safe.
class WaitingService final : public net::Service {
 public:
  // others: gets all other requests; null: they are answered with 503. It outlives this.
  WaitingService(admin::Audience audience, net::Service* others) : audience_(audience), others_(others) {}
  Task<> serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override;
  void wait_for(std::string reason);

 private:
  const admin::Audience audience_;  // anybody: the reason, which names hosts, is left out
  net::Service* const others_;
  std::mutex mutex_;
  std::string reason_;
};

class WaitingServers {
 public:
  struct Config {
    net::HttpServerConfig s3, console;
    bool s3_probes = true;
  };
  WaitingServers(Clock& clock, Config config);
  WaitingServers(const WaitingServers&) = delete;
  WaitingServers& operator=(const WaitingServers&) = delete;
  ~WaitingServers();  // after stop(), if it was started

  // Listens, on a thread of its own. Errors: those of net::HttpServer::start(); nothing listens then.
  Task<Result<>> start();
  std::uint16_t s3_port() const noexcept { return s3_server_.port(); }  // the real ones, once started
  std::uint16_t console_port() const noexcept { return console_server_.port(); }
  void wait_for(const std::string& reason);
  Task<> stop();

 private:
  MetricRegistry metrics_;  // that nobody asks for
  ShardPool shards_;
  StartingS3 starting_;
  WaitingService s3_, console_;
  net::HttpServer s3_server_, console_server_;
  bool started_ = false;
};

}  // namespace ostraka::cmd
