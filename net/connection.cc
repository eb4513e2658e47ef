#include "net/connection.h"

#include <sys/socket.h>

#include <array>
#include <exception>

#include "base/log.h"
#include "net/xml_writer.h"

namespace ostraka::net {
namespace {

constexpr std::size_t kMaxLingerBytes = 16U << 20;
constexpr Duration kLinger = std::chrono::seconds(2);
constexpr std::uint8_t kTlsHandshake = 0x16;  // what every ClientHello begins with (RFC 8446, 5.1)
constexpr Duration kMaxWatchGranularity = std::chrono::milliseconds(500);

// Fine enough for the shortest timeout that is configured.
Duration granularity(const HttpServerConfig& config) {
  const Duration shortest =
      std::min({config.head_timeout, config.idle_timeout, config.read_timeout, config.write_timeout});
  return std::clamp<Duration>(shortest / 8, std::chrono::milliseconds(1), kMaxWatchGranularity);
}

// The finaliser of SplitMix64 (Steele et al. 2014): a bijection, so numbers that differ give ids that differ.
std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

struct Refusal {
  unsigned status;
  std::string_view code;
  std::string_view message;
};
Refusal refusal_of(Errc code) {
  switch (code) {
    case Errc::too_large:
      return {400, "RequestHeaderSectionTooLarge",
              "Your request header and query string parameters used to make the request exceed the maximum "
              "allowed size."};
    case Errc::not_implemented:
      return {501, "NotImplemented", "A header you provided implies functionality that is not implemented."};
    case Errc::deadline:
      return {
          400, "RequestTimeout",
          "Your socket connection to the server was not read from or written to within the timeout period."};
    default:
      return {400, "BadRequest", "An error occurred when parsing the HTTP request."};
  }
}

}  // namespace

std::string error_xml(std::string_view code, std::string_view message, std::string_view request_id) {
  XmlWriter xml;
  xml.open("Error").element("Code", code).element("Message", message);
  xml.element("RequestId", request_id).close("Error");
  return xml.take();
}

void send_slow_down(int socket) {
  const std::string body = error_xml("SlowDown", "Please reduce your request rate.", "");
  std::string text =
      "HTTP/1.1 503 Slow Down\r\nServer: Ostraka\r\nContent-Type: application/xml\r\nConnection: "
      "close\r\nContent-Length: ";
  text += std::to_string(body.size()) + "\r\n\r\n" + body;
  // A fresh socket has room for this.
  if (::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    log::debug("a refused client was gone already");
}

HttpMetrics::HttpMetrics(MetricRegistry& registry)
    : connections(registry.gauge("ostraka_http_connections", "open connections")),
      requests(registry.gauge("ostraka_http_requests_in_flight", "requests being served")),
      bytes_in(registry.counter("ostraka_http_received_bytes_total", "bytes received, heads included")),
      bytes_out(registry.counter("ostraka_http_sent_bytes_total", "bytes sent, heads included")),
      bad_heads(registry.counter("ostraka_http_bad_heads_total",
                                 "request heads refused as malformed, too large or too slow")),
      refused(registry.counter("ostraka_http_refused_connections_total", "connections over the limit")) {}

ConnectionHome::ConnectionHome(Shard& s, Service& sv, const HttpServerConfig& c, MetricRegistry& registry)
    : shard(s),
      service(sv),
      config(c),
      metrics(registry),
      watch(s, granularity(c)),
      date(s.clock()),
      // Milliseconds since 1970 above, so that a restart does not repeat numbers; then the shard; then 2^30
      // requests a millisecond-slot.
      request_number(static_cast<std::uint64_t>(s.clock().unix_ms()) << 22U ^
                     static_cast<std::uint64_t>(s.index()) << 56U) {}

std::string ConnectionHome::next_request_id() {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::uint64_t rest = mix(++request_number);
  std::string id(16, '0');
  for (auto digit = id.rbegin(); digit != id.rend(); ++digit, rest >>= 4U) *digit = kDigits[rest & 15U];
  return id;
}

Task<> run_connection(ConnectionHome* home, SocketHandle socket, bool is_v6, std::string remote,
                      bool only_peers) {
  if (!home->stopping) {
    Connection connection(*home, std::move(remote), only_peers);
    co_await connection.run(std::move(socket), is_v6);
  }
  home->load.fetch_sub(1, std::memory_order_relaxed);
  home->changed.set();
}

Task<> wind_down(ConnectionHome* home, TimePoint until) {
  home->stopping = true;
  for (Connection& connection : home->connections) connection.close_if_idle();
  bool in_time = true;
  while (!home->connections.empty()) {
    home->changed.reset();
    const TimePoint deadline = in_time ? until : kNoDeadline;
    const bool changed = co_await home->changed.wait_until(home->shard.clock(), deadline);
    if (changed || !in_time) continue;
    in_time = false;
    log::warn("requests still run at the end of the shutdown time, cutting their connections shard={}",
              home->shard.index());
    for (Connection& connection : home->connections) connection.kill();
  }
  home->watch.stop();
}

Connection::Connection(ConnectionHome& home, std::string remote, bool only_peers)
    : home_(home), remote_(std::move(remote)), only_peers_(only_peers), stream_(home.watch) {
  home_.connections.push_back(*this);
  home_.metrics.connections.add(1);
}

Connection::~Connection() {
  count_bytes();
  home_.metrics.connections.add(-1);
  if (is_peer()) home_.peers.fetch_sub(1, std::memory_order_relaxed);
}

void Connection::count_bytes() {
  home_.metrics.bytes_in.add(stream_.bytes_in() - std::exchange(counted_in_, stream_.bytes_in()));
  home_.metrics.bytes_out.add(stream_.bytes_out() - std::exchange(counted_out_, stream_.bytes_out()));
}

void Connection::close_if_idle() {
  if (idle_) stream_.close();
}

Task<> Connection::run(SocketHandle socket, bool is_v6) {
  const bool opened = co_await open(std::move(socket), is_v6);
  while (opened) {
    auto request = co_await read_head();
    if (!request) {
      co_await refuse(request.error());
      break;
    }
    if (!request->has_value()) break;
    const bool goes_on = co_await serve(std::move(**request));
    if (!goes_on) break;
  }
  stream_.close();
}

Task<bool> Connection::open(SocketHandle socket, bool is_v6) {
  if (!stream_.adopt(std::move(socket), is_v6)) co_return false;
  Duration patience = home_.config.head_timeout;
  if (only_peers_) patience = std::min<Duration>(patience, kStrangerTimeout);
  head_by_ = deadline_after(home_.shard.clock().now(), patience);
  const bool shaken = co_await shake_hands(head_by_);
  if (!shaken) co_return false;
  if (is_peer()) home_.peers.fetch_add(1, std::memory_order_relaxed);
  if (!only_peers_ || is_peer()) co_return true;
  home_.metrics.refused.add();
  if (!stream_.is_tls()) {
    send_slow_down(stream_.native_handle());
    co_await linger();
  }
  co_return false;
}

Task<bool> Connection::shake_hands(TimePoint deadline) {
  const HttpServerConfig& config = home_.config;
  if (!config.tls && !config.peers) co_return true;
  if (!config.tls) {  // S3 without TLS and peers with it: the first byte tells
    const Result<std::optional<std::uint8_t>> first = co_await stream_.peek(deadline);
    if (!first || !*first) co_return false;
    if (**first != kTlsHandshake) co_return true;
  }
  std::unique_ptr<TlsStream> session;
  if (config.peers) {
    generation_ = config.peers->tls->generation();
    session = config.peers->tls->accept(stream_.native_handle(), config.tls.get());
  } else {
    session = config.tls->accept(stream_.native_handle());
  }
  if (!session) co_return false;
  const Result<> done = co_await stream_.start_tls(std::move(session), deadline);
  if (!done) log::debug("no TLS session peer={} error={}", remote_, done.error().detail);
  co_return done.has_value();
}

bool Connection::should_end() const noexcept {
  if (home_.stopping) return true;
  if (is_peer()) return generation_ != home_.config.peers->tls->generation();
  return home_.leaving.load(std::memory_order_relaxed);
}

Task<Result<std::optional<ParsedRequest>>> Connection::read_head() {
  Clock& clock = home_.shard.clock();
  const HttpServerConfig& config = home_.config;
  const Duration idle = is_peer() ? config.peers->idle_timeout : config.idle_timeout;
  TimePoint deadline = deadline_after(clock.now(), idle);
  if (first_ && !is_peer())
    deadline = stream_.is_tls() ? deadline_after(clock.now(), config.head_timeout) : head_by_;
  bool begun = false;
  std::size_t searched = 0;
  for (;;) {
    while (as_text(input_.filled()).starts_with("\r\n")) input_.consume(2);  // RFC 9112, section 2.2
    const std::string_view text = as_text(input_.filled());
    if (!text.empty()) {
      // Something else, a TLS client for example, would never send the line end that is waited for.
      if (text[0] != '\r' && (text[0] <= ' ' || text[0] >= 0x7f)) co_return fail(Errc::malformed, "not HTTP");
      if (const auto end = find_head_end(text, searched)) {
        auto parsed = parse_request(text.substr(0, *end));
        input_.consume(*end);
        if (!parsed) co_return tl::unexpected<Error>(std::move(parsed).error());
        first_ = false;
        co_return std::optional<ParsedRequest>(std::move(*parsed));
      }
      if (text.size() >= kMaxHeadBytes) co_return fail(Errc::too_large, "a head over the limit");
      searched = text.size();
      if (!std::exchange(begun, true) && !first_) deadline = deadline_after(clock.now(), config.head_timeout);
    }
    idle_ = text.empty();
    if (idle_ && home_.stopping) co_return std::nullopt;
    const MutableByteSpan room = input_.room();
    const Result<std::size_t> got = co_await stream_.read(room, MutableByteSpan(), deadline);
    idle_ = false;
    if (!got && got.failed_with(Errc::deadline) && begun) co_return fail(Errc::deadline, "a head too slow");
    if (!got || *got == 0) co_return std::nullopt;
    input_.filled_more(*got);
  }
}

WireAnswerSpec Connection::answer_spec(const ParsedRequest& request) const {
  return {.is_head = request.head.method == Method::head,
          .http_1_0 = request.http_1_0,
          .keep_alive = request.keep_alive && !should_end(),
          .date = &home_.date,
          .stall = home_.config.write_timeout};
}

Task<bool> Connection::serve(ParsedRequest request) {
  request.head.remote_address = remote_;
  request.head.tls = stream_.is_tls();
  request.head.peer = stream_.peer();
  const WireBodySpec body_spec{.framing = request.head.chunked ? BodyFraming::chunked : BodyFraming::length,
                               .length = request.head.content_length.value_or(0),
                               .stall = home_.config.read_timeout,
                               .least_bytes = kLeastBytesPerTimeout,
                               .expects_continue = request.expects_continue};
  WireBody body(stream_, input_, home_.shard.clock(), body_spec);
  WireAnswer answer(stream_, body, answer_spec(request));
  Ctx ctx{.shard = home_.shard, .deadline = kNoDeadline, .request_id = home_.next_request_id()};
  home_.metrics.requests.add(1);
  co_await call_service(ctx, request.head, body, answer);
  home_.metrics.requests.add(-1);

  if (!answer.complete()) {
    stream_.abort();  // so that the client sees that something is missing
    co_return false;
  }
  bool goes_on = answer.keeps_connection() && !home_.stopping;
  if (goes_on && !body.ended()) goes_on = co_await body.drain();
  count_bytes();
  if (!goes_on) {
    if (body.ended()) {
      stream_.shutdown_send();
    } else {
      co_await linger();
    }
  }
  co_return goes_on;
}

Task<> Connection::call_service(Ctx& ctx, RequestHead& head, WireBody& body, WireAnswer& answer) {
  try {
    Service& service = is_peer() ? *home_.config.peers->service : home_.service;
    co_await service.serve(ctx, head, body, answer);
  } catch (const std::exception& e) {
    log::error("an exception left the service request={} target={} what={}", ctx.request_id, head.target,
               e.what());
  }
  if (answer.complete() || answer.started()) co_return;
  answer.close_afterwards();
  ResponseHead failure{.status = 500, .headers = {{"Content-Type", "application/xml"}}};
  std::string text =
      error_xml("InternalError", "We encountered an internal error. Please try again.", ctx.request_id);
  const Result<> sent = co_await answer.respond(std::move(failure), std::move(text));
  if (!sent) log::debug("no answer could be sent request={}", ctx.request_id);
}

Task<> Connection::refuse(Error error) {
  home_.metrics.bad_heads.add();
  const std::string id = home_.next_request_id();
  log::debug("request head refused peer={} request={} why={}", remote_, id, error.detail);
  const Refusal refusal = refusal_of(error.code);
  WireBody body(stream_, input_, home_.shard.clock(), WireBodySpec());
  const WireAnswerSpec spec{.keep_alive = false, .date = &home_.date, .stall = home_.config.write_timeout};
  WireAnswer answer(stream_, body, spec);
  ResponseHead head{.status = refusal.status,
                    .headers = {{"Content-Type", "application/xml"}, {"x-amz-request-id", id}}};
  std::string text = error_xml(refusal.code, refusal.message, id);
  const Result<> sent = co_await answer.respond(std::move(head), std::move(text));
  if (sent) co_await linger();
}

// Closing while the peer still sends would make its kernel throw our answer away: take what comes for a
// while.
Task<> Connection::linger() {
  stream_.shutdown_send();
  const TimePoint deadline =
      deadline_after(home_.shard.clock().now(), std::min<Duration>(kLinger, home_.config.read_timeout));
  std::size_t dropped = 0;
  input_.consume(input_.filled().size());
  while (dropped < kMaxLingerBytes) {
    const MutableByteSpan room = input_.room();
    const Result<std::size_t> got = co_await stream_.read(room, MutableByteSpan(), deadline);
    if (!got || *got == 0 || home_.shard.clock().now() >= deadline) break;
    dropped += *got;
  }
}

}  // namespace ostraka::net
