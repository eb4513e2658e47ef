#include "net/http_client.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/encoding.h"
#include "net/http_client_peer.h"
#include "net/http_head.h"
#include "net/wire_body.h"

namespace ostraka::net {
namespace {

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
    std::uint64_t bytes = request.body.size();
    for (const ByteSpan part : request.parts) bytes += part.size();
    const bool none =
        bytes == 0 && (request.method == "GET" || request.method == "HEAD" || request.method == "DELETE");
    if (!none) append_header(head, "Content-Length", std::to_string(bytes));
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
                                         std::chrono::milliseconds(1), std::chrono::milliseconds(20))),
      look_period_(std::clamp<Duration>(config_.connect_timeout / 16, std::chrono::milliseconds(1),
                                        std::chrono::milliseconds(50))) {}

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpCaller> dial(const HttpDial& with, Shard& shard, HttpClientConfig config) {
  if (with) return with(shard, std::move(config));
  return std::make_unique<HttpClient>(shard, std::move(config));
}

Duration HttpClient::stall_of(const ClientRequest& request) const noexcept {
  return request.stall.value_or(config_.stall_timeout);
}

Task<Result<ClientResponse>> HttpClient::request(ClientRequest request) {
  CO_TRY_VOID(check(request));
  if (request.tls && !config_.tls) co_return fail(Errc::invalid_argument, "no TLS context to trust");
  for (;;) {
    if (std::min(request.deadline, request.end_by) <= shard_.clock().now()) co_return fail(Errc::deadline);
    std::unique_ptr<Wire> wire = take_idle(key_of(request));
    if (!wire && !request.may_connect) co_return fail(Errc::unavailable, "no connection is kept");
    if (!wire) {
      CO_TRY(obtained, co_await obtain(request));
      wire = std::move(obtained);
      if (std::min(request.deadline, request.end_by) <= shard_.clock().now()) {
        give_back(std::move(wire));  // in time for others
        co_return fail(Errc::deadline);
      }
    }
    wire->answered = false;
    const bool reused = wire->reused;
    if (request.on_sending) request.on_sending([stream = &wire->stream] { stream->close(); });
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
    std::vector<iovec> parts{iovec{head.data(), head.size()},
                             iovec{const_cast<char*>(request.body.data()), request.body.size()}};
    for (const ByteSpan part : request.parts)
      parts.push_back({const_cast<std::uint8_t*>(part.data()), part.size()});
    co_return co_await wire.stream.write(parts, stall_of(request), request.end_by);
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
    CO_TRY_VOID(co_await wire.stream.write(parts, stall_of(request), request.end_by));
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
      const TimePoint stalled = deadline_after(shard_.clock().now(), stall_of(request));
      const TimePoint deadline = std::min({request.deadline, request.end_by, stalled});
      CO_TRY(got, co_await wire->stream.read(room, MutableByteSpan(), deadline));
      if (got == 0) co_return fail(Errc::closed, "the server closed the connection without an answer");
      wire->answered = true;
      ++wire->contact->signs;
      input.filled_more(got);
      continue;
    }
    auto parsed = parse_response(text.substr(0, *end));
    if (!parsed) co_return tl::unexpected<Error>(Error{Errc::malformed, parsed.error().detail});
    input.consume(*end);
    searched = 0;
    if (parsed->status == 101) co_return fail(Errc::malformed, "an upgrade that was not asked for");
    if (parsed->status < 200) continue;  // 100 Continue and the like

    WireBodySpec spec{.framing = BodyFraming::until_close,
                      .length = 0,
                      .stall = stall_of(request),
                      .least_bytes = 1,
                      .end_by = request.end_by};
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
