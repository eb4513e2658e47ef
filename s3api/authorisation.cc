#include "s3api/authorisation.h"

namespace ostraka::s3api {

S3Error from_auth_failure(const iam::AuthFailure& failure) {
  S3Error error(ErrorKind{failure.s3_code, failure.status, failure.s3_code}, failure.message);
  for (const auto& [name, value] : failure.details) error.add(name, value);
  return error;
}

S3Result<> authorise(const iam::Principal& principal) {
  if (principal.anonymous() || !principal.root) return refuse(error::kAccessDenied);
  return {};
}

}  // namespace ostraka::s3api
