// Which bytes a GET asks for. Source: RFC 9110 14.2 as S3 applies it: one range; what does not parse, or asks
// for several, is as good as no range.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

// nullopt: the whole object. Errors: InvalidRange.
S3Result<std::optional<ByteRange>> parse_range(std::string_view header, std::uint64_t size);
// x-amz-copy-source-range: bytes=first-last and nothing else. Errors: InvalidArgument.
S3Result<ByteRange> parse_copy_range(std::string_view header);

}  // namespace ostraka::s3api
