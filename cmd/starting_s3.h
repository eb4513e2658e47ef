// What the S3 address answers while the node waits for its drives: 503, which clients try again.
#pragma once

#include "net/service.h"

namespace ostraka::cmd {

class StartingS3 final : public net::Service {
 public:
  Task<> serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override;
};

}  // namespace ostraka::cmd
