#include "s3api/router.h"

#include <algorithm>
#include <array>
#include <span>

namespace ostraka::s3api {

namespace {

using net::Method;

// The first row whose method and parameter fit wins, so two-parameter rows stand before the ones they refine.
struct Row {
  Method method;
  std::string_view parameter;         // of the query; "" fits always
  std::string_view second_parameter;  // also needed, when not empty
  std::string_view header;            // also needed, when not empty
  Operation operation;
};

using enum Operation;

constexpr std::string_view kListType = "list-type";

constexpr Row kServiceRows[] = {
    {Method::get, "", "", "", ListBuckets},
};

constexpr Row kBucketRows[] = {
    {Method::get, "location", "", "", GetBucketLocation},
    {Method::get, "versions", "", "", ListObjectVersions},
    {Method::get, "uploads", "", "", ListMultipartUploads},
    {Method::get, kListType, "", "", ListObjectsV2},
    {Method::post, "delete", "", "", DeleteObjects},
    {Method::get, "session", "", "", CreateSession},

    {Method::get, "versioning", "", "", GetBucketVersioning},
    {Method::put, "versioning", "", "", PutBucketVersioning},
    {Method::get, "acl", "", "", GetBucketAcl},
    {Method::put, "acl", "", "", PutBucketAcl},
    {Method::get, "policy", "", "", GetBucketPolicy},
    {Method::put, "policy", "", "", PutBucketPolicy},
    {Method::delete_, "policy", "", "", DeleteBucketPolicy},
    {Method::get, "policyStatus", "", "", GetBucketPolicyStatus},
    {Method::get, "ownershipControls", "", "", GetBucketOwnershipControls},
    {Method::put, "ownershipControls", "", "", PutBucketOwnershipControls},
    {Method::delete_, "ownershipControls", "", "", DeleteBucketOwnershipControls},
    {Method::get, "publicAccessBlock", "", "", GetPublicAccessBlock},
    {Method::put, "publicAccessBlock", "", "", PutPublicAccessBlock},
    {Method::delete_, "publicAccessBlock", "", "", DeletePublicAccessBlock},
    {Method::get, "tagging", "", "", GetBucketTagging},
    {Method::put, "tagging", "", "", PutBucketTagging},
    {Method::delete_, "tagging", "", "", DeleteBucketTagging},
    {Method::get, "encryption", "", "", GetBucketEncryption},
    {Method::put, "encryption", "", "", PutBucketEncryption},
    {Method::delete_, "encryption", "", "", DeleteBucketEncryption},
    {Method::get, "lifecycle", "", "", GetBucketLifecycleConfiguration},
    {Method::put, "lifecycle", "", "", PutBucketLifecycleConfiguration},
    {Method::delete_, "lifecycle", "", "", DeleteBucketLifecycle},
    {Method::get, "cors", "", "", GetBucketCors},
    {Method::put, "cors", "", "", PutBucketCors},
    {Method::delete_, "cors", "", "", DeleteBucketCors},
    {Method::get, "website", "", "", GetBucketWebsite},
    {Method::put, "website", "", "", PutBucketWebsite},
    {Method::delete_, "website", "", "", DeleteBucketWebsite},
    {Method::get, "replication", "", "", GetBucketReplication},
    {Method::put, "replication", "", "", PutBucketReplication},
    {Method::delete_, "replication", "", "", DeleteBucketReplication},
    {Method::get, "logging", "", "", GetBucketLogging},
    {Method::put, "logging", "", "", PutBucketLogging},
    {Method::get, "notification", "", "", GetBucketNotificationConfiguration},
    {Method::put, "notification", "", "", PutBucketNotificationConfiguration},
    {Method::get, "requestPayment", "", "", GetBucketRequestPayment},
    {Method::put, "requestPayment", "", "", PutBucketRequestPayment},
    {Method::get, "accelerate", "", "", GetBucketAccelerateConfiguration},
    {Method::put, "accelerate", "", "", PutBucketAccelerateConfiguration},
    {Method::get, "object-lock", "", "", GetObjectLockConfiguration},
    {Method::put, "object-lock", "", "", PutObjectLockConfiguration},
    {Method::get, "analytics", "id", "", GetBucketAnalyticsConfiguration},
    {Method::get, "analytics", "", "", ListBucketAnalyticsConfigurations},
    {Method::put, "analytics", "", "", PutBucketAnalyticsConfiguration},
    {Method::delete_, "analytics", "", "", DeleteBucketAnalyticsConfiguration},
    {Method::get, "inventory", "id", "", GetBucketInventoryConfiguration},
    {Method::get, "inventory", "", "", ListBucketInventoryConfigurations},
    {Method::put, "inventory", "", "", PutBucketInventoryConfiguration},
    {Method::delete_, "inventory", "", "", DeleteBucketInventoryConfiguration},
    {Method::get, "metrics", "id", "", GetBucketMetricsConfiguration},
    {Method::get, "metrics", "", "", ListBucketMetricsConfigurations},
    {Method::put, "metrics", "", "", PutBucketMetricsConfiguration},
    {Method::delete_, "metrics", "", "", DeleteBucketMetricsConfiguration},
    {Method::get, "intelligent-tiering", "id", "", GetBucketIntelligentTieringConfiguration},
    {Method::get, "intelligent-tiering", "", "", ListBucketIntelligentTieringConfigurations},
    {Method::put, "intelligent-tiering", "", "", PutBucketIntelligentTieringConfiguration},
    {Method::delete_, "intelligent-tiering", "", "", DeleteBucketIntelligentTieringConfiguration},
    {Method::get, "metadataConfiguration", "", "", GetBucketMetadataConfiguration},
    {Method::post, "metadataConfiguration", "", "", CreateBucketMetadataConfiguration},
    {Method::delete_, "metadataConfiguration", "", "", DeleteBucketMetadataConfiguration},
    {Method::put, "metadataInventoryTable", "", "", UpdateBucketMetadataInventoryTableConfiguration},
    {Method::put, "metadataJournalTable", "", "", UpdateBucketMetadataJournalTableConfiguration},
    {Method::get, "metadataTable", "", "", GetBucketMetadataTableConfiguration},
    {Method::post, "metadataTable", "", "", CreateBucketMetadataTableConfiguration},
    {Method::delete_, "metadataTable", "", "", DeleteBucketMetadataTableConfiguration},
    {Method::get, "abac", "", "", GetBucketAbac},
    {Method::put, "abac", "", "", PutBucketAbac},

    {Method::get, "", "", "", ListObjects},
    {Method::head, "", "", "", HeadBucket},
    {Method::put, "", "", "", CreateBucket},
    {Method::delete_, "", "", "", DeleteBucket},
    {Method::post, "", "", "", PostObject},
    {Method::options, "", "", "", PreflightRequest},
};

constexpr Row kObjectRows[] = {
    {Method::put, "uploadId", "", "x-amz-copy-source", UploadPartCopy},
    {Method::put, "uploadId", "", "", UploadPart},
    {Method::get, "uploadId", "", "", ListParts},
    {Method::post, "uploadId", "", "", CompleteMultipartUpload},
    {Method::delete_, "uploadId", "", "", AbortMultipartUpload},
    {Method::post, "uploads", "", "", CreateMultipartUpload},
    {Method::get, "attributes", "", "", GetObjectAttributes},

    {Method::get, "acl", "", "", GetObjectAcl},
    {Method::put, "acl", "", "", PutObjectAcl},
    {Method::get, "tagging", "", "", GetObjectTagging},
    {Method::put, "tagging", "", "", PutObjectTagging},
    {Method::delete_, "tagging", "", "", DeleteObjectTagging},
    {Method::get, "retention", "", "", GetObjectRetention},
    {Method::put, "retention", "", "", PutObjectRetention},
    {Method::get, "legal-hold", "", "", GetObjectLegalHold},
    {Method::put, "legal-hold", "", "", PutObjectLegalHold},
    {Method::get, "torrent", "", "", GetObjectTorrent},
    {Method::post, "restore", "", "", RestoreObject},
    {Method::post, "select", "", "", SelectObjectContent},
    {Method::put, "renameObject", "", "", RenameObject},
    {Method::put, "encryption", "", "", UpdateObjectEncryption},

    {Method::put, "", "", "x-amz-copy-source", CopyObject},
    {Method::put, "", "", "x-amz-write-offset-bytes", AppendObject},
    {Method::put, "", "", "", PutObject},
    {Method::get, "", "", "", GetObject},
    {Method::head, "", "", "", HeadObject},
    {Method::delete_, "", "", "", DeleteObject},
    {Method::options, "", "", "", PreflightRequest},
};

std::span<const Row> rows_for(const RequestUri& uri) noexcept {
  if (!uri.has_bucket()) return kServiceRows;
  if (!uri.has_key()) return kBucketRows;
  return kObjectRows;
}

bool is_subresource(std::span<const Row> rows, std::string_view name) noexcept {
  return !name.empty() &&
         std::any_of(rows.begin(), rows.end(), [name](const Row& row) { return row.parameter == name; });
}

// The sub-resource that the query names; empty: none. It takes the request away from the rows without one,
// whatever the method: DELETE ?versions is not DeleteBucket. Of two, it is not for us to say which is meant:
// InvalidArgument.
S3Result<std::string_view> find_subresource(std::span<const Row> rows, const QueryParams& query) {
  std::string_view found;
  for (const auto& [name, value] : query.all()) {
    if (name == found || !is_subresource(rows, name)) continue;
    // A listing's version goes with uploads and versions, as any unknown parameter does.
    if (name == kListType && !found.empty()) continue;
    if (!found.empty() && found != kListType) {
      return refuse_argument("Conflicting query string parameters: " + std::string(found) + ", " + name,
                             "ResourceType", std::string(found));
    }
    found = name;
  }
  return found;
}

// Of the operations on an object: those that name one version of it.
bool takes_version_id(Operation operation) noexcept {
  switch (operation) {
    case GetObject:
    case HeadObject:
    case DeleteObject:
    case GetObjectAttributes:
    case GetObjectAcl:
    case PutObjectAcl:
    case GetObjectTagging:
    case PutObjectTagging:
    case DeleteObjectTagging:
    case GetObjectRetention:
    case PutObjectRetention:
    case GetObjectLegalHold:
    case PutObjectLegalHold:
    case RestoreObject:
    case SelectObjectContent:
    case UpdateObjectEncryption:
    case PreflightRequest:
      return true;
    default:
      return false;
  }
}

S3Result<> check_version_parameter(Operation operation, const QueryParams& query) {
  const std::string* version = query.find("versionId");
  if (version == nullptr || takes_version_id(operation)) return {};
  return refuse_argument("This operation does not accept a version-id.", "versionId", *version);
}

}  // namespace

std::string_view to_string(Operation operation) noexcept {
#define OSTRAKA_S3_OPERATION_TEXT(name) std::string_view(#name),
  static constexpr std::array<std::string_view, kOperations> kNames{
      OSTRAKA_S3_OPERATIONS(OSTRAKA_S3_OPERATION_TEXT)};
#undef OSTRAKA_S3_OPERATION_TEXT
  return kNames[static_cast<std::size_t>(operation)];
}

S3Result<Operation> route(const net::RequestHead& head, const RequestUri& uri) {
  const std::span<const Row> rows = rows_for(uri);
  // A part that has lost its upload must not become the object.
  if (head.method == Method::put && uri.has_key() && uri.query.has("partNumber") &&
      !uri.query.has("uploadId")) {
    return refuse_argument("This operation does not accept partNumber without uploadId", "partNumber",
                           "partNumber");
  }
  std::string_view subresource;
  if (head.method != Method::head) {  // which has none
    S3_TRY(named, find_subresource(rows, uri.query));
    subresource = named;
  }
  for (const Row& row : rows) {
    if (row.method != head.method || row.parameter != subresource) continue;
    if (!row.second_parameter.empty() && !uri.query.has(row.second_parameter)) continue;
    if (!row.header.empty() && head.headers.find(row.header) == nullptr) continue;
    S3_TRY_VOID(check_version_parameter(row.operation, uri.query));
    return row.operation;
  }
  S3Error error(error::kMethodNotAllowed);
  error.add("Method", head.method_text);
  error.add("ResourceType", !uri.has_bucket() ? "SERVICE" : uri.has_key() ? "OBJECT" : "BUCKET");
  return refuse(std::move(error));
}

}  // namespace ostraka::s3api
