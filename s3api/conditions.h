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

// A date that does not parse is as good as none.
object::Conditions read_conditions(const net::Headers& headers);
object::Conditions copy_source_conditions(const net::Headers& headers);
// If-None-Match: * and If-Match only. Errors: NotImplemented.
S3Result<object::Conditions> write_conditions(const net::Headers& headers);
// If-Match, x-amz-if-match-size, x-amz-if-match-last-modified-time. Errors: InvalidArgument.
S3Result<object::Conditions> delete_conditions(const net::Headers& headers);

// A failed condition as the client sees it: PreconditionFailed gets the field Condition, the header's name.
S3Error explain_condition(S3Error error, const object::Conditions& conditions);

}  // namespace ostraka::s3api
