// Operations that AWS has and that are not served: said by name, never silence.
#include "s3api/operations.h"

namespace ostraka::s3api {

OperationResult refuse_unserved(Call&, Operation operation) {
  co_return refuse(error::kNotImplemented, std::string(to_string(operation)) + " is not implemented.");
}

OperationResult refuse_preflight(Call& call) {
  S3_CO_TRY_VOID(call.find_bucket());
  co_return refuse(S3Error(error::kAccessForbidden)
                       .with("Method", std::string(call.headers().get("access-control-request-method")))
                       .with("ResourceType", call.uri.has_key() ? "OBJECT" : "BUCKET"));
}

}  // namespace ostraka::s3api
