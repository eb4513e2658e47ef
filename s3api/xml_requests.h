// The XML bodies of requests, decoded. All errors are MalformedXML unless named.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "object/object_layer.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

struct CreateBucketRequest {
  std::string location;   // empty: not given
  bool has_more = false;  // asks for more than a location (tags, directory buckets)
};
S3Result<CreateBucketRequest> parse_create_bucket(std::string body);  // an empty body is fine

struct DeleteObjectsRequest {
  struct Item {
    std::string key;
    std::optional<std::string> version_id;
    object::Conditions conditions;
  };
  std::vector<Item> items;  // 1 to 1000
  bool quiet = false;
};
S3Result<DeleteObjectsRequest> parse_delete_objects(std::string body);  // also UserKeyMustBeSpecified

// Parts in the order given. Also InvalidRequest (a checksum that is not one).
S3Result<std::vector<object::CompletePart>> parse_complete_upload(std::string body);

S3Result<disk::StringPairs> parse_tagging(std::string body);  // also InvalidTag, BadRequest

}  // namespace ostraka::s3api
