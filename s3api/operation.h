// The operations of the S3 API by the names AWS gives them, served here or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ostraka::s3api {

// clang-format off
#define OSTRAKA_S3_OPERATIONS(X)                                                                                     \
  X(ListBuckets) X(CreateBucket) X(HeadBucket) X(DeleteBucket) X(GetBucketLocation)                                  \
  X(ListObjects) X(ListObjectsV2) X(ListObjectVersions) X(ListMultipartUploads)                                      \
  X(PutObject) X(GetObject) X(HeadObject) X(DeleteObject) X(DeleteObjects) X(CopyObject) X(GetObjectAttributes)      \
  X(PostObject) X(CreateMultipartUpload) X(UploadPart) X(UploadPartCopy) X(CompleteMultipartUpload)                  \
  X(AbortMultipartUpload) X(ListParts) X(PreflightRequest)                                                           \
  X(GetBucketVersioning) X(PutBucketVersioning) X(GetBucketAcl) X(PutBucketAcl)                                      \
  X(GetBucketPolicy) X(PutBucketPolicy) X(DeleteBucketPolicy) X(GetBucketPolicyStatus)                               \
  X(GetBucketOwnershipControls) X(PutBucketOwnershipControls) X(DeleteBucketOwnershipControls)                       \
  X(GetPublicAccessBlock) X(PutPublicAccessBlock) X(DeletePublicAccessBlock)                                         \
  X(GetBucketTagging) X(PutBucketTagging) X(DeleteBucketTagging)                                                     \
  X(GetBucketEncryption) X(PutBucketEncryption) X(DeleteBucketEncryption)                                            \
  X(GetBucketLifecycleConfiguration) X(PutBucketLifecycleConfiguration) X(DeleteBucketLifecycle)                     \
  X(GetBucketCors) X(PutBucketCors) X(DeleteBucketCors)                                                              \
  X(GetBucketWebsite) X(PutBucketWebsite) X(DeleteBucketWebsite)                                                     \
  X(GetBucketReplication) X(PutBucketReplication) X(DeleteBucketReplication)                                         \
  X(GetBucketLogging) X(PutBucketLogging)                                                                            \
  X(GetBucketNotificationConfiguration) X(PutBucketNotificationConfiguration)                                        \
  X(GetBucketRequestPayment) X(PutBucketRequestPayment)                                                              \
  X(GetBucketAccelerateConfiguration) X(PutBucketAccelerateConfiguration)                                            \
  X(GetObjectLockConfiguration) X(PutObjectLockConfiguration)                                                        \
  X(GetBucketAnalyticsConfiguration) X(ListBucketAnalyticsConfigurations)                                            \
  X(PutBucketAnalyticsConfiguration) X(DeleteBucketAnalyticsConfiguration)                                           \
  X(GetBucketInventoryConfiguration) X(ListBucketInventoryConfigurations)                                            \
  X(PutBucketInventoryConfiguration) X(DeleteBucketInventoryConfiguration)                                           \
  X(GetBucketMetricsConfiguration) X(ListBucketMetricsConfigurations)                                                \
  X(PutBucketMetricsConfiguration) X(DeleteBucketMetricsConfiguration)                                               \
  X(GetBucketIntelligentTieringConfiguration) X(ListBucketIntelligentTieringConfigurations)                          \
  X(PutBucketIntelligentTieringConfiguration) X(DeleteBucketIntelligentTieringConfiguration)                         \
  X(GetBucketMetadataConfiguration) X(CreateBucketMetadataConfiguration) X(DeleteBucketMetadataConfiguration)        \
  X(UpdateBucketMetadataInventoryTableConfiguration) X(UpdateBucketMetadataJournalTableConfiguration)                \
  X(GetBucketMetadataTableConfiguration) X(CreateBucketMetadataTableConfiguration)                                   \
  X(DeleteBucketMetadataTableConfiguration) X(CreateSession) X(GetBucketAbac) X(PutBucketAbac)                       \
  X(GetObjectAcl) X(PutObjectAcl) X(GetObjectTagging) X(PutObjectTagging) X(DeleteObjectTagging)                     \
  X(GetObjectRetention) X(PutObjectRetention) X(GetObjectLegalHold) X(PutObjectLegalHold)                            \
  X(GetObjectTorrent) X(RestoreObject) X(SelectObjectContent) X(RenameObject) X(AppendObject)                        \
  X(UpdateObjectEncryption) X(WriteGetObjectResponse)                                                                \
  X(Unknown)
// clang-format on

#define OSTRAKA_S3_OPERATION_NAME(name) name,
enum class Operation : std::uint8_t { OSTRAKA_S3_OPERATIONS(OSTRAKA_S3_OPERATION_NAME) };
#undef OSTRAKA_S3_OPERATION_NAME

inline constexpr std::size_t kOperations =
    static_cast<std::size_t>(Operation::Unknown) + 1;  // Unknown: never got a name

std::string_view to_string(Operation operation) noexcept;

}  // namespace ostraka::s3api
