#include "s3api/request_uri.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "s3api/limits.h"

namespace ostraka::s3api {

namespace {

bool is_lower_or_digit(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_ipv4_shaped(std::string_view name) noexcept {
  int dots = 0;
  for (const char c : name) {
    if (c == '.') {
      ++dots;
    } else if (c < '0' || c > '9') {
      return false;
    }
  }
  return dots == 3;
}

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
  if (uri.has_bucket() && !is_bucket_name(uri.bucket.get())) {
    S3Error error(error::kInvalidBucketName);
    if (is_utf8(uri.bucket.get())) error.add("BucketName", uri.bucket.get());
    return refuse(std::move(error));
  }
  S3_TRY_VOID(check_key(rest));
  uri.key = ObjectKey(std::string(rest));
  uri.resource = std::move(*path);
  return uri;
}

bool is_bucket_name(std::string_view name) noexcept {
  if (name.size() < kMinBucketNameBytes || name.size() > kMaxBucketNameBytes) return false;
  const auto allowed = [](char c) { return is_lower_or_digit(c) || c == '-' || c == '.'; };
  return std::all_of(name.begin(), name.end(), allowed) && is_lower_or_digit(name.front()) &&
         is_lower_or_digit(name.back());
}

bool is_new_bucket_name(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 3> kReservedPrefixes{"xn--", "sthree-", "amzn-s3-demo-"};
  static constexpr std::array<std::string_view, 5> kReservedSuffixes{"-s3alias", "--ol-s3", ".mrap", "--x-s3",
                                                                     "--table-s3"};
  if (!is_bucket_name(name) || is_ipv4_shaped(name)) return false;
  if (name.find("..") != std::string_view::npos) return false;
  const auto starts = [&](std::string_view prefix) { return name.starts_with(prefix); };
  const auto ends = [&](std::string_view suffix) { return name.ends_with(suffix); };
  return std::none_of(kReservedPrefixes.begin(), kReservedPrefixes.end(), starts) &&
         std::none_of(kReservedSuffixes.begin(), kReservedSuffixes.end(), ends);
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
