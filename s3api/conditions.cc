#include "s3api/conditions.h"

#include <algorithm>
#include <iterator>

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

// Of all lines of that name.
std::vector<std::string> read_etags(const net::Headers& headers, std::string_view name) {
  std::vector<std::string> out;
  for (const net::Header& header : headers.all()) {
    if (!iequals(header.first, name)) continue;
    std::vector<std::string> etags = parse_etags(header.second);
    std::move(etags.begin(), etags.end(), std::back_inserter(out));
  }
  return out;
}

object::Conditions read_prefixed(const net::Headers& headers, const std::string& prefix) {
  object::Conditions out;
  out.if_match = read_etags(headers, prefix + "if-match");
  // Whoever names no ETag at all has none that the object could match.
  if (out.if_match.empty() && headers.find(prefix + "if-match") != nullptr) out.if_match.emplace_back();
  out.if_none_match = read_etags(headers, prefix + "if-none-match");
  out.if_modified_since_ms = read_date(headers, prefix + "if-modified-since");
  out.if_unmodified_since_ms = read_date(headers, prefix + "if-unmodified-since");
  return out;
}

// nullptr when absent. Of two, it is not for us to say which the client meant.
S3Result<const std::string*> find_single(const net::Headers& headers, std::string_view name) {
  const std::string* found = nullptr;
  for (const net::Header& header : headers.all()) {
    if (!iequals(header.first, name)) continue;
    if (found != nullptr)
      return refuse(error::kInvalidRequest, std::string(name) + " must be given only once.");
    found = &header.second;
  }
  return found;
}

// Of a write or a delete: an empty one, taken for none, would overwrite what its sender meant to protect.
S3Result<> read_if_match(const net::Headers& headers, object::Conditions& out) {
  S3_TRY(text, find_single(headers, "If-Match"));
  if (text == nullptr) return {};
  if (trim(*text).empty()) return refuse_argument("If-Match must name an ETag.", "If-Match", *text);
  out.if_match.push_back(parse_etag(*text));
  return {};
}

}  // namespace

std::string parse_etag(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

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
  S3_TRY(none_match, find_single(headers, "If-None-Match"));
  if (none_match != nullptr) {
    if (trim(*none_match) != "*") return refuse_header("If-None-Match");
    out.if_none_match.emplace_back("*");
  }
  S3_TRY_VOID(read_if_match(headers, out));
  if (headers.find("if-modified-since") != nullptr) return refuse_header("If-Modified-Since");
  if (headers.find("if-unmodified-since") != nullptr) return refuse_header("If-Unmodified-Since");
  return out;
}

S3Result<object::Conditions> delete_conditions(const net::Headers& headers) {
  object::Conditions out;
  S3_TRY_VOID(read_if_match(headers, out));
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

}  // namespace ostraka::s3api
