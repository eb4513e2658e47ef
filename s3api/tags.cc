#include "s3api/tags.h"

#include <algorithm>

#include "s3api/limits.h"
#include "s3api/request_uri.h"

namespace ostraka::s3api {

namespace {

std::size_t characters(std::string_view utf8) noexcept {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & '\xC0') != '\x80'; }));
}

}  // namespace

S3Result<disk::StringPairs> parse_tagging_header(std::string_view header) {
  const auto parsed = parse_query(header);
  if (!parsed) {
    return refuse_argument(
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without "
        "tag name "
        "duplicates.",
        "x-amz-tagging", std::string(header));
  }
  disk::StringPairs tags = parsed->all();
  S3_TRY_VOID(check_tags(tags));
  return tags;
}

S3Result<> check_tags(const disk::StringPairs& tags) {
  if (tags.size() > kMaxObjectTags)
    return refuse(error::kBadRequest, "Object tags cannot be greater than 10");
  for (auto tag = tags.begin(); tag != tags.end(); ++tag) {
    const auto same_key = [tag](const auto& other) { return other.first == tag->first; };
    if (std::any_of(tags.begin(), tag, same_key)) {
      return refuse(S3Error(error::kInvalidTag, "Cannot provide multiple Tags with the same key")
                        .with("TagKey", tag->first));
    }
    if (tag->first.empty() || characters(tag->first) > kMaxTagKeyChars || tag->first.starts_with("aws:")) {
      return refuse(S3Error(error::kInvalidTag).with("TagKey", tag->first));
    }
    if (characters(tag->second) > kMaxTagValueChars) {
      return refuse(S3Error(error::kInvalidTag, "The TagValue you have provided is invalid")
                        .with("TagValue", tag->second));
    }
  }
  return {};
}

}  // namespace ostraka::s3api
