// Tags of objects, as a header gives them. Source: S3 user guide, "Categorizing your storage using tags".
#pragma once

#include <string_view>

#include "disk/version_record.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

// x-amz-tagging: a query string. Errors: InvalidArgument, InvalidTag, BadRequest (more than 10).
S3Result<disk::StringPairs> parse_tagging_header(std::string_view header);

// Keys differ, lengths and count are within the limits. Errors: InvalidTag, BadRequest.
S3Result<> check_tags(const disk::StringPairs& tags);

}  // namespace ostraka::s3api
