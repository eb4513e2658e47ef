// The headers that describe an object: standard ones, user metadata, tags, storage class; read from requests,
// added to answers.
#pragma once

#include <string>
#include <string_view>

#include "disk/version_record.h"
#include "net/service.h"
#include "object/object_layer.h"
#include "s3api/request_uri.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

// What PutObject, CopyObject and CreateMultipartUpload keep of their headers. Errors: MetadataTooLarge,
// InvalidTag, InvalidArgument, InvalidStorageClass, and those of refuse_unserved_headers.
S3Result<object::ObjectAttributes> read_attributes(const net::Headers& headers);

// Asks for what a bucket without encryption, object lock and ACLs cannot do. Errors: NotImplemented,
// InvalidRequest, AccessControlListNotSupported.
S3Result<> refuse_unserved_headers(const net::Headers& headers);

// ETag, Last-Modified and what was kept of the headers: the part of an answer that 200, 206 and 304 have in
// common.
void add_object_headers(net::Headers& out, const disk::VersionRecord& record);
// The response-* parameters, which replace headers of the answer.
void apply_response_overrides(net::Headers& out, const QueryParams& query);

std::string quoted(std::string_view etag);
// As S3 shows times: whole seconds, the same in a header and in XML.
std::string xml_time(std::int64_t unix_ms);
std::string_view storage_class_text(std::string_view stored) noexcept;  // STANDARD for ""

}  // namespace ostraka::s3api
