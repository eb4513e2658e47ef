#include "cluster/peer_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/encoding.h"
#include "base/log.h"
#include "cluster/limits.h"
#include "cluster/peer_exchange.h"

namespace ostraka::cluster {
namespace {

constexpr std::size_t kMaxRequestIdBytes = 64;
constexpr std::uint64_t kMaxDeadlineMs = 24ULL * 3600 * 1000;

Task<Result<>> respond(net::ResponseSink& sink, unsigned status, std::string text) {
  net::ResponseHead head;
  head.status = status;
  head.headers.add("Content-Type", "application/json");
  co_return co_await sink.respond(std::move(head), std::move(text));
}

// The caller's name for the request, as far as it is fit for a log.
std::string request_id_of(const net::RequestHead& head, const std::string& own) {
  const std::string_view id = head.headers.get(kRequestIdHeader);
  const auto odd = [](char c) { return c <= ' ' || c >= 0x7f; };
  const bool good = !id.empty() && id.size() <= kMaxRequestIdBytes && std::none_of(id.begin(), id.end(), odd);
  return good ? std::string(id) : own;
}

Result<TimePoint> deadline_of(const net::RequestHead& head, TimePoint now) {
  const std::string* text = head.headers.find(kDeadlineHeader);
  if (text == nullptr) return kNoDeadline;
  const auto ms = parse_u64(*text);
  if (!ms || *ms > kMaxDeadlineMs) return fail(Errc::malformed, "a deadline that is none");
  return now + std::chrono::milliseconds(*ms);
}

// "/peer/v<version>/<method>"
struct Target {
  unsigned version = 0;
  std::string method;
};
Result<Target> parse_target(std::string_view target) {
  const auto unknown = [] { return fail(Errc::unsupported_version, "no such call"); };
  if (!target.starts_with(kPeerPath)) return unknown();
  target.remove_prefix(kPeerPath.size());
  const std::size_t slash = target.find('/');
  if (slash == std::string_view::npos) return unknown();
  const auto version = parse_u64(target.substr(0, slash));
  const std::string_view method = target.substr(slash + 1);
  if (!version || *version < kOldestPeerVersion || *version > kNewestPeerVersion || !is_peer_method(method))
    return unknown();
  return Target{static_cast<unsigned>(*version), std::string(method)};
}

}  // namespace

PeerServer::PeerServer(const std::vector<Shard*>& shards, MetricRegistry& metrics, PeerServerConfig config)
    : config_(std::move(config)),
      calls_(metrics.counter("ostraka_peer_served_calls_total", "calls of other nodes")),
      errors_(metrics.counter("ostraka_peer_served_errors_total", "of these, those answered with an error")),
      latency_(metrics.histogram("ostraka_peer_served_seconds",
                                 "from a call's head to the answer, sending not counted")) {
  CHECK(config_.body_bytes_per_shard >= kMaxPeerBody);
  for (const Shard* shard : shards)
    budgets_.emplace(shard, std::make_unique<ByteBudget>(config_.body_bytes_per_shard));
}

void PeerServer::set_service(const std::string& prefix, PeerService* service) {
  CHECK(prefix.ends_with('.') && is_peer_method(prefix));
  const std::lock_guard lock(mutex_);
  services_[prefix] = service;
}

Result<PeerService*> PeerServer::find(std::string_view method) const {
  const std::lock_guard lock(mutex_);
  const auto found = services_.find(method.substr(0, method.find('.') + 1));
  if (found == services_.end())
    return fail(Errc::unsupported_version, fmt::format("no such call here: {}", method));
  if (found->second == nullptr) return fail(Errc::unavailable, "the node is starting or stopping");
  return found->second;
}

Task<> PeerServer::serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) {
  Result<> sent;
  if (head.peer.empty()) {  // a mistake of ours in wiring; the port sends nobody else here
    sent = co_await respond(sink, 403, "{}");
  } else if (head.target == kHelloPath && head.method == net::Method::get) {
    sent = co_await hello(sink);
  } else {
    auto target = parse_target(head.target);
    if (target && head.method == net::Method::post && head.content_length) {
      sent = co_await answer_call(ctx, head, std::move(target->method), body, sink);
    } else {
      sent = co_await respond(sink, 404, "{}");
    }
  }
  if (!sent) log::debug("a peer did not get its answer peer={} error={}", head.peer, sent.error().detail);
}

Task<Result<>> PeerServer::hello(net::ResponseSink& sink) const {
  const nlohmann::json json{{"node", config_.self},
                            {"build", config_.build},
                            {"versions", {kOldestPeerVersion, kNewestPeerVersion}}};
  co_return co_await respond(sink, 200, json.dump());
}

Task<Result<>> PeerServer::answer_call(Ctx& ctx, net::RequestHead& head, std::string method,
                                       net::BodySource& body, net::ResponseSink& sink) {
  const TimePoint begin = ctx.shard.clock().now();
  Result<PeerAnswer> answer = co_await receive_and_serve(ctx, head, method, body);
  if (answer && (answer->head.size() > kMaxPeerHead || total_bytes(answer->body) > kMaxPeerBody))
    answer = fail(Errc::internal, "an answer over the limit of a peer call");
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(ctx.shard.clock().now() - begin);
  latency_.observe_us(static_cast<std::uint64_t>(took.count()));
  calls_.add();

  FrameKind kind = FrameKind::answer;
  if (!answer) {
    errors_.add();
    kind = FrameKind::error;
    PeerAnswer failure;
    failure.head = encode_error(answer.error());
    answer = std::move(failure);
  }
  const std::string frame = encode_frame(kind, method, answer->head, answer->body, answer->body_hash);
  std::vector<ByteSpan> parts{as_bytes(frame)};
  std::uint64_t bytes = frame.size();
  for (const Slice& slice : answer->body) {
    parts.push_back(slice.bytes);
    bytes += slice.bytes.size();
  }
  net::ResponseHead response;
  CO_TRY_VOID(co_await sink.start(std::move(response), bytes));
  CO_TRY_VOID(co_await sink.write(parts));
  co_return co_await sink.finish();
}

Task<Result<PeerAnswer>> PeerServer::receive_and_serve(Ctx& ctx, const net::RequestHead& head,
                                                       std::string method, net::BodySource& body) {
  Clock& clock = ctx.shard.clock();
  CO_TRY(deadline, deadline_of(head, clock.now()));
  Ctx call_ctx{ctx.shard, deadline, request_id_of(head, ctx.request_id)};
  CO_TRY(service, find(method));
  CO_TRY(frame, co_await read_frame(body, *head.content_length, method));
  if (frame.kind != FrameKind::call) co_return fail(Errc::malformed, "not a call");
  const auto budget = budgets_.find(&ctx.shard);
  CHECK(budget != budgets_.end());
  const std::size_t of_head = frame.head_bytes > kUncountedHead ? frame.head_bytes : 0;
  const std::size_t counted = std::min(of_head + frame.body_bytes, config_.body_bytes_per_shard);
  const TimePoint until = std::min(call_ctx.deadline, clock.now() + config_.body_wait);
  CO_TRY(held, co_await budget->second->take(clock, until, counted));
  PeerCall call;
  call.method = std::move(method);
  CO_TRY(call_head, co_await read_head(body, frame));
  call.head = std::move(call_head);
  if (frame.body_bytes > 0) {
    Buffer buffer = Buffer::on_heap(frame.body_bytes);
    std::vector<disk::BlockTarget> into(1);
    into[0].owner = buffer;
    into[0].bytes = buffer.span().first(frame.body_bytes);
    CO_TRY_VOID(co_await read_body(body, frame, into));
    const ByteSpan bytes = into[0].bytes;
    call.body.push_back(Slice{std::move(buffer), bytes});  // the service decides how long it lives
  }
  if (call_ctx.deadline <= clock.now()) co_return fail(Errc::deadline);
  co_return co_await service->serve(call_ctx, head.peer, std::move(call));
}

}  // namespace ostraka::cluster
