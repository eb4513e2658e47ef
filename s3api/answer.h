// Answer: the sink of one response, with the headers that every S3 answer carries, and what the log and the
// metrics want to know of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/service.h"

namespace ostraka::s3api {

// Not thread safe. Errors of all sending: closed, deadline.
class Answer {
 public:
  // All must outlive it.
  Answer(net::ResponseSink& sink, std::string_view request_id, std::string_view host_id) noexcept
      : sink_(sink), request_id_(request_id), host_id_(host_id) {}

  Task<Result<>> send(net::ResponseHead head, std::string body);
  Task<Result<>> send_empty(unsigned status);
  Task<Result<>> send_xml(std::string document);  // 200
  // A body of known length in pieces; the head travels with the first.
  Task<Result<>> start(net::ResponseHead head, std::uint64_t content_length);
  Task<Result<>> write(std::span<const ByteSpan> parts);
  Task<Result<>> finish();

  bool on_the_wire() const noexcept { return sink_.started(); }
  unsigned status() const noexcept { return status_; }  // 0 before
  std::uint64_t body_bytes() const noexcept { return body_bytes_; }

 private:
  void complete(net::ResponseHead& head);
  net::ResponseSink& sink_;
  std::string_view request_id_, host_id_;
  unsigned status_ = 0;
  std::uint64_t body_bytes_ = 0;
};

}  // namespace ostraka::s3api
