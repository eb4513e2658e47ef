// Conditional requests: If-Match and its kin, for reads, writes, copy sources and deletes. Source: RFC 9110
// 13 and the S3 user guide, "Conditional requests".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/service.h"
#include "object/object_layer.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

// ETags of a list without quotes and weak marks; "*" stands alone.
std::vector<std::string> parse_etags(std::string_view text);
// The one ETag that a write or a delete names, without its quotes; "*" stands for any. A list or a weak one
// is taken as it stands, and matches nothing, as with AWS.
std::string parse_etag(std::string_view text);

// Several lines of one name are one list. An If-Match without any ETag matches nothing; an If-None-Match
// without any, and a date that does not parse, are as good as none.
object::Conditions read_conditions(const net::Headers& headers);
object::Conditions copy_source_conditions(const net::Headers& headers);
// If-None-Match: * and If-Match with one ETag only. Errors: NotImplemented, InvalidArgument (an empty
// If-Match), InvalidRequest (two of one name).
S3Result<object::Conditions> write_conditions(const net::Headers& headers);
// If-Match, x-amz-if-match-size, x-amz-if-match-last-modified-time. Errors: InvalidArgument, InvalidRequest.
S3Result<object::Conditions> delete_conditions(const net::Headers& headers);

}  // namespace ostraka::s3api
