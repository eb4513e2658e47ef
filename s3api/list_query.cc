#include "s3api/list_query.h"

#include <algorithm>

#include "base/encoding.h"

namespace ostraka::s3api {

S3Result<std::size_t> parse_count(const QueryParams& query, std::string_view name, const CountRule& rule) {
  const std::string* text = query.find(name);
  if (text == nullptr || text->empty()) return rule.fallback;
  const bool negative = text->starts_with('-');
  const auto value = parse_u64(std::string_view(*text).substr(negative ? 1 : 0));
  std::string argument(name);
  if (!value || *value > CountRule().allowed) {
    return refuse_argument("Provided " + argument + " not an integer or within integer range", argument,
                           *text);
  }
  if ((negative && *value > 0) || *value < rule.least || *value > rule.allowed) {
    return refuse_argument("Argument " + argument + " must be an integer between " +
                               std::to_string(rule.least) + " and " + std::to_string(rule.allowed),
                           argument, *text);
  }
  return static_cast<std::size_t>(std::min<std::uint64_t>(*value, rule.most));
}

std::string make_token(std::string_view after) {
  std::string token = "1" + base64(after);
  for (char& c : token) {  // of the alphabets of RFC 4648, the one that needs no escape in a URL
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return token;
}

S3Result<std::optional<std::string>> read_token(const QueryParams& query, std::string_view name) {
  const std::string* token = query.find(name);
  if (token == nullptr) return std::optional<std::string>();
  std::optional<std::string> after;
  if (token->starts_with('1')) {
    std::string text = token->substr(1);
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    after = unbase64(text);
  }
  if (!after || after->empty() || !is_utf8(*after)) {
    return refuse_argument("The continuation token provided is incorrect", std::string(name), *token);
  }
  return after;
}

S3Result<KeyEncoder> KeyEncoder::from(const QueryParams& query) {
  const std::string* type = query.find("encoding-type");
  if (type == nullptr || type->empty()) return KeyEncoder(false);
  if (!iequals(*type, "url")) {
    return refuse_argument("Invalid Encoding Method specified in Request", "encoding-type", *type);
  }
  return KeyEncoder(true);
}

std::string_view KeyEncoder::operator()(std::string_view key) {
  if (!url_) return key;
  buffer_ = percent_encode(key, Slash::keep);
  return buffer_;
}

}  // namespace ostraka::s3api
