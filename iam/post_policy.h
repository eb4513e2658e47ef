// The policy document of a browser's POST upload. Source: Amazon S3 API reference, "Creating a POST Policy".
#pragma once

#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>

#include "iam/authentication.h"
#include "net/service.h"

namespace ostraka::iam {

// What the policy allows the file's length to be, both ends included. Outside of it: EntityTooSmall or
// EntityTooLarge.
struct ContentLengthRange {
  std::uint64_t min = 0;
  std::uint64_t max = ~0ULL;
};

// Checks the form's fields against the policy. fields: those before the file, with ${filename} already
// replaced, and `bucket` with the bucket's name added by the caller. Failures: InvalidPolicyDocument;
// InvalidArgument for a field given twice; AccessDenied when the policy has expired, a condition does not
// hold, or a field is not mentioned in it.
tl::expected<ContentLengthRange, AuthFailure> check_post_policy(std::string_view policy_base64,
                                                                const net::Headers& fields,
                                                                std::int64_t now_ms);

}  // namespace ostraka::iam
