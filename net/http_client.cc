#include "net/http_client.h"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <charconv>

#include "base/encoding.h"
#include "net/http_head.h"
#include "net/input_buffer.h"
#include "net/wire_body.h"

namespace ostraka::net {
namespace {

using Tcp = boost::asio::ip::tcp;
constexpr auto kAwaitTuple = boost::asio::as_tuple(kAwait);
constexpr std::size_t kSendBytes = 256U << 10;  // of a streamed request body, at a time

bool has_control(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// What would let one request look like two.
Result<> check(const ClientRequest& request) {
  bool bad = has_control(request.method) || has_control(request.target) ||
             request.target.find(' ') != std::string::npos;
  for (const auto& [name, value] : request.headers.all())
    bad = bad || has_control(name) || has_control(value);
  if (bad) return fail(Errc::invalid_argument, "a control character in a request");
  return {};
}

std::string head_of(const ClientRequest& request) {
  std::string head = request.method + ' ' + request.target + " HTTP/1.1\r\n";
  if (request.headers.find("Host") == nullptr) append_header(head, "Host", to_string(request.peer));
  for (const auto& [name, value] : request.headers.all()) append_header(head, name, value);
  if (request.source == nullptr) {
    const bool none = request.body.empty() &&
                      (request.method == "GET" || request.method == "HEAD" || request.method == "DELETE");
    if (!none) append_header(head, "Content-Length", std::to_string(request.body.size()));
  } else if (request.source_length) {
    append_header(head, "Content-Length", std::to_string(*request.source_length));
  } else {
    append_header(head, "Transfer-Encoding", "chunked");
  }
  head += "\r\n";
  return head;
}

bool has_no_body(std::string_view method, unsigned status) noexcept {
  return method == "HEAD" || status == 204 || status == 304;
}

}  // namespace

// One connection.
struct HttpClient::Wire {
  Wire(StreamWatch& watch, Key k) : key(std::move(k)), stream(watch) {}
  const Key key;
  Stream stream;
  InputBuffer input;
  TimePoint idle_since{};
  bool reused = false;
  bool answered = false;  // a byte of the current response has come
  bool keep_alive = false;
};

// Gives the connection back when it has been read to the end.
class HttpClient::ResponseBody final : public BodySource {
 public:
  ResponseBody(HttpClient& client, std::unique_ptr<Wire> wire, WireBodySpec spec)
      : client_(client),
        wire_(std::move(wire)),
        body_(wire_->stream, wire_->input, client.shard_.clock(), spec) {
    release_if_ended();
  }
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    if (!wire_) co_return 0U;
    Result<std::size_t> got = co_await body_.read(out);
    release_if_ended();
    co_return got;
  }

 private:
  void release_if_ended() {
    if (!body_.ended()) return;
    std::unique_ptr<Wire> wire = std::move(wire_);
    if (wire->keep_alive && wire->input.empty()) client_.give_back(std::move(wire));
  }
  HttpClient& client_;
  std::unique_ptr<Wire> wire_;
  WireBody body_;
};

HttpClient::HttpClient(Shard& shard, HttpClientConfig config)
    : shard_(shard),
      config_(std::move(config)),
      watch_(shard, std::clamp<Duration>(std::min(config_.connect_timeout, config_.stall_timeout) / 8,
                                         std::chrono::milliseconds(1), std::chrono::milliseconds(20))) {}

HttpClient::~HttpClient() = default;

std::size_t HttpClient::idle_connections() const noexcept {
  std::size_t count = 0;
  for (const auto& [key, wires] : idle_) count += wires.size();
  return count;
}

void HttpClient::abort() {
  watch_.close_all();
  idle_.clear();
}

void HttpClient::drop_expired() {
  const TimePoint oldest = shard_.clock().now() - config_.keep_idle;
  for (auto peer = idle_.begin(); peer != idle_.end();) {
    std::erase_if(peer->second,
                  [oldest](const std::unique_ptr<Wire>& wire) { return wire->idle_since < oldest; });
    peer = peer->second.empty() ? idle_.erase(peer) : std::next(peer);
  }
}

std::unique_ptr<HttpClient::Wire> HttpClient::take_idle(const Key& key) {
  drop_expired();
  const auto peer = idle_.find(key);
  while (peer != idle_.end() && !peer->second.empty()) {
    std::unique_ptr<Wire> wire = std::move(peer->second.back());
    peer->second.pop_back();
    if (wire->stream.is_quiet()) {
      wire->reused = true;
      return wire;
    }
  }
  return nullptr;
}

void HttpClient::give_back(std::unique_ptr<Wire> wire) {
  drop_expired();
  auto& wires = idle_[wire->key];
  if (wires.size() >= config_.max_idle_per_peer) return;
  wire->idle_since = shard_.clock().now();
  wires.push_back(std::move(wire));
}

Task<Result<std::unique_ptr<HttpClient::Wire>>> HttpClient::connect(const ClientRequest& request) {
  const TimePoint deadline =
      std::min(request.deadline, deadline_after(shard_.clock().now(), config_.connect_timeout));
  std::vector<Tcp::endpoint> endpoints;
  boost::system::error_code error;
  const auto literal = boost::asio::ip::make_address(request.peer.host, error);
  if (!error) {
    endpoints.emplace_back(literal, request.peer.port);
  } else {
    boost::asio::ip::basic_resolver<Tcp, IoExecutor> resolver(shard_.executor());
    const std::string service = std::to_string(request.peer.port);
    const auto resolved = co_await resolver.async_resolve(request.peer.host, service, kAwaitTuple);
    if (std::get<0>(resolved)) {
      co_return fail(Errc::unavailable, request.peer.host + ": " + std::get<0>(resolved).message());
    }
    for (const auto& entry : std::get<1>(resolved)) endpoints.push_back(entry.endpoint());
  }
  std::string why = "no address";
  for (const Tcp::endpoint& endpoint : endpoints) {
    Key key{request.peer.host, request.peer.port, request.tls};
    auto wire = std::make_unique<Wire>(watch_, std::move(key));
    Result<> connected = co_await wire->stream.connect(endpoint, deadline);
    if (connected && request.tls) {
      auto session = config_.tls->connect(wire->stream.native_handle(), request.peer.host);
      if (!session) co_return fail(Errc::unavailable, "no TLS session for " + to_string(request.peer));
      connected = co_await wire->stream.start_tls(std::move(session), deadline);
    }
    if (connected) co_return wire;
    why = connected.error().detail;
  }
  co_return fail(Errc::unavailable, "cannot connect to " + to_string(request.peer) + ": " + why);
}

Task<Result<ClientResponse>> HttpClient::request(ClientRequest request) {
  CO_TRY_VOID(check(request));
  if (request.tls && !config_.tls) co_return fail(Errc::invalid_argument, "no TLS context to trust");
  for (;;) {
    if (request.deadline <= shard_.clock().now()) co_return fail(Errc::deadline);
    const Key key{request.peer.host, request.peer.port, request.tls};
    std::unique_ptr<Wire> wire = take_idle(key);
    if (!wire) {
      auto connected = co_await connect(request);
      if (!connected) co_return tl::unexpected<Error>(std::move(connected).error());
      wire = std::move(*connected);
    }
    wire->answered = false;
    const bool reused = wire->reused;
    const Result<> sent = co_await send(*wire, request);
    // A server may answer before it has read everything and close: so look for an answer even when sending
    // failed.
    Result<ClientResponse> response = fail(Errc::closed);
    if (sent || sent.failed_with(Errc::closed)) response = co_await receive(wire, request);
    if (response) co_return response;
    const bool died_unused = reused && wire && !wire->answered && response.failed_with(Errc::closed);
    if (died_unused && request.repeatable && request.source == nullptr) continue;
    if (!sent) co_return tl::unexpected<Error>(sent.error());
    co_return response;
  }
}

Task<Result<>> HttpClient::send(Wire& wire, const ClientRequest& request) {
  std::string head = head_of(request);
  if (request.source == nullptr) {
    std::array<iovec, 2> parts{iovec{head.data(), head.size()},
                               iovec{const_cast<char*>(request.body.data()), request.body.size()}};
    co_return co_await wire.stream.write(parts, config_.stall_timeout);
  }
  const bool chunked = !request.source_length;
  std::uint64_t left = request.source_length.value_or(0);
  const Buffer buffer = Buffer::on_heap(kSendBytes);
  std::string before = std::move(head);
  for (;;) {
    MutableByteSpan target = buffer.span();
    if (!chunked) target = target.first(std::min<std::uint64_t>(target.size(), left));
    CO_TRY(got, co_await read_full(*request.source, target));
    std::string after;
    if (chunked) {
      std::array<char, 16> size{};
      char* end = std::to_chars(size.data(), size.data() + size.size(), got, 16).ptr;
      before.append(size.data(), end).append("\r\n");
      after = "\r\n";  // after a chunk, and after the trailer that the last one does not have
    } else if (got < target.size()) {
      co_return fail(Errc::incomplete_body, "a request body shorter than announced");
    }
    left -= chunked ? 0 : got;
    std::array<iovec, 3> parts{iovec{before.data(), before.size()}, iovec{buffer.data(), got},
                               iovec{after.data(), after.size()}};
    CO_TRY_VOID(co_await wire.stream.write(parts, config_.stall_timeout));
    before.clear();
    if (chunked ? got == 0 : left == 0) co_return Result<>();
  }
}

Task<Result<ClientResponse>> HttpClient::receive(std::unique_ptr<Wire>& wire, const ClientRequest& request) {
  InputBuffer& input = wire->input;
  std::size_t searched = 0;
  for (;;) {
    const std::string_view text = as_text(input.filled());
    const auto end = find_head_end(text, searched);
    if (!end) {
      if (text.size() >= kMaxHeadBytes) co_return fail(Errc::malformed, "a response head over the limit");
      searched = text.size();
      const MutableByteSpan room = input.room();
      const TimePoint deadline =
          std::min(request.deadline, deadline_after(shard_.clock().now(), config_.stall_timeout));
      CO_TRY(got, co_await wire->stream.read(room, MutableByteSpan(), deadline));
      if (got == 0) co_return fail(Errc::closed, "the server closed the connection without an answer");
      wire->answered = true;
      input.filled_more(got);
      continue;
    }
    auto parsed = parse_response(text.substr(0, *end));
    if (!parsed) co_return tl::unexpected<Error>(Error{Errc::malformed, parsed.error().detail});
    input.consume(*end);
    searched = 0;
    if (parsed->status == 101) co_return fail(Errc::malformed, "an upgrade that was not asked for");
    if (parsed->status < 200) continue;  // 100 Continue and the like

    WireBodySpec spec{.framing = BodyFraming::until_close, .length = 0, .stall = config_.stall_timeout};
    if (has_no_body(request.method, parsed->status)) {
      spec.framing = BodyFraming::length;
    } else if (parsed->chunked) {
      spec.framing = BodyFraming::chunked;
    } else if (parsed->content_length) {
      spec.framing = BodyFraming::length;
      spec.length = *parsed->content_length;
    }
    wire->keep_alive = parsed->keep_alive && spec.framing != BodyFraming::until_close;
    ClientResponse response;
    response.status = parsed->status;
    response.headers = std::move(parsed->headers);
    response.content_length = parsed->content_length;
    response.body = std::make_unique<ResponseBody>(*this, std::move(wire), spec);
    co_return response;
  }
}

}  // namespace ostraka::net
