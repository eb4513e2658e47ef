// S3 errors: one constant for each code that we send, with the status and the message AWS gives, and one
// table from Errc to them. Source: S3 API reference, "Error responses".
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "base/result.h"

namespace ostraka::s3api {

struct ErrorKind {
  std::string_view code;  // a literal
  unsigned status;
  std::string_view message;  // a literal
};

namespace error {
inline constexpr ErrorKind kAccessDenied{"AccessDenied", 403, "Access Denied"};
inline constexpr ErrorKind kAccessControlListNotSupported{"AccessControlListNotSupported", 400,
                                                          "The bucket does not allow ACLs"};
inline constexpr ErrorKind kAccessForbidden{"AccessForbidden", 403,
                                            "CORSResponse: CORS is not enabled for this bucket."};
inline constexpr ErrorKind kAuthorizationHeaderMalformed{
    "AuthorizationHeaderMalformed", 400, "The authorization header that you provided is not valid."};
inline constexpr ErrorKind kAuthorizationQueryParametersError{
    "AuthorizationQueryParametersError", 400,
    "The authorization query parameters that you provided are not valid."};
inline constexpr ErrorKind kBadDigest{"BadDigest", 400,
                                      "The Content-MD5 you specified did not match what we received."};
inline constexpr ErrorKind kBadRequest{"BadRequest", 400, "Bad Request"};
inline constexpr ErrorKind kBucketAlreadyOwnedByYou{
    "BucketAlreadyOwnedByYou", 409,
    "Your previous request to create the named bucket succeeded and you already own it."};
inline constexpr ErrorKind kBucketNotEmpty{"BucketNotEmpty", 409,
                                           "The bucket you tried to delete is not empty"};
inline constexpr ErrorKind kConditionalRequestConflict{
    "ConditionalRequestConflict", 409,
    "The conditional request cannot succeed due to a conflicting operation against this resource."};
inline constexpr ErrorKind kEntityTooLarge{"EntityTooLarge", 400,
                                           "Your proposed upload exceeds the maximum allowed size"};
inline constexpr ErrorKind kEntityTooSmall{"EntityTooSmall", 400,
                                           "Your proposed upload is smaller than the minimum allowed size"};
inline constexpr ErrorKind kExpiredToken{"ExpiredToken", 400, "The provided token has expired."};
inline constexpr ErrorKind kIllegalLocationConstraint{
    "IllegalLocationConstraintException", 400,
    "The location constraint is incompatible for the region specific endpoint this request was sent to."};
inline constexpr ErrorKind kIncompleteBody{
    "IncompleteBody", 400,
    "You did not provide the number of bytes specified by the Content-Length HTTP header"};
inline constexpr ErrorKind kIncorrectNumberOfFiles{"IncorrectNumberOfFilesInPostRequest", 400,
                                                   "POST requires exactly one file upload per request."};
inline constexpr ErrorKind kInsufficientStorage{"InsufficientStorage", 507,
                                                "There is not enough free space to complete the request."};
inline constexpr ErrorKind kInternalError{"InternalError", 500,
                                          "We encountered an internal error. Please try again."};
inline constexpr ErrorKind kInvalidAccessKeyId{
    "InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."};
inline constexpr ErrorKind kInvalidArgument{"InvalidArgument", 400, "Invalid Argument"};
inline constexpr ErrorKind kInvalidBucketName{"InvalidBucketName", 400, "The specified bucket is not valid."};
inline constexpr ErrorKind kInvalidChunkSize{
    "InvalidChunkSizeError", 403, "Only the last chunk is allowed to have a size less than 8192 bytes"};
inline constexpr ErrorKind kInvalidDigest{"InvalidDigest", 400, "The Content-MD5 you specified was invalid."};
inline constexpr ErrorKind kInvalidLocationConstraint{"InvalidLocationConstraint", 400,
                                                      "The specified location-constraint is not valid"};
inline constexpr ErrorKind kInvalidPart{"InvalidPart", 400,
                                        "One or more of the specified parts could not be found.  The part "
                                        "may not have been uploaded, or the specified entity "
                                        "tag may not match the part's entity tag."};
inline constexpr ErrorKind kInvalidPartNumber{"InvalidPartNumber", 416,
                                              "The requested partnumber is not satisfiable"};
inline constexpr ErrorKind kInvalidPartOrder{
    "InvalidPartOrder", 400,
    "The list of parts was not in ascending order. Parts must be ordered by part number."};
inline constexpr ErrorKind kInvalidPolicyDocument{
    "InvalidPolicyDocument", 400,
    "The content of the form does not meet the conditions specified in the "
    "policy document."};
inline constexpr ErrorKind kInvalidRange{"InvalidRange", 416, "The requested range is not satisfiable"};
inline constexpr ErrorKind kInvalidRequest{"InvalidRequest", 400, "Invalid Request"};
inline constexpr ErrorKind kInvalidStorageClass{"InvalidStorageClass", 400,
                                                "The storage class you specified is not valid"};
inline constexpr ErrorKind kInvalidTag{"InvalidTag", 400, "The TagKey you have provided is invalid"};
inline constexpr ErrorKind kInvalidToken{"InvalidToken", 400,
                                         "The provided token is malformed or otherwise invalid."};
inline constexpr ErrorKind kInvalidUri{"InvalidURI", 400, "Couldn't parse the specified URI."};
inline constexpr ErrorKind kKeyTooLong{"KeyTooLongError", 400, "Your key is too long"};
inline constexpr ErrorKind kMalformedPostRequest{
    "MalformedPOSTRequest", 400, "The body of your POST request is not well-formed multipart/form-data."};
inline constexpr ErrorKind kMalformedTrailer{"MalformedTrailerError", 400,
                                             "The request contained trailing data that was not well-formed "
                                             "or did not conform to our published schema."};
inline constexpr ErrorKind kMalformedXml{
    "MalformedXML", 400,
    "The XML you provided was not well-formed or did not validate against our published schema"};
inline constexpr ErrorKind kMaxMessageLengthExceeded{"MaxMessageLengthExceeded", 400,
                                                     "Your request was too big."};
inline constexpr ErrorKind kMaxPostPreDataLengthExceeded{
    "MaxPostPreDataLengthExceededError", 400,
    "Your POST request fields preceding the upload file were too large."};
inline constexpr ErrorKind kMetadataTooLarge{
    "MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size"};
inline constexpr ErrorKind kMethodNotAllowed{"MethodNotAllowed", 405,
                                             "The specified method is not allowed against this resource."};
inline constexpr ErrorKind kMissingContentLength{"MissingContentLength", 411,
                                                 "You must provide the Content-Length HTTP header."};
inline constexpr ErrorKind kMissingSecurityHeader{"MissingSecurityHeader", 400,
                                                  "Your request was missing a required header"};
inline constexpr ErrorKind kNoSuchBucket{"NoSuchBucket", 404, "The specified bucket does not exist"};
inline constexpr ErrorKind kNoSuchBucketPolicy{"NoSuchBucketPolicy", 404, "The bucket policy does not exist"};
inline constexpr ErrorKind kNoSuchConfiguration{"NoSuchConfiguration", 404,
                                                "The specified configuration does not exist."};
inline constexpr ErrorKind kNoSuchCorsConfiguration{"NoSuchCORSConfiguration", 404,
                                                    "The CORS configuration does not exist"};
inline constexpr ErrorKind kNoSuchKey{"NoSuchKey", 404, "The specified key does not exist."};
inline constexpr ErrorKind kNoSuchLifecycleConfiguration{"NoSuchLifecycleConfiguration", 404,
                                                         "The lifecycle configuration does not exist"};
inline constexpr ErrorKind kNoSuchPublicAccessBlock{"NoSuchPublicAccessBlockConfiguration", 404,
                                                    "The public access block configuration was not found"};
inline constexpr ErrorKind kNoSuchTagSet{"NoSuchTagSet", 404, "The TagSet does not exist"};
inline constexpr ErrorKind kNoSuchUpload{"NoSuchUpload", 404,
                                         "The specified upload does not exist. The upload ID may be invalid, "
                                         "or the upload may have been aborted or completed."};
inline constexpr ErrorKind kNoSuchVersion{"NoSuchVersion", 404, "The specified version does not exist."};
inline constexpr ErrorKind kNoSuchWebsiteConfiguration{
    "NoSuchWebsiteConfiguration", 404, "The specified bucket does not have a website configuration"};
inline constexpr ErrorKind kNotImplemented{
    "NotImplemented", 501, "A header you provided implies functionality that is not implemented"};
inline constexpr ErrorKind kNotModified{"NotModified", 304, "Not Modified"};
inline constexpr ErrorKind kObjectLockConfigurationNotFound{
    "ObjectLockConfigurationNotFoundError", 404, "Object Lock configuration does not exist for this bucket"};
inline constexpr ErrorKind kOperationAborted{
    "OperationAborted", 409,
    "A conflicting conditional operation is currently in progress against this resource. Please try again."};
inline constexpr ErrorKind kPreconditionFailed{
    "PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"};
inline constexpr ErrorKind kReplicationConfigurationNotFound{"ReplicationConfigurationNotFoundError", 404,
                                                             "The replication configuration was not found"};
inline constexpr ErrorKind kRequestTimeout{
    "RequestTimeout", 400,
    "Your socket connection to the server was not read from or written to within the timeout period."};
inline constexpr ErrorKind kRequestTimeTooSkewed{
    "RequestTimeTooSkewed", 403,
    "The difference between the request time and the server's time is too large."};
inline constexpr ErrorKind kServerSideEncryptionNotFound{
    "ServerSideEncryptionConfigurationNotFoundError", 404,
    "The server side encryption configuration was not found"};
inline constexpr ErrorKind kServiceUnavailable{"ServiceUnavailable", 503,
                                               "Service is unable to handle request."};
inline constexpr ErrorKind kSignatureDoesNotMatch{
    "SignatureDoesNotMatch", 403,
    "The request signature we calculated does not match the signature you provided. Check your key and "
    "signing method."};
inline constexpr ErrorKind kSlowDown{"SlowDown", 503, "Please reduce your request rate."};
inline constexpr ErrorKind kTooManyBuckets{"TooManyBuckets", 400,
                                           "You have attempted to create more buckets than allowed"};
inline constexpr ErrorKind kUserKeyMustBeSpecified{"UserKeyMustBeSpecified", 400,
                                                   "The bucket POST must contain the specified field name. "
                                                   "If it is specified, check the order of the fields."};
inline constexpr ErrorKind kSha256Mismatch{
    "XAmzContentSHA256Mismatch", 400,
    "The provided 'x-amz-content-sha256' header does not match what was computed."};
}  // namespace error

// The one table from our codes to S3's.
const ErrorKind& kind_of(Errc code) noexcept;

// What a client is told. Extra fields follow the message in the XML body, in order.
class S3Error {
 public:
  S3Error(const ErrorKind& kind, std::string message = {})  // NOLINT(google-explicit-constructor)
      : kind_(kind), message_(std::move(message)) {}
  // The detail goes to the log; only that of an invalid argument says to the client what is wrong with its
  // request, and that of a failed precondition names the header.
  S3Error(Error cause);  // NOLINT(google-explicit-constructor): the table is the conversion

  S3Error&& with(std::string name, std::string value) &&;
  void add(std::string name, std::string value);  // not inline: g++ 12 warns of the moves falsely
  bool has(std::string_view name) const noexcept;

  bool is(const ErrorKind& kind) const noexcept { return kind_.code == kind.code; }
  std::string_view code() const noexcept { return kind_.code; }
  unsigned status() const noexcept { return kind_.status; }
  std::string_view message() const noexcept {
    return message_.empty() ? kind_.message : std::string_view(message_);
  }
  Errc cause() const noexcept { return cause_; }  // internal unless made from an Error
  const std::string& detail() const noexcept { return detail_; }
  const std::vector<std::pair<std::string, std::string>>& fields() const noexcept { return fields_; }

 private:
  ErrorKind kind_;
  std::string message_;  // empty: the kind's
  Errc cause_ = Errc::internal;
  std::string detail_;  // for the log only
  std::vector<std::pair<std::string, std::string>> fields_;
};

// The body of an error answer.
std::string error_document(const S3Error& error, std::string_view resource, std::string_view request_id,
                           std::string_view host_id);

template <class T = void>
class [[nodiscard]] S3Result : public tl::expected<T, S3Error> {
 public:
  using Base = tl::expected<T, S3Error>;
  using Base::Base;
};

inline tl::unexpected<S3Error> refuse(S3Error error) {
  return tl::unexpected<S3Error>(std::move(error));
}
inline tl::unexpected<S3Error> refuse(const ErrorKind& kind, std::string message = {}) {
  return tl::unexpected<S3Error>(S3Error(kind, std::move(message)));
}
// InvalidArgument with the two fields AWS adds.
tl::unexpected<S3Error> refuse_argument(std::string message, std::string name, std::string value);

}  // namespace ostraka::s3api

// As TRY and CO_TRY of base/result.h, for functions that return S3Result; the expression may give a Result or
// an S3Result.
#define OSTRAKA_S3_TRY_(ret, tmp, decl, ...)                                                 \
  auto tmp = __VA_ARGS__;                                                                    \
  if (!tmp) ret ::ostraka::s3api::refuse(::ostraka::s3api::S3Error(std::move(tmp).error())); \
  auto decl = std::move(*tmp)
#define OSTRAKA_S3_TRY_VOID_(ret, tmp, ...) \
  if (auto tmp = __VA_ARGS__; !tmp)         \
  ret ::ostraka::s3api::refuse(::ostraka::s3api::S3Error(std::move(tmp).error()))
#define S3_TRY(decl, ...) OSTRAKA_S3_TRY_(return, OSTRAKA_CONCAT(try_, __LINE__), decl, __VA_ARGS__)
#define S3_CO_TRY(decl, ...) OSTRAKA_S3_TRY_(co_return, OSTRAKA_CONCAT(try_, __LINE__), decl, __VA_ARGS__)
#define S3_TRY_VOID(...) OSTRAKA_S3_TRY_VOID_(return, OSTRAKA_CONCAT(try_, __LINE__), __VA_ARGS__)
// No if-initializer around co_await: a plain declaration first.
#define S3_CO_TRY_VOID(...)                          \
  auto OSTRAKA_CONCAT(try_, __LINE__) = __VA_ARGS__; \
  if (!OSTRAKA_CONCAT(try_, __LINE__))               \
  co_return ::ostraka::s3api::refuse(                \
      ::ostraka::s3api::S3Error(std::move(OSTRAKA_CONCAT(try_, __LINE__)).error()))
