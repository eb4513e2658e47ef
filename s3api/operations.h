// The operations that are served, a function each, by family. Each answers through the call or returns the
// error to send. Which errors and fields: S3 API reference, the page of the operation's name.
#pragma once

#include "s3api/call.h"

namespace ostraka::s3api {

// unserved.cc
OperationResult refuse_unserved(Call& call, Operation operation);  // NotImplemented, by name
OperationResult refuse_preflight(Call& call);  // AccessForbidden: no bucket has CORS rules yet

// buckets.cc
OperationResult list_buckets(Call& call);
OperationResult create_bucket(Call& call);
OperationResult head_bucket(Call& call);
OperationResult delete_bucket(Call& call);
OperationResult get_bucket_location(Call& call);

// bucket_settings.cc: sub-resources that say what was never switched on
OperationResult answer_bucket_setting(Call& call, Operation operation);
OperationResult answer_object_setting(Call& call, Operation operation);
bool is_bucket_setting(Operation operation) noexcept;
bool is_object_setting(Operation operation) noexcept;

// put_object.cc, get_object.cc, delete_objects.cc, copy_object.cc, object_attributes.cc, post_object.cc
OperationResult put_object(Call& call);
OperationResult get_object(Call& call);  // and HeadObject
OperationResult delete_object(Call& call);
OperationResult delete_objects(Call& call);
OperationResult copy_object(Call& call);
OperationResult get_object_attributes(Call& call);
OperationResult post_object(Call& call);

// multipart_parts.cc, multipart_complete.cc, multipart_list.cc
OperationResult create_multipart_upload(Call& call);
OperationResult upload_part(Call& call);
OperationResult upload_part_copy(Call& call);
OperationResult complete_multipart_upload(Call& call);
OperationResult abort_multipart_upload(Call& call);
OperationResult list_parts(Call& call);
OperationResult list_multipart_uploads(Call& call);

// list_objects.cc, list_versions.cc
OperationResult list_objects(Call& call);
OperationResult list_objects_v2(Call& call);
OperationResult list_object_versions(Call& call);

}  // namespace ostraka::s3api
