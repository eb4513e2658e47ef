// What listings have in common: counts, encoding-type, tokens.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "s3api/request_uri.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

struct CountRule {
  std::size_t fallback = 0;             // when absent or empty
  std::size_t most = 0;                 // a larger one counts as this
  std::size_t least = 0;                // a smaller one is refused,
  std::size_t allowed = 2'147'483'647;  // and so is a larger one than this
};
// A count such as max-keys. Errors: InvalidArgument.
S3Result<std::size_t> parse_count(const QueryParams& query, std::string_view name, const CountRule& rule);

// Tokens are opaque to clients: "1", the form's number, and the name to go on after.
std::string make_token(std::string_view after);
S3Result<std::optional<std::string>> read_token(const QueryParams& query,
                                                std::string_view name);  // InvalidArgument

// Keys of answers, as encoding-type asks for them.
class KeyEncoder {
 public:
  static S3Result<KeyEncoder> from(const QueryParams& query);  // InvalidArgument
  bool url() const noexcept { return url_; }
  // A view of `key` itself, or of a buffer that lives until the next call.
  std::string_view operator()(std::string_view key);

 private:
  explicit KeyEncoder(bool url) noexcept : url_(url) {}
  bool url_;
  std::string buffer_;
};

}  // namespace ostraka::s3api
