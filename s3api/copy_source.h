// x-amz-copy-source, and what CopyObject and UploadPartCopy make of the errors of a copy.
#pragma once

#include <string_view>

#include "base/ids.h"
#include "object/object_layer.h"
#include "s3api/call.h"

namespace ostraka::s3api {

struct CopySource {
  BucketName bucket;
  ObjectKey key;
};

// "/bucket/key" or "bucket/key", percent-encoded, perhaps with ?versionId=ID. Errors: InvalidArgument,
// NoSuchVersion, InvalidBucketName, KeyTooLongError.
S3Result<CopySource> parse_copy_source(std::string_view header);

// The same from the call's headers, and both buckets are there. Errors: also NoSuchBucket, AccessDenied
// (source's expected owner).
S3Result<CopySource> read_copy_source(const Call& call);

// A failed copy as the client sees it: what names a key names the source's.
S3Error explain_copy(S3Error error, const CopySource& source);

}  // namespace ostraka::s3api
