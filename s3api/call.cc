#include "s3api/call.h"

#include "base/encoding.h"
#include "runtime/shard.h"

namespace ostraka::s3api {

void Call::allow(std::chrono::milliseconds time) const {
  ctx.deadline = deadline_after(ctx.shard.clock().now(), time);
}

S3Result<object::BucketInfo> Call::find_bucket() const {
  auto info = objects.bucket(uri.bucket);
  if (!info) return refuse(S3Error(std::move(info).error()).with("BucketName", bucket()));
  return std::move(*info);
}

S3Result<NamedVersion> Call::named_version() const {
  const std::string* id = query().find("versionId");
  if (id == nullptr) return NamedVersion::null_version;
  return read_version_id(*id, "versionId");
}

S3Result<> Call::check_version_id() const {
  S3_TRY(version, named_version());
  if (version == NamedVersion::null_version) return {};
  S3_TRY_VOID(find_bucket());
  return refuse(S3Error(error::kNoSuchVersion)
                    .with("Key", key())
                    .with("VersionId", std::string(query().get("versionId"))));
}

std::string Call::location() const {
  std::string out = head.tls ? "https://" : "http://";
  out += headers().get("host");
  out += '/';
  if (!uri.virtual_hosted) {
    out += bucket();
    out += '/';
  }
  return out + percent_encode(uri.key.get(), Slash::keep);
}

}  // namespace ostraka::s3api
