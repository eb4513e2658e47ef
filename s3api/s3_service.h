// S3Service: the S3 API over an object layer. Takes each request through the same steps: parse, authenticate,
// authorise, hand to its operation, and answer errors; limits requests in flight, counts and logs them.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "base/metrics.h"
#include "iam/sigv4.h"
#include "net/service.h"
#include "object/heal_pace.h"
#include "object/object_layer.h"
#include "s3api/call.h"
#include "s3api/request_metrics.h"

namespace ostraka::s3api {

// Thread safe. All references must outlive it. It sets Ctx::deadline itself: a request may last as long as
// its bytes move.
class S3Service final : public net::Service {
 public:
  S3Service(S3Config config, object::ObjectLayer& objects, const iam::SigV4Verifier& verifier,
            MetricRegistry& metrics);
  Task<> serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override;
  object::ClientLoad client_load() const noexcept;  // for those that yield to clients

 private:
  // What became known of a request on its way, for errors, metrics and the log.
  struct Known {
    RequestUri uri;
    Operation operation = Operation::Unknown;
    std::string access_key;
    std::string error;  // S3 code
  };
  class Slot;

  Task<S3Result<>> answer(Ctx& ctx, const net::RequestHead& head, Payload& payload, Answer& out,
                          Known& known);
  S3Result<iam::Authentication> admit(const net::RequestHead& head, const Known& known) const;
  OperationResult run(Call& call, Operation operation) const;
  Task<> send_error(const Ctx& ctx, const net::RequestHead& head, S3Error error, Answer& out,
                    Known& known) const;
  void finish(const Ctx& ctx, const net::RequestHead& head, const RequestMetrics::Finished& request,
              const Known& known);

  const S3Config config_;
  object::ObjectLayer& objects_;
  const iam::SigV4Verifier& verifier_;
  RequestMetrics metrics_;
  std::atomic<std::size_t> in_flight_{0};
  std::atomic<std::size_t> forms_{0};  // browser uploads among them
};

}  // namespace ostraka::s3api
