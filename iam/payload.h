// How a request's headers say its body is protected.
#pragma once

#include <optional>
#include <string_view>

#include "iam/authentication.h"
#include "net/service.h"

namespace ostraka::iam {

// Fills payload, payload_sha256 and decoded_length of `out`. declared: the value of x-amz-content-sha256.
// Failures: InvalidArgument, NotImplemented (SigV4A), MissingContentLength (a streaming kind without
// x-amz-decoded-content-length).
std::optional<AuthFailure> read_payload_kind(std::string_view declared, const net::Headers& headers,
                                             Authentication& out);

}  // namespace ostraka::iam
