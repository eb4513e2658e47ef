// Which operation a request asks for: the method, what the path names, and the sub-resource in the query.
// Source: S3 API reference.
#pragma once

#include "net/service.h"
#include "s3api/operation.h"
#include "s3api/request_uri.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

// Gives served and unserved operations alike. Errors: MethodNotAllowed,
// InvalidArgument (parameters that do not go together).
S3Result<Operation> route(const net::RequestHead& head, const RequestUri& uri);

}  // namespace ostraka::s3api
