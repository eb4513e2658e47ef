#include "s3api/s3_error.h"

#include "base/encoding.h"
#include "net/xml_writer.h"

namespace ostraka::s3api {

namespace {

// What a request said may be any bytes, and a document that is not UTF-8 is none to the client's parser.
std::string printable(std::string_view text) {
  return is_utf8(text) ? std::string(text) : percent_encode(text, Slash::keep);
}

}  // namespace

const ErrorKind& kind_of(Errc code) noexcept {
  switch (code) {
    case Errc::not_found:
    case Errc::corrupt:
    case Errc::io:
    case Errc::wrong_drive:
    case Errc::unsupported_version:
    case Errc::internal:
      return error::kInternalError;
    case Errc::no_space:
      return error::kInsufficientStorage;
    case Errc::unavailable:
    case Errc::in_doubt:
    case Errc::refused:
    case Errc::stale_epoch:
    case Errc::deadline:
    case Errc::closed:
      return error::kServiceUnavailable;
    case Errc::overloaded:
      return error::kSlowDown;
    case Errc::invalid_argument:
      return error::kInvalidArgument;
    case Errc::malformed:
      return error::kInvalidRequest;
    case Errc::too_large:
      return error::kEntityTooLarge;
    case Errc::incomplete_body:
      return error::kIncompleteBody;
    case Errc::bad_digest:
      return error::kBadDigest;
    case Errc::invalid_digest:
      return error::kInvalidDigest;
    case Errc::payload_hash_mismatch:
      return error::kSha256Mismatch;
    case Errc::access_denied:
      return error::kAccessDenied;
    case Errc::signature_mismatch:
      return error::kSignatureDoesNotMatch;
    case Errc::precondition_failed:
      return error::kPreconditionFailed;
    case Errc::not_modified:
      return error::kNotModified;
    case Errc::conflict:
      return error::kConditionalRequestConflict;
    case Errc::no_such_bucket:
      return error::kNoSuchBucket;
    case Errc::no_such_key:
      return error::kNoSuchKey;
    case Errc::no_such_upload:
      return error::kNoSuchUpload;
    case Errc::no_such_version:
      return error::kNoSuchVersion;
    case Errc::bucket_exists:
      return error::kBucketAlreadyOwnedByYou;
    case Errc::bucket_not_empty:
      return error::kBucketNotEmpty;
    case Errc::invalid_part:
      return error::kInvalidPart;
    case Errc::invalid_part_order:
      return error::kInvalidPartOrder;
    case Errc::part_too_small:
      return error::kEntityTooSmall;
    case Errc::invalid_range:
      return error::kInvalidRange;
    case Errc::method_not_allowed:
      return error::kMethodNotAllowed;
    case Errc::not_implemented:
      return error::kNotImplemented;
  }
  return error::kInternalError;
}

S3Error::S3Error(Error cause)
    : kind_(kind_of(cause.code)), cause_(cause.code), detail_(std::move(cause.detail)) {
  if (cause_ == Errc::invalid_argument) message_ = detail_;
  if (cause_ == Errc::precondition_failed && !detail_.empty()) add("Condition", detail_);
}

void S3Error::add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

S3Error&& S3Error::with(std::string name, std::string value) && {
  add(std::move(name), std::move(value));
  return std::move(*this);
}

bool S3Error::has(std::string_view name) const noexcept {
  for (const auto& field : fields_) {
    if (field.first == name) return true;
  }
  return false;
}

std::string error_document(const S3Error& error, std::string_view resource, std::string_view request_id,
                           std::string_view host_id) {
  net::XmlWriter xml;
  xml.open("Error").element("Code", error.code()).element("Message", error.message());
  for (const auto& [name, value] : error.fields()) xml.element(name, printable(value));
  xml.element("Resource", printable(resource)).element("RequestId", request_id).element("HostId", host_id);
  return xml.close("Error").take();
}

tl::unexpected<S3Error> refuse_argument(std::string message, std::string name, std::string value) {
  S3Error error(error::kInvalidArgument, std::move(message));
  error.add("ArgumentName", std::move(name));
  error.add("ArgumentValue", std::move(value));
  return refuse(std::move(error));
}

}  // namespace ostraka::s3api
