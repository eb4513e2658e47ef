#include "cmd/starting_s3.h"

#include "s3api/s3_error.h"

namespace ostraka::cmd {

Task<> StartingS3::serve(Ctx& ctx, net::RequestHead& head, net::BodySource&, net::ResponseSink& sink) {
  const s3api::S3Error error(s3api::error::kServiceUnavailable, "The store is starting. Please try again.");
  net::ResponseHead answer;
  answer.status = error.status();
  answer.headers = {
      {"Content-Type", "application/xml"}, {"x-amz-request-id", ctx.request_id}, {"Retry-After", "1"}};
  const std::string_view path = std::string_view(head.target).substr(0, head.target.find('?'));
  std::string document = s3api::error_document(error, path, ctx.request_id, "");
  // A failure means that the asker went away: nobody is left to tell.
  const Result<> sent = co_await sink.respond(std::move(answer), std::move(document));
  static_cast<void>(sent);
}

}  // namespace ostraka::cmd
