#include "net/wire_answer.h"

#include <array>
#include <charconv>

#include "base/check.h"
#include "net/http_head.h"

namespace ostraka::net {

WireAnswer::WireAnswer(Stream& stream, WireBody& request_body, WireAnswerSpec spec)
    : stream_(stream), request_body_(request_body), spec_(spec) {}

bool WireAnswer::has_body() const noexcept {
  return !spec_.is_head && status_ >= 200 && status_ != 204 && status_ != 304;
}

void WireAnswer::prepare(const ResponseHead& head, std::optional<std::uint64_t> content_length) {
  CHECK(!sent_);  // an answer that has not left yet may be replaced, for example by an error
  prepared_ = true;
  status_ = head.status;
  content_length_ = content_length;
  chunked_ = !content_length && !spec_.http_1_0;
  written_ = 0;
  failed_ = false;
  // A body that the client still sends can be read past, when it is short; one it was never told to send may
  // come or not.
  const WireBody::Awaited awaited = request_body_.stop_expecting();
  if (awaited != WireBody::Awaited::nothing) awaited_ = awaited;
  keep_alive_ = spec_.keep_alive && awaited_ != WireBody::Awaited::body &&
                !request_body_.too_long_to_drain() && (content_length.has_value() || chunked_ || !has_body());

  head_.clear();
  // botocore reads a final answer without these words as the answer to its next request too.
  if (awaited_ == WireBody::Awaited::words) head_ += "HTTP/1.1 100 Continue\r\n\r\n";
  append_status_line(head_, head.status);
  head_ += "Server: Ostraka\r\nDate: ";
  head_ += spec_.date->now();
  head_ += "\r\n";
  for (const auto& [name, value] : head.headers.all()) append_header(head_, name, value);
  const bool may_say_length = status_ >= 200 && status_ != 204;
  if (may_say_length && head.headers.find("Content-Length") == nullptr) {
    if (content_length && (status_ != 304 || *content_length > 0)) {
      append_header(head_, "Content-Length", std::to_string(*content_length));
    } else if (chunked_ && status_ != 304) {
      append_header(head_, "Transfer-Encoding", "chunked");
    }
  }
  if (!keep_alive_) {
    head_ += "Connection: close\r\n";
  } else if (spec_.http_1_0) {
    head_ += "Connection: keep-alive\r\n";
  }
  head_ += "\r\n";
}

Task<Result<>> WireAnswer::flush(std::span<const ByteSpan> parts, std::string_view before,
                                 std::string_view after) {
  if (failed_) co_return fail(Errc::closed, "an earlier write failed");
  iovecs_.clear();
  const auto add = [this](const void* bytes, std::size_t count) {
    if (count > 0) iovecs_.push_back({const_cast<void*>(bytes), count});
  };
  add(head_.data(), head_.size());
  add(before.data(), before.size());
  for (const ByteSpan part : parts) add(part.data(), part.size());
  add(after.data(), after.size());
  sent_ = sent_ || !iovecs_.empty();
  Result<> done = co_await stream_.write(iovecs_, spec_.stall);
  head_.clear();
  failed_ = !done;
  co_return done;
}

Task<Result<>> WireAnswer::respond(ResponseHead head, std::string body) {
  prepare(head, body.size());
  const ByteSpan bytes = as_bytes(body);
  const std::size_t parts = has_body() ? 1 : 0;
  CO_TRY_VOID(co_await flush(std::span<const ByteSpan>(&bytes, parts), "", ""));
  complete_ = true;
  co_return Result<>();
}

Task<Result<>> WireAnswer::start(ResponseHead head, std::optional<std::uint64_t> content_length) {
  prepare(head, content_length);
  co_return Result<>();
}

Task<Result<>> WireAnswer::write(std::span<const ByteSpan> parts) {
  CHECK(prepared_ && !complete_);
  std::uint64_t total = 0;
  for (const ByteSpan part : parts) total += part.size();
  if (total == 0) co_return Result<>();
  if (content_length_ && total > *content_length_ - written_) {
    failed_ = true;
    co_return fail(Errc::internal, "an answer longer than announced");
  }
  written_ += total;
  if (!has_body()) co_return Result<>();
  if (!chunked_) co_return co_await flush(parts, "", "");
  std::array<char, 18> size{};
  char* end = std::to_chars(size.data(), size.data() + 16, total, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  const std::string_view before(size.data(), static_cast<std::size_t>(end - size.data()));
  co_return co_await flush(parts, before, "\r\n");
}

Task<Result<>> WireAnswer::finish() {
  CHECK(prepared_ && !complete_);
  if (content_length_ && written_ != *content_length_ && has_body()) {
    failed_ = true;
    co_return fail(Errc::internal, "an answer shorter than announced");
  }
  const std::string_view after = chunked_ && has_body() ? "0\r\n\r\n" : "";
  if (!head_.empty() || !after.empty()) {
    const std::span<const ByteSpan> nothing;
    CO_TRY_VOID(co_await flush(nothing, "", after));
  }
  if (failed_) co_return fail(Errc::closed, "an earlier write failed");
  complete_ = true;
  co_return Result<>();
}

}  // namespace ostraka::net
