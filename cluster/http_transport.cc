#include "cluster/http_transport.h"

#include <fmt/format.h>
#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/encoding.h"
#include "base/log.h"
#include "cluster/limits.h"
#include "cluster/peer_breaker.h"
#include "cluster/peer_exchange.h"

namespace ostraka::cluster {
namespace {

constexpr std::size_t kMaxHelloBytes = 64U << 10;
// An attempt that the caller gave up after less time than the connect timeout, divided by this, says nothing
// of the node, which may just be short of CPU.
constexpr int kTellingShare = 2;

std::uint64_t target_bytes(const std::vector<disk::BlockTarget>& into) {
  std::uint64_t bytes = 0;
  for (const disk::BlockTarget& target : into) bytes += target.bytes.size();
  return bytes;
}

// What an answer without a frame says.
Error error_of(unsigned status) {
  const std::string detail = "the node answered " + std::to_string(status);
  if (status == 404) return {Errc::unsupported_version, detail + ": it does not know the call"};
  return {status == 500 ? Errc::internal : Errc::malformed, detail};
}

Result<PeerHello> parse_hello(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto versions = json.is_object() ? json.find("versions") : json.end();
  const bool good = json.is_object() && versions != json.end() && versions->is_array() &&
                    versions->size() == 2 && (*versions)[0].is_number_unsigned() &&
                    (*versions)[1].is_number_unsigned();
  if (!good) return fail(Errc::malformed, "a hello that does not parse");
  const auto text_of = [&json](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return PeerHello{text_of("node"), text_of("build"), (*versions)[0].get<unsigned>(),
                   (*versions)[1].get<unsigned>()};
}

}  // namespace

struct HttpTransport::Peer {
  Peer(NodeName n, Random& random, Duration connect_timeout, MetricRegistry& metrics)
      : name(std::move(n)),
        breaker(random, connect_timeout * 2),
        calls(metrics.counter("ostraka_peer_calls_total", "calls to other nodes", {{"peer", name}})),
        errors(metrics.counter("ostraka_peer_errors_total", "of these, those that failed", {{"peer", name}})),
        unreachable(metrics.gauge("ostraka_peer_unreachable",
                                  "1 while connecting to the node fails and is tried rarely",
                                  {{"peer", name}})),
        latency(
            metrics.histogram("ostraka_peer_call_seconds", "from a call to its answer", {{"peer", name}})) {}
  const NodeName name;
  PeerBreaker breaker;
  std::atomic<unsigned> version{0};                // that was agreed on; 0: none yet
  std::atomic<bool> foreign{false};                // it speaks no version that this node does
  std::atomic<TimePoint> heard{TimePoint::min()};  // when it last answered, on any shard
  // When its host last refused a connection; min(): not since one was made.
  std::atomic<TimePoint> refused{TimePoint::min()};
  Counter& calls;
  Counter& errors;
  Gauge& unreachable;
  Histogram& latency;
  std::mutex mutex;
  net::HostPort address;  // under mutex
};

struct HttpTransport::Pool {
  std::unique_ptr<net::HttpCaller> client;
};

HttpTransport::HttpTransport(std::vector<Shard*> shards, Random& random, MetricRegistry& metrics,
                             HttpTransportConfig config)
    : random_(random),
      metrics_(metrics),
      config_(std::move(config)),
      peers_(std::make_shared<const Peers>()) {
  for (const Shard* shard : shards) pools_.emplace(shard, std::make_unique<Pool>());
}

HttpTransport::~HttpTransport() = default;

void HttpTransport::set_nodes(const std::map<NodeName, net::HostPort>& nodes) {
  const std::lock_guard lock(mutex_);
  auto peers = std::make_shared<Peers>();
  for (const auto& [name, address] : nodes) {
    std::shared_ptr<Peer>& peer = known_[name];
    if (!peer) peer = std::make_shared<Peer>(name, random_, config_.connect_timeout, metrics_);
    const std::lock_guard inner(peer->mutex);
    peer->address = address;
    peers->emplace(name, peer);
  }
  peers_ = std::move(peers);
}

std::shared_ptr<HttpTransport::Peer> HttpTransport::find(const NodeName& node) const {
  std::shared_ptr<const Peers> peers;
  {
    const std::lock_guard lock(mutex_);
    peers = peers_;
  }
  const auto found = peers->find(node);
  return found == peers->end() ? nullptr : found->second;
}

HttpTransport::Pool& HttpTransport::pool_of(Shard& shard) {
  const auto found = pools_.find(&shard);
  CHECK(found != pools_.end());
  return *found->second;
}

net::HttpCaller& HttpTransport::client_of(Shard& shard) {
  Pool& pool = pool_of(shard);
  if (!pool.client) {
    net::HttpClientConfig config;
    config.tls = config_.tls;
    config.connect_timeout = config_.connect_timeout;
    config.stall_timeout = config_.stall_timeout;
    config.dead_after = config_.dead_after;
    config.max_idle_per_peer = config_.max_idle_per_peer;
    // Few, as nodes begin to need connections all at once; but enough that one round of them tells.
    config.max_connects_per_peer = kBreakerFailures;
    config.on_connect = [this, &clock = shard.clock()](const net::ConnectOutcome& outcome) {
      connect_ended(clock, outcome);
    };
    pool.client = net::dial(config_.dial, shard, std::move(config));
  }
  return *pool.client;
}

void HttpTransport::connect_ended(Clock& clock, const net::ConnectOutcome& outcome) {
  const auto peer = find(outcome.tls_name);
  if (!peer) return;
  const TimePoint now = clock.now();
  if (outcome.connected) peer->refused.store(TimePoint::min(), std::memory_order_relaxed);
  // As of when it was begun: this thread may have stood still since the answer came.
  if (outcome.refused) peer->refused.store(now - outcome.took, std::memory_order_relaxed);
  if (outcome.connected || outcome.alive) return;
  if (outcome.ran_out && outcome.took < config_.connect_timeout / kTellingShare) return;
  if (outcome.silent && peer->heard.load(std::memory_order_relaxed) > now - outcome.took) return;
  note_failure(*peer, now, outcome.why);
}

void HttpTransport::note_failure(Peer& peer, TimePoint now, const std::string& why) {
  if (!peer.breaker.failed(now)) return;
  peer.unreachable.set(1);
  log::warn("peer {} cannot be reached, calls to it fail at once until a probe gets through error={}",
            peer.name, why);
}

void HttpTransport::note_success(Peer& peer, TimePoint now) {
  peer.heard.store(now, std::memory_order_relaxed);
  if (!peer.breaker.worked()) return;
  peer.unreachable.set(0);
  log::info("peer {} is reached again", peer.name);
}

void HttpTransport::heard_from(const NodeName& node) {
  if (const auto peer = find(node)) peer->breaker.try_again();
}

std::optional<TimePoint> HttpTransport::refused_at(const NodeName& node) const {
  const auto peer = find(node);
  const TimePoint at = peer ? peer->refused.load(std::memory_order_relaxed) : TimePoint::min();
  return at == TimePoint::min() ? std::nullopt : std::optional(at);
}

net::ClientRequest HttpTransport::request_to(const Peer& peer, const Ctx& ctx) const {
  net::ClientRequest request;
  request.tls = config_.tls != nullptr;
  request.tls_name = peer.name;
  request.headers.add("Host", peer.name);
  if (!ctx.request_id.empty()) request.headers.add(std::string(kRequestIdHeader), ctx.request_id);
  return request;
}

Task<Result<PeerAnswer>> HttpTransport::call(Ctx& ctx, const NodeName& node, PeerCall call,
                                             std::vector<disk::BlockTarget> into) {
  if (!is_peer_method(call.method) || call.head.size() > kMaxPeerHead ||
      total_bytes(call.body) > kMaxPeerBody || target_bytes(into) > kMaxPeerBody) {
    co_return fail(Errc::invalid_argument, "a peer call over its limits: " + call.method);
  }
  Clock& clock = ctx.shard.clock();
  const TimePoint begin = clock.now();
  if (ctx.deadline <= begin) co_return fail(Errc::deadline);
  const std::shared_ptr<Peer> peer = find(node);
  if (!peer) co_return fail(Errc::unavailable, "no node of the name " + node);
  Result<PeerAnswer> answer = co_await exchange(ctx, *peer, std::move(call), std::move(into));
  peer->calls.add();
  if (!answer) peer->errors.add();
  // It may have been restarted, with another release.
  if (answer.failed_with(Errc::closed)) peer->version.store(0, std::memory_order_relaxed);
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock.now() - begin);
  peer->latency.observe_us(static_cast<std::uint64_t>(took.count()));
  co_return answer;
}

Task<Result<PeerAnswer>> HttpTransport::exchange(Ctx& ctx, Peer& peer, PeerCall call,
                                                 std::vector<disk::BlockTarget> into) {
  Clock& clock = ctx.shard.clock();
  const bool may_connect = peer.breaker.may_connect(clock.now());
  unsigned version = peer.version.load(std::memory_order_relaxed);
  if (version == 0) {
    CO_TRY(hello, co_await negotiate(ctx, peer, may_connect));
    version = std::min(hello.newest_version, kNewestPeerVersion);
    peer.version.store(version, std::memory_order_relaxed);
  }
  net::ClientRequest request = request_to(peer, ctx);
  {
    const std::lock_guard lock(peer.mutex);
    request.peer = peer.address;
  }
  request.method = "POST";
  request.target = std::string(kPeerPath) + std::to_string(version) + "/" + call.method;
  request.end_by = ctx.deadline;
  if (ctx.deadline != kNoDeadline) request.stall = Duration::max();  // some calls work for long
  request.may_connect = may_connect;
  request.body = encode_frame(FrameKind::call, call.method, call.head, call.body);
  for (const Slice& slice : call.body) request.parts.push_back(slice.bytes);
  const TimePoint now = clock.now();
  if (ctx.deadline <= now) co_return fail(Errc::deadline);
  if (ctx.deadline != kNoDeadline) {
    // Rounded up: the end that waits is the one that gives up.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(ctx.deadline - now);
    request.headers.add(std::string(kDeadlineHeader), std::to_string(left.count()));
  }

  if (call.stop) {
    request.on_sending = [stop = call.stop](std::function<void()> end) { stop->on_request(std::move(end)); };
  }
  if (call.stop && call.stop->requested()) co_return fail(Errc::closed, "given up before it was sent");
  net::HttpCaller& client = client_of(ctx.shard);
  auto response = co_await client.request(std::move(request));
  if (call.stop) call.stop->on_request(nullptr);
  if (!response) {
    co_return tl::unexpected<Error>(Error{response.code(), peer.name + ": " + response.error().detail});
  }
  note_success(peer, clock.now());
  // An older release than the one that was agreed with runs there now.
  if (response->status == 404) peer.version.store(0, std::memory_order_relaxed);
  if (response->status != 200 || !response->content_length)
    co_return tl::unexpected<Error>(error_of(response->status));
  CO_TRY(frame, co_await read_frame(*response->body, *response->content_length, call.method));
  CO_TRY(head, co_await read_head(*response->body, frame));
  if (frame.kind == FrameKind::error && frame.body_bytes == 0)
    co_return tl::unexpected<Error>(decode_error(head));
  if (frame.kind != FrameKind::answer)
    co_return fail(Errc::malformed, peer.name + " answered something that is no answer");
  PeerAnswer answer;
  answer.head = std::move(head);
  const std::size_t bytes = frame.body_bytes;
  if (bytes == 0) co_return answer;
  if (into.empty()) {
    Buffer buffer = Buffer::on_heap(bytes);
    const MutableByteSpan all = buffer.span().first(bytes);
    answer.body.push_back(Slice{buffer, all});
    into.push_back(disk::BlockTarget{std::move(buffer), all});
  }
  if (target_bytes(into) != bytes) {
    co_return fail(Errc::malformed,
                   peer.name + " answered " + std::to_string(bytes) + " bytes where others were expected");
  }
  if (call.checks_body) {
    CO_TRY_VOID(co_await read_unchecked_body(*response->body, into));
  } else {
    CO_TRY_VOID(co_await read_body(*response->body, frame, into));
  }
  co_return answer;
}

Task<Result<PeerHello>> HttpTransport::ask_hello(Ctx& ctx, Peer& peer, bool may_connect) {
  net::ClientRequest request = request_to(peer, ctx);
  {
    const std::lock_guard lock(peer.mutex);
    request.peer = peer.address;
  }
  request.target = std::string(kHelloPath);
  request.end_by = std::min(ctx.deadline, ctx.shard.clock().now() + config_.connect_timeout * 2);
  request.may_connect = may_connect;
  request.repeatable = true;
  net::HttpCaller& client = client_of(ctx.shard);
  CO_TRY(response, co_await client.request(std::move(request)));
  CO_TRY(text, co_await net::read_all(*response.body, kMaxHelloBytes));
  if (response.status != 200) co_return tl::unexpected<Error>(error_of(response.status));
  co_return parse_hello(text);
}

Task<Result<PeerHello>> HttpTransport::negotiate(Ctx& ctx, Peer& peer, bool may_connect) {
  Clock& clock = ctx.shard.clock();
  const TimePoint begin = clock.now();
  auto hello = co_await ask_hello(ctx, peer, may_connect);
  if (!hello) {
    // Connected, and then sent away or not answered: a node that does not trust our certificate, or hangs.
    // (That connecting failed is noted where it is tried.)
    const TimePoint now = clock.now();
    const bool telling =
        !hello.failed_with(Errc::deadline) || (now - begin >= config_.connect_timeout / kTellingShare &&
                                               peer.heard.load(std::memory_order_relaxed) <= begin);
    if (!hello.failed_with(Errc::unavailable) && telling) note_failure(peer, now, hello.error().detail);
    co_return fail(Errc::unavailable, peer.name + ": " + hello.error().detail);
  }
  note_success(peer, clock.now());
  if (hello->newest_version < kOldestPeerVersion || hello->oldest_version > kNewestPeerVersion) {
    std::string difference = fmt::format(
        "{} ({}) speaks versions {} to {} of the peer protocol, and we {} to {}", peer.name, hello->build,
        hello->oldest_version, hello->newest_version, kOldestPeerVersion, kNewestPeerVersion);
    if (!peer.foreign.exchange(true))
      log::warn("{}: no calls until one of us is another release", difference);
    co_return fail(Errc::unsupported_version, std::move(difference));
  }
  peer.foreign = false;
  co_return hello;
}

Task<Result<PeerHello>> HttpTransport::hello(Ctx& ctx, const NodeName& node) {
  if (ctx.deadline <= ctx.shard.clock().now()) co_return fail(Errc::deadline);
  const std::shared_ptr<Peer> peer = find(node);
  if (!peer) co_return fail(Errc::unavailable, "no node of the name " + node);
  const bool may_connect = peer->breaker.may_connect(ctx.shard.clock().now());
  co_return co_await negotiate(ctx, *peer, may_connect);
}

Task<> HttpTransport::drop(Pool* pool) {
  pool->client.reset();
  co_return;
}

Task<> HttpTransport::close() {
  for (auto& [shard, pool] : pools_) gate_.spawn(const_cast<Shard*>(shard)->executor(), drop(pool.get()));
  co_await gate_.close();
}

}  // namespace ostraka::cluster
