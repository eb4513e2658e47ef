// HTTP/1.1 heads: bytes to RequestHead and back. The tokens are Beast's parser; what it is lenient about and
// two parties could read in two ways (request smuggling) is refused here. Source: RFC 9112.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/limits.h"
#include "net/service.h"

namespace ostraka::net {

// Where the empty line that ends a head ends, or nullopt while it is not there yet. `from`: what an earlier
// call has already searched.
std::optional<std::size_t> find_head_end(std::string_view bytes, std::size_t from = 0) noexcept;

struct ParsedRequest {
  RequestHead head;  // remote_address and tls are the connection's to fill in
  bool http_1_0 = false;
  bool keep_alive = true;
  bool expects_continue = false;
};

// `bytes` is one whole head, ended by its empty line. Errors: malformed; too_large (target or number of
// fields); not_implemented (a transfer coding other than chunked).
Result<ParsedRequest> parse_request(std::string_view bytes);
// The same without what only a connection needs.
Result<RequestHead> parse_head(std::string_view bytes);

struct ParsedResponse {
  unsigned status = 0;
  Headers headers;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
};
Result<ParsedResponse> parse_response(std::string_view bytes);

// "HTTP/1.1 200 OK\r\n"
void append_status_line(std::string& out, unsigned status);
// "name: value\r\n". Control characters in the value, which could start another field, become blanks.
void append_header(std::string& out, std::string_view name, std::string_view value);

}  // namespace ostraka::net
