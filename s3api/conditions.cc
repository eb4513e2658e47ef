#include "s3api/conditions.h"

#include <algorithm>

#include "base/encoding.h"

namespace ostraka::s3api {

namespace {

std::optional<std::int64_t> read_date(const net::Headers& headers, std::string_view name) {
  const std::string* text = headers.find(name);
  if (text == nullptr) return std::nullopt;
  return parse_http_date(*text);
}

tl::unexpected<S3Error> refuse_header(std::string name) {
  return refuse(S3Error(error::kNotImplemented).with("Header", std::move(name)));
}

object::Conditions read_prefixed(const net::Headers& headers, const std::string& prefix) {
  object::Conditions out;
  out.if_match = parse_etags(headers.get(prefix + "if-match"));
  out.if_none_match = parse_etags(headers.get(prefix + "if-none-match"));
  out.if_modified_since_ms = read_date(headers, prefix + "if-modified-since");
  out.if_unmodified_since_ms = read_date(headers, prefix + "if-unmodified-since");
  return out;
}

}  // namespace

std::vector<std::string> parse_etags(std::string_view text) {
  std::vector<std::string> out;
  while (!(text = trim(text)).empty()) {
    if (text.starts_with("W/\"")) text.remove_prefix(2);
    std::size_t end;
    if (text.front() == '"') {
      text.remove_prefix(1);
      end = std::min(text.find('"'), text.size());
      out.emplace_back(text.substr(0, end));
      end = std::min(text.find(',', end), text.size());
    } else {
      end = std::min(text.find(','), text.size());
      const std::string_view bare = trim(text.substr(0, end));
      if (!bare.empty()) out.emplace_back(bare);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

object::Conditions read_conditions(const net::Headers& headers) {
  return read_prefixed(headers, "");
}

object::Conditions copy_source_conditions(const net::Headers& headers) {
  return read_prefixed(headers, "x-amz-copy-source-");
}

S3Result<object::Conditions> write_conditions(const net::Headers& headers) {
  object::Conditions out;
  out.if_none_match = parse_etags(headers.get("if-none-match"));
  out.if_match = parse_etags(headers.get("if-match"));
  if (!out.if_none_match.empty() && (out.if_none_match.size() != 1 || out.if_none_match.front() != "*")) {
    return refuse_header("If-None-Match");
  }
  if (headers.find("if-modified-since") != nullptr) return refuse_header("If-Modified-Since");
  if (headers.find("if-unmodified-since") != nullptr) return refuse_header("If-Unmodified-Since");
  return out;
}

S3Result<object::Conditions> delete_conditions(const net::Headers& headers) {
  object::Conditions out;
  out.if_match = parse_etags(headers.get("if-match"));
  if (const std::string* size = headers.find("x-amz-if-match-size")) {
    out.if_match_size = parse_u64(*size);
    if (!out.if_match_size)
      return refuse_argument("The size must be a number of bytes.", "x-amz-if-match-size", *size);
  }
  if (const std::string* time = headers.find("x-amz-if-match-last-modified-time")) {
    out.if_match_last_modified_ms = parse_http_date(*time);
    if (!out.if_match_last_modified_ms) {
      return refuse_argument("The time is not a date.", "x-amz-if-match-last-modified-time", *time);
    }
  }
  return out;
}

S3Error explain_condition(S3Error error, const object::Conditions& conditions) {
  if (!error.is(error::kPreconditionFailed) || error.has("Condition")) return error;
  std::string name = conditions.if_unmodified_since_ms ? "If-Unmodified-Since" : "If-Modified-Since";
  if (!conditions.if_match.empty()) {
    name = "If-Match";
  } else if (conditions.if_match_size) {
    name = "x-amz-if-match-size";
  } else if (conditions.if_match_last_modified_ms) {
    name = "x-amz-if-match-last-modified-time";
  } else if (!conditions.if_none_match.empty()) {
    name = "If-None-Match";
  }
  error.add("Condition", std::move(name));
  return error;
}

}  // namespace ostraka::s3api
