#include "net/http_head.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/status.hpp>

#include "base/encoding.h"

namespace ostraka::net {
namespace {

namespace http = boost::beast::http;
using BeastError = boost::beast::error_code;
using BeastText = boost::beast::string_view;

std::string text_of(BeastText text) {
  return {text.data(), text.size()};
}

Method method_of(http::verb verb) noexcept {
  switch (verb) {
    case http::verb::get:
      return Method::get;
    case http::verb::head:
      return Method::head;
    case http::verb::put:
      return Method::put;
    case http::verb::post:
      return Method::post;
    case http::verb::delete_:
      return Method::delete_;
    case http::verb::options:
      return Method::options;
    default:
      return Method::other;
  }
}

// What Beast reports of one head.
template <bool IsRequest>
class HeadParser final : public http::basic_parser<IsRequest> {
 public:
  HeadParser() {
    this->header_limit(static_cast<std::uint32_t>(kMaxHeadBytes));
    this->body_limit(boost::none);
  }
  RequestHead request;
  unsigned status = 0;
  int version = 11;
  Headers headers;
  bool too_many = false;

 protected:
  void on_request_impl(http::verb verb, BeastText method_text, BeastText target, int http_version,
                       BeastError&) override {
    request.method = method_of(verb);
    request.method_text = text_of(method_text);
    request.target = text_of(target);
    version = http_version;
  }
  void on_response_impl(int code, BeastText, int http_version, BeastError&) override {
    status = static_cast<unsigned>(code);
    version = http_version;
  }
  void on_field_impl(http::field, BeastText name, BeastText value, BeastError& error) override {
    if (headers.all().size() == kMaxHeadFields) {
      too_many = true;
      error = http::error::header_limit;
      return;
    }
    headers.add(text_of(name), text_of(value));
  }
  void on_header_impl(BeastError&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}
  std::size_t on_body_impl(BeastText body, BeastError&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, BeastText, BeastError&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastText body, BeastError&) override { return body.size(); }
  void on_finish_impl(BeastError&) override {}
};

// Beast folds obsolete line folding into a blank and others do not; a NUL or a bare line end is read
// differently everywhere.
Result<> check_lines(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (c == '\0') return fail(Errc::malformed, "a NUL byte in the head");
    if (c == '\r' && (i + 1 == bytes.size() || bytes[i + 1] != '\n')) {
      return fail(Errc::malformed, "a bare CR in the head");
    }
    if (c != '\n') continue;
    if (i == 0 || bytes[i - 1] != '\r') return fail(Errc::malformed, "a bare LF in the head");
    if (i + 1 < bytes.size() && (bytes[i + 1] == ' ' || bytes[i + 1] == '\t')) {
      return fail(Errc::malformed, "obsolete line folding in the head");
    }
  }
  return {};
}

// How the message says its body is delimited, and whether the connection goes on after it.
struct Framing {
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool close = false;
  bool keep_alive = false;
  std::size_t hosts = 0;
};

Result<Framing> framing_of(const Headers& headers) {
  Framing framing;
  for (const auto& [name, value] : headers.all()) {
    if (iequals(name, "content-length")) {
      const auto length = parse_u64(value);
      if (!length) return fail(Errc::malformed, "a Content-Length that is not a number");
      if (framing.content_length && *framing.content_length != *length) {
        return fail(Errc::malformed, "two different Content-Lengths");
      }
      framing.content_length = length;
    } else if (iequals(name, "transfer-encoding")) {
      if (framing.chunked) return fail(Errc::malformed, "two Transfer-Encodings");
      if (!iequals(value, "chunked"))
        return fail(Errc::not_implemented, "a transfer coding other than chunked");
      framing.chunked = true;
    } else if (iequals(name, "connection")) {
      for (std::string_view rest = value; !rest.empty();) {
        const auto comma = rest.find(',');
        const std::string_view option = trim(rest.substr(0, comma));
        framing.close = framing.close || iequals(option, "close");
        framing.keep_alive = framing.keep_alive || iequals(option, "keep-alive");
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
      }
    } else if (iequals(name, "host")) {
      ++framing.hosts;
    }
  }
  if (framing.chunked && framing.content_length) {
    return fail(Errc::malformed, "both a Content-Length and a Transfer-Encoding");
  }
  return framing;
}

template <bool IsRequest>
Result<> run_parser(HeadParser<IsRequest>& parser, std::string_view bytes) {
  if (bytes.size() > kMaxHeadBytes) return fail(Errc::too_large, "a head over the limit");
  TRY_VOID(check_lines(bytes));
  BeastError error;
  // No input makes Beast's parser throw on purpose; its callbacks here may run out of memory only.
  const std::size_t used = parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (parser.too_many) return fail(Errc::too_large, "too many header fields");
  if (error && error != http::error::need_more) return fail(Errc::malformed, error.message());
  if (!parser.is_header_done() || used != bytes.size()) return fail(Errc::malformed, "not one whole head");
  return {};
}

}  // namespace

std::optional<std::size_t> find_head_end(std::string_view bytes, std::size_t from) noexcept {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const std::size_t start = from < kEnd.size() ? 0 : from - (kEnd.size() - 1);  // it may straddle the seam
  const std::size_t at = bytes.find(kEnd, start);
  if (at == std::string_view::npos) return std::nullopt;
  return at + kEnd.size();
}

Result<ParsedRequest> parse_request(std::string_view bytes) {
  HeadParser<true> parser;
  TRY_VOID(run_parser(parser, bytes));
  ParsedRequest out;
  out.head = std::move(parser.request);
  out.head.headers = std::move(parser.headers);
  if (out.head.target.size() > kMaxTargetBytes)
    return fail(Errc::too_large, "a request target over the limit");
  TRY(framing, framing_of(out.head.headers));
  out.http_1_0 = parser.version < 11;
  if (out.http_1_0 && framing.chunked) return fail(Errc::malformed, "a Transfer-Encoding in HTTP/1.0");
  if (framing.hosts > 1) return fail(Errc::malformed, "two Host fields");
  if (framing.hosts == 0 && !out.http_1_0) return fail(Errc::malformed, "no Host field");
  out.head.chunked = framing.chunked;
  if (!framing.chunked) out.head.content_length = framing.content_length.value_or(0);
  out.keep_alive = !framing.close && (!out.http_1_0 || framing.keep_alive);
  out.expects_continue = !out.http_1_0 && iequals(out.head.headers.get("expect"), "100-continue");
  return out;
}

Result<RequestHead> parse_head(std::string_view bytes) {
  TRY(parsed, parse_request(bytes));
  return std::move(parsed.head);
}

Result<ParsedResponse> parse_response(std::string_view bytes) {
  HeadParser<false> parser;
  TRY_VOID(run_parser(parser, bytes));
  TRY(framing, framing_of(parser.headers));
  ParsedResponse out;
  out.status = parser.status;
  out.headers = std::move(parser.headers);
  out.content_length = framing.content_length;
  out.chunked = framing.chunked;
  out.keep_alive = !framing.close && (parser.version >= 11 || framing.keep_alive);
  return out;
}

void append_status_line(std::string& out, unsigned status) {
  out += "HTTP/1.1 ";
  out += std::to_string(status);
  out += ' ';
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  out.append(reason.data(), reason.size());
  out += "\r\n";
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  const std::size_t start = out.size();
  out += value;
  const auto control = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  };
  std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), control, ' ');
  out += "\r\n";
}

}  // namespace ostraka::net
