// Sub-resources whose settings cannot be made yet: what AWS answers where they were never made.
#include <nlohmann/json.hpp>

#include "net/xml_writer.h"
#include "s3api/operations.h"

namespace ostraka::s3api {

namespace {

using enum Operation;

// A GET is answered with this error, or with this document, empty.
struct Answered {
  Operation operation;
  const ErrorKind* error;
  std::string_view document;
};

constexpr Answered kBucketAnswers[] = {
    {GetBucketVersioning, nullptr, "VersioningConfiguration"},
    {GetBucketLogging, nullptr, "BucketLoggingStatus"},
    {GetBucketNotificationConfiguration, nullptr, "NotificationConfiguration"},
    {GetBucketAccelerateConfiguration, nullptr, "AccelerateConfiguration"},
    {GetBucketPolicy, &error::kNoSuchBucketPolicy, ""},
    {GetBucketPolicyStatus, &error::kNoSuchBucketPolicy, ""},
    {GetPublicAccessBlock, &error::kNoSuchPublicAccessBlock, ""},
    {GetBucketTagging, &error::kNoSuchTagSet, ""},
    {GetBucketEncryption, &error::kServerSideEncryptionNotFound, ""},
    {GetBucketLifecycleConfiguration, &error::kNoSuchLifecycleConfiguration, ""},
    {GetBucketCors, &error::kNoSuchCorsConfiguration, ""},
    {GetBucketWebsite, &error::kNoSuchWebsiteConfiguration, ""},
    {GetBucketReplication, &error::kReplicationConfigurationNotFound, ""},
    {GetObjectLockConfiguration, &error::kObjectLockConfigurationNotFound, ""},
    {GetBucketAnalyticsConfiguration, &error::kNoSuchConfiguration, ""},
    {GetBucketInventoryConfiguration, &error::kNoSuchConfiguration, ""},
    {GetBucketMetricsConfiguration, &error::kNoSuchConfiguration, ""},
    {GetBucketIntelligentTieringConfiguration, &error::kNoSuchConfiguration, ""},
};

const Answered* find_answer(Operation operation) noexcept {
  for (const Answered& answered : kBucketAnswers) {
    if (answered.operation == operation) return &answered;
  }
  return nullptr;
}

// The one grant there is without ACLs: the owner's.
std::string acl_document(const S3Config& config) {
  net::XmlWriter xml;
  const auto write_owner = [&] {
    xml.element("ID", config.owner_id).element("DisplayName", config.owner_name);
  };
  xml.open("AccessControlPolicy", net::kS3Namespace);
  xml.open("Owner");
  write_owner();
  xml.close("Owner").open("AccessControlList").open("Grant");
  xml.open_with("Grantee",
                R"(xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser")");
  write_owner();
  xml.close("Grantee").element("Permission", "FULL_CONTROL");
  return xml.close("Grant").close("AccessControlList").close("AccessControlPolicy").take();
}

std::string ownership_document(const std::string& settings) {
  std::string ownership = "BucketOwnerEnforced";
  const auto json = nlohmann::json::parse(settings, nullptr, false);
  if (json.is_object() && json.contains("object_ownership") && json["object_ownership"].is_string()) {
    ownership = json["object_ownership"].get<std::string>();
  }
  net::XmlWriter xml;
  xml.open("OwnershipControls", net::kS3Namespace).open("Rule").element("ObjectOwnership", ownership);
  return xml.close("Rule").close("OwnershipControls").take();
}

std::string payment_document() {
  net::XmlWriter xml;
  xml.open("RequestPaymentConfiguration", net::kS3Namespace).element("Payer", "BucketOwner");
  return xml.close("RequestPaymentConfiguration").take();
}

std::string empty_document(std::string_view name) {
  net::XmlWriter xml;
  return xml.open(name, net::kS3Namespace).close(name).take();
}

std::string empty_list_document(std::string_view name) {
  net::XmlWriter xml;
  return xml.open(name, net::kS3Namespace).flag("IsTruncated", false).close(name).take();
}

std::string tags_document(const disk::StringPairs& tags) {
  net::XmlWriter xml;
  xml.open("Tagging", net::kS3Namespace).open("TagSet");
  for (const auto& [key, value] : tags)
    xml.open("Tag").element("Key", key).element("Value", value).close("Tag");
  return xml.close("TagSet").close("Tagging").take();
}

S3Result<std::string> setting_document(const Call& call, const object::BucketInfo& bucket,
                                       Operation operation) {
  if (const Answered* answered = find_answer(operation)) {
    if (answered->error == nullptr) return empty_document(answered->document);
    return refuse(S3Error(*answered->error).with("BucketName", call.bucket()));
  }
  switch (operation) {
    case GetBucketAcl:
      return acl_document(call.config);
    case GetBucketOwnershipControls:
      return ownership_document(bucket.settings);
    case GetBucketRequestPayment:
      return payment_document();
    case ListBucketAnalyticsConfigurations:
      return empty_list_document("ListBucketAnalyticsConfigurationResult");
    case ListBucketInventoryConfigurations:
      return empty_list_document("ListInventoryConfigurationsResult");
    case ListBucketMetricsConfigurations:
      return empty_list_document("ListMetricsConfigurationsResult");
    case ListBucketIntelligentTieringConfigurations:
      return empty_list_document("ListBucketIntelligentTieringConfigurationsOutput");
    default:
      return refuse(error::kNotImplemented);
  }
}

}  // namespace

bool is_bucket_setting(Operation operation) noexcept {
  switch (operation) {
    case GetBucketAcl:
    case GetBucketOwnershipControls:
    case GetBucketRequestPayment:
    case ListBucketAnalyticsConfigurations:
    case ListBucketInventoryConfigurations:
    case ListBucketMetricsConfigurations:
    case ListBucketIntelligentTieringConfigurations:
      return true;
    default:
      return find_answer(operation) != nullptr;
  }
}

bool is_object_setting(Operation operation) noexcept {
  return operation == GetObjectAcl || operation == GetObjectTagging || operation == GetObjectRetention ||
         operation == GetObjectLegalHold;
}

OperationResult answer_bucket_setting(Call& call, Operation operation) {
  S3_CO_TRY(bucket, call.find_bucket());
  S3_CO_TRY(document, setting_document(call, bucket, operation));
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

OperationResult answer_object_setting(Call& call, Operation operation) {
  S3_CO_TRY_VOID(call.check_version_id());
  BucketName bucket = call.uri.bucket;
  ObjectKey key = call.uri.key;
  S3_CO_TRY(object, co_await call.objects.get(call.ctx, std::move(bucket), std::move(key), false));
  if (operation == GetObjectRetention || operation == GetObjectLegalHold) {
    co_return refuse(error::kInvalidRequest, "Bucket is missing Object Lock Configuration");
  }
  std::string document =
      operation == GetObjectTagging ? tags_document(object->record().tags) : acl_document(call.config);
  S3_CO_TRY_VOID(co_await call.answer.send_xml(std::move(document)));
  co_return S3Result<>();
}

}  // namespace ostraka::s3api
