#include "s3api/copy_source.h"

#include <optional>

#include "base/encoding.h"
#include "base/limits.h"
#include "object/bucket_name.h"

namespace ostraka::s3api {

namespace {

constexpr std::string_view kVersionParameter = "?versionId=";

tl::unexpected<S3Error> refuse_source(std::string_view header) {
  return refuse_argument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
                         "x-amz-copy-source", std::string(header));
}

}  // namespace

S3Result<CopySource> parse_copy_source(std::string_view header) {
  std::string_view path = header;
  std::optional<std::string_view> version;
  if (const std::size_t at = header.rfind(kVersionParameter); at != std::string_view::npos) {
    path = header.substr(0, at);
    version = header.substr(at + kVersionParameter.size());
  }
  const auto decoded = percent_decode(path, Plus::blank);  // AWS decodes it as it does a form
  if (!decoded) return refuse_source(header);
  std::string_view rest = *decoded;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == rest.size()) return refuse_source(header);
  CopySource source{.bucket = BucketName(std::string(rest.substr(0, slash))),
                    .key = ObjectKey(std::string(rest.substr(slash + 1)))};
  if (!object::is_bucket_name(source.bucket.get())) {
    if (rest.starts_with("arn:"))
      return refuse(error::kNotImplemented, "Access points as copy source are not implemented.");
    return refuse(error::kInvalidBucketName);
  }
  S3_TRY_VOID(check_key(source.key.get()));
  if (!version) return source;
  S3_TRY(named, read_version_id(*version, "x-amz-copy-source"));
  if (named == NamedVersion::absent) {
    return refuse(S3Error(error::kNoSuchVersion)
                      .with("Key", source.key.get())
                      .with("VersionId", std::string(*version)));
  }
  return source;
}

S3Result<CopySource> read_copy_source(const Call& call) {
  S3_TRY(source, parse_copy_source(call.headers().get("x-amz-copy-source")));
  const std::string* owner = call.headers().find("x-amz-source-expected-bucket-owner");
  if (owner != nullptr && *owner != call.config.owner_id) return refuse(error::kAccessDenied);
  S3_TRY_VOID(call.find_bucket());
  auto source_bucket = call.objects.bucket(source.bucket);
  if (!source_bucket) {
    return refuse(S3Error(std::move(source_bucket).error()).with("BucketName", source.bucket.get()));
  }
  return source;
}

S3Error explain_copy(S3Error error, const CopySource& source) {
  if (error.is(error::kNoSuchKey)) error.add("Key", source.key.get());
  if (error.is(error::kEntityTooLarge)) {
    return {error::kInvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: " +
                std::to_string(kMaxPutBytes)};
  }
  return error;
}

}  // namespace ostraka::s3api
