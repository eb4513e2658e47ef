#include "s3api/version_id.h"

#include <algorithm>

#include "base/ids.h"

namespace ostraka::s3api {

namespace {

// The form of to_string(VersionId).
bool is_version_id(std::string_view text) {
  static const std::size_t kDigits = to_string(kNoVersion).size();
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == kDigits && std::all_of(text.begin(), text.end(), is_digit);
}

}  // namespace

S3Result<NamedVersion> read_version_id(std::string_view text, std::string argument) {
  if (text == "null") return NamedVersion::null_version;
  if (is_version_id(text)) return NamedVersion::absent;
  return refuse_argument(
      text.empty() ? "Version id cannot be the empty string" : "Invalid version id specified",
      std::move(argument), std::string(text));
}

}  // namespace ostraka::s3api
