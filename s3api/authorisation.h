// From who asks to what they may do. Today one root user may do everything, and nobody else anything.
#pragma once

#include "iam/authentication.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

S3Error from_auth_failure(const iam::AuthFailure& failure);
S3Result<> authorise(const iam::Principal& principal);  // AccessDenied

}  // namespace ostraka::s3api
