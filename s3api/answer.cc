#include "s3api/answer.h"

namespace ostraka::s3api {

void Answer::complete(net::ResponseHead& head) {
  status_ = head.status;
  head.headers.add("x-amz-request-id", std::string(request_id_));
  head.headers.add("x-amz-id-2", std::string(host_id_));
}

Task<Result<>> Answer::send(net::ResponseHead head, std::string body) {
  complete(head);
  body_bytes_ += body.size();
  co_return co_await sink_.respond(std::move(head), std::move(body));
}

Task<Result<>> Answer::send_empty(unsigned status) {
  net::ResponseHead head;
  head.status = status;
  std::string body;
  co_return co_await send(std::move(head), std::move(body));
}

Task<Result<>> Answer::send_xml(std::string document) {
  net::ResponseHead head;
  head.headers.add("Content-Type", "application/xml");
  co_return co_await send(std::move(head), std::move(document));
}

Task<Result<>> Answer::start(net::ResponseHead head, std::uint64_t content_length) {
  complete(head);
  co_return co_await sink_.start(std::move(head), content_length);
}

Task<Result<>> Answer::write(std::span<const ByteSpan> parts) {
  for (const ByteSpan& part : parts) body_bytes_ += part.size();
  co_return co_await sink_.write(parts);
}

Task<Result<>> Answer::finish() {
  co_return co_await sink_.finish();
}

}  // namespace ostraka::s3api
