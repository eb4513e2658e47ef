// The answer to one request on a stream: head and first bytes leave in one gather write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/http_date.h"
#include "net/service.h"
#include "net/stream.h"
#include "net/wire_body.h"

namespace ostraka::net {

struct WireAnswerSpec {
  bool is_head = false;      // a HEAD request: no body
  bool http_1_0 = false;     // no chunked coding, and keep-alive must be said
  bool keep_alive = true;    // the client and the server want it
  HttpDate* date = nullptr;  // of the shard
  Duration stall{};          // how long the peer may take nothing
};

// Uses the stream and the request's body, which must outlive it.
class WireAnswer final : public ResponseSink {
 public:
  WireAnswer(Stream& stream, WireBody& request_body, WireAnswerSpec spec);
  Task<Result<>> respond(ResponseHead head, std::string body) override;
  Task<Result<>> start(ResponseHead head, std::optional<std::uint64_t> content_length) override;
  Task<Result<>> write(std::span<const ByteSpan> parts) override;
  Task<Result<>> finish() override;
  bool started() const noexcept override { return sent_; }

  void close_afterwards() noexcept { spec_.keep_alive = false; }  // before it is prepared
  bool complete() const noexcept { return complete_; }            // all of it has been taken by the kernel
  bool keeps_connection() const noexcept { return complete_ && keep_alive_; }

 private:
  void prepare(const ResponseHead& head, std::optional<std::uint64_t> content_length);
  bool has_body() const noexcept;
  Task<Result<>> flush(std::span<const ByteSpan> parts, std::string_view before, std::string_view after);

  Stream& stream_;
  WireBody& request_body_;
  WireAnswerSpec spec_;
  unsigned status_ = 0;
  std::string head_;  // not sent yet
  std::vector<iovec> iovecs_;
  std::optional<std::uint64_t> content_length_;
  std::uint64_t written_ = 0;
  WireBody::Awaited awaited_ = WireBody::Awaited::nothing;
  bool prepared_ = false;
  bool chunked_ = false;
  bool keep_alive_ = false;
  bool sent_ = false;
  bool failed_ = false;
  bool complete_ = false;
};

}  // namespace ostraka::net
