#include "s3api/request_uri.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/limits.h"
#include "object/bucket_name.h"

namespace ostraka::s3api {

namespace {

// Host without its port. An IPv6 literal keeps its brackets.
std::string_view host_name(std::string_view host) noexcept {
  const std::size_t bracket = host.rfind(']');
  const std::size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket)) return host;
  return host.substr(0, colon);
}

// The bucket that a virtual-host style Host names; empty when the host is a domain itself or foreign.
std::string bucket_of_host(std::string_view host, const std::vector<std::string>& domains) {
  if (domains.empty()) return {};
  std::string name = to_lower(host_name(host));
  std::size_t longest = 0;  // with domains "s3.example" and "example", bucket.s3.example belongs to the first
  for (const std::string& domain : domains) {
    if (name == domain) return {};
    if (name.size() > domain.size() + 1 && name.ends_with(domain) &&
        name[name.size() - domain.size() - 1] == '.') {
      longest = std::max(longest, domain.size());
    }
  }
  if (longest == 0) return {};
  name.resize(name.size() - longest - 1);
  return name;
}

}  // namespace

const std::string* QueryParams::find(std::string_view name) const noexcept {
  for (const auto& entry : list_) {
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

std::string_view QueryParams::get(std::string_view name) const noexcept {
  const std::string* value = find(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

S3Result<QueryParams> parse_query(std::string_view query) {
  QueryParams out;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view item = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (item.empty()) continue;
    const std::size_t equals = std::min(item.find('='), item.size());
    auto name = percent_decode(item.substr(0, equals), Plus::blank);
    auto value = percent_decode(item.substr(std::min(equals + 1, item.size())), Plus::blank);
    if (!name || !value || !is_utf8(*name) || !is_utf8(*value)) return refuse(error::kInvalidUri);
    out.add(std::move(*name), std::move(*value));
  }
  return out;
}

S3Result<RequestUri> parse_request_uri(std::string_view target, std::string_view host,
                                       const std::vector<std::string>& domains) {
  if (!target.starts_with('/')) {  // absolute form (RFC 9112 3.2.2)
    const std::size_t scheme_end = target.find("://");
    const std::string_view scheme = target.substr(0, scheme_end);
    if (!iequals(scheme, "http") && !iequals(scheme, "https")) return refuse(error::kInvalidUri);
    target.remove_prefix(scheme_end + 3);
    const std::size_t authority_end = std::min(target.find_first_of("/?"), target.size());
    // The signature covers Host: another authority would lead a signed request to another bucket.
    if (!iequals(target.substr(0, authority_end), host)) return refuse(error::kInvalidUri);
    target.remove_prefix(authority_end);
  }
  const std::size_t path_end = std::min(target.find('?'), target.size());
  auto path = percent_decode(target.substr(0, path_end), Plus::literal);
  if (!path) return refuse(error::kInvalidUri);
  if (path->empty()) *path = "/";

  RequestUri uri;
  S3_TRY(query, parse_query(target.substr(std::min(path_end + 1, target.size()))));
  uri.query = std::move(query);
  std::string_view rest = std::string_view(*path).substr(1);
  uri.bucket = BucketName(bucket_of_host(host, domains));
  uri.virtual_hosted = uri.has_bucket();
  if (!uri.virtual_hosted) {
    const std::size_t bucket_end = std::min(rest.find('/'), rest.size());
    uri.bucket = BucketName(std::string(rest.substr(0, bucket_end)));
    if (!uri.has_bucket() && !rest.empty()) return refuse(error::kInvalidUri);  // //key names no bucket
    rest.remove_prefix(std::min(bucket_end + 1, rest.size()));
  }
  if (uri.has_bucket() && !object::is_bucket_name(uri.bucket.get())) {
    S3Error error(error::kInvalidBucketName);
    if (is_utf8(uri.bucket.get())) error.add("BucketName", uri.bucket.get());
    return refuse(std::move(error));
  }
  S3_TRY_VOID(check_key(rest));
  uri.key = ObjectKey(std::string(rest));
  uri.resource = std::move(*path);
  return uri;
}

S3Result<> check_key(std::string_view key) {
  if (!is_utf8(key)) return refuse(error::kInvalidUri);
  if (key.size() > kMaxKeyBytes) {
    S3Error error(error::kKeyTooLong);
    error.add("Size", std::to_string(key.size()));
    error.add("MaxSizeAllowed", std::to_string(kMaxKeyBytes));
    return refuse(std::move(error));
  }
  return {};
}

}  // namespace ostraka::s3api
