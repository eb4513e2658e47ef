// Version ids as clients name them. Where no bucket was ever versioned, the null version is the object
// itself, and every id that this store could give out names nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "s3api/s3_error.h"

namespace ostraka::s3api {

enum class NamedVersion : std::uint8_t { null_version, absent };

// text: what a versionId says; argument: where it stood, for the error. Errors: InvalidArgument.
S3Result<NamedVersion> read_version_id(std::string_view text, std::string argument);

}  // namespace ostraka::s3api
