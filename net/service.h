// HTTP as a service interface: a request is a head and a body source, the answer goes into a sink. No socket
// is needed to call or to implement a Service; net::HttpServer is one caller, tests and the simulator are
// others.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/ctx.h"
#include "runtime/task.h"

namespace ostraka::net {

enum class Method : std::uint8_t { get, head, put, post, delete_, options, other };
std::string_view to_string(Method method) noexcept;

using Header = std::pair<std::string, std::string>;

// Header fields in the order received. Names are kept as received and compared case-insensitively; values are
// trimmed.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> list) : list_(list) {}
  void add(std::string name, std::string value) { list_.emplace_back(std::move(name), std::move(value)); }
  void set(std::string_view name, std::string value);             // replaces all of that name
  const std::string* find(std::string_view name) const noexcept;  // first of that name, or nullptr
  std::string_view get(std::string_view name) const noexcept;     // "" when absent
  const std::vector<Header>& all() const noexcept { return list_; }

 private:
  std::vector<Header> list_;
};

struct RequestHead {
  Method method = Method::get;
  std::string method_text;  // as received
  std::string target;       // raw request target: path and query, still percent-encoded
  Headers headers;
  std::optional<std::uint64_t> content_length;  // nullopt: chunked transfer coding
  bool chunked = false;
  std::string remote_address;
  bool tls = false;
  std::string peer;  // the node of the cluster that asks, by its certificate; empty: anybody else
};

// The body of one request. read() pulls; nothing is buffered beyond the connection's own small input buffer,
// so not reading is the back-pressure. The first read answers "100 Continue" when the client waits for it.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // Fills `out` from its start with at least one byte; 0 at the end of the body. Errors: closed (peer gone),
  // deadline (too slow), incomplete_body, malformed.
  virtual Task<Result<std::size_t>> read(MutableByteSpan out) = 0;
};

// Reads until out is full or the body ends; gives the number of bytes.
Task<Result<std::size_t>> read_full(BodySource& body, MutableByteSpan out);
// The whole body as a string; Errc::too_large over limit.
Task<Result<std::string>> read_all(BodySource& body, std::size_t limit);

struct ResponseHead {
  unsigned status = 200;
  Headers headers;  // without Content-Length, Connection and Date: the sink adds them
};

// Where the answer goes. Exactly one respond(), or one start() followed by write()s and finish(). As long as
// nothing was sent, a respond() or start() replaces an earlier start(). Errors: closed, deadline; internal
// when what is written does not fit the announced length.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  // Head and body in one go. For HEAD the body is dropped but counted in Content-Length unless the headers
  // already carry one.
  virtual Task<Result<>> respond(ResponseHead head, std::string body) = 0;
  // Announces exactly content_length bytes (nullopt: chunked transfer coding); the head travels with the
  // first write.
  virtual Task<Result<>> start(ResponseHead head, std::optional<std::uint64_t> content_length) = 0;
  // One gather write; returns when the kernel has taken all of it. The spans stay valid until then.
  virtual Task<Result<>> write(std::span<const ByteSpan> parts) = 0;
  // Ends the body. Ending short of content_length cuts the connection, so that the client sees the failure.
  virtual Task<Result<>> finish() = 0;
  // Whether anything has been sent yet: after that an error can only cut the connection.
  virtual bool started() const noexcept = 0;
};

// Thread safe: called from every shard.
class Service {
 public:
  virtual ~Service() = default;
  // Answers one request. When it returns without an answer, the server sends 500 and closes.
  virtual Task<> serve(Ctx& ctx, RequestHead& head, BodySource& body, ResponseSink& sink) = 0;
};

}  // namespace ostraka::net
