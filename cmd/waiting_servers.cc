#include "cmd/waiting_servers.h"

#include <utility>

namespace ostraka::cmd {
namespace {

constexpr Duration kStopLimit = std::chrono::seconds(1);

std::string text_for(std::string_view path, admin::Audience audience, std::string reason) {
  if (path == "/health/live") return "live\n";
  if (audience == admin::Audience::anybody || reason.empty()) return "waiting for the cluster\n";
  return "waiting for the cluster: " + std::move(reason) + "\n";
}

}  // namespace

void WaitingService::wait_for(std::string reason) {
  const std::lock_guard lock(mutex_);
  reason_ = std::move(reason);
}

Task<> WaitingService::serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body,
                             net::ResponseSink& sink) {
  if (others_ != nullptr && !admin::is_probe(head)) {
    co_await others_->serve(ctx, head, body, sink);
    co_return;
  }
  const std::string path = head.target.substr(0, head.target.find('?'));
  std::string reason;
  {
    const std::lock_guard lock(mutex_);
    reason = reason_;
  }
  net::ResponseHead answer;
  answer.status = path == "/health/live" ? 200 : 503;
  answer.headers = {{"Content-Type", "text/plain; charset=utf-8"}, {"Cache-Control", "no-store"}};
  if (answer.status != 200) answer.headers.add("Retry-After", "1");
  std::string text = text_for(path, audience_, std::move(reason));
  // A failure means that the asker went away: nobody is left to tell.
  const Result<> sent = co_await sink.respond(std::move(answer), std::move(text));
  static_cast<void>(sent);
}

WaitingServers::WaitingServers(Clock& clock, Config config)
    : shards_(1, clock, ShardSpec{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}),
      s3_(admin::Audience::anybody, &starting_),
      console_(admin::Audience::operators, nullptr),
      s3_server_(shards_, config.s3_probes ? static_cast<net::Service&>(s3_) : starting_,
                 std::move(config.s3), metrics_),
      console_server_(shards_, console_, std::move(config.console), metrics_) {}

WaitingServers::~WaitingServers() = default;

Task<Result<>> WaitingServers::start() {
  shards_.start();
  CO_TRY_VOID(s3_server_.start());
  const Result<> console = console_server_.start();
  started_ = console.has_value();
  if (!started_) co_await s3_server_.stop(kStopLimit);
  co_return console;
}

void WaitingServers::wait_for(const std::string& reason) {
  s3_.wait_for(reason);
  console_.wait_for(reason);
}

Task<> WaitingServers::stop() {
  if (!started_) co_return;
  started_ = false;
  co_await s3_server_.stop(kStopLimit);
  co_await console_server_.stop(kStopLimit);
}

}  // namespace ostraka::cmd
