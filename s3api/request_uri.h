// What a request target names: bucket, key and query, from path style (/bucket/key) or virtual-host style
// (bucket.domain). Names are percent-decoded once and never normalised. Source: S3 user guide, "Virtual
// hosting of buckets" and "Creating object key names".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "s3api/s3_error.h"

namespace ostraka::s3api {

// Decoded query parameters in the order received.
class QueryParams {
 public:
  const std::string* find(std::string_view name) const noexcept;  // first of that name, or nullptr
  bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
  std::string_view get(std::string_view name) const noexcept;  // "" when absent
  void add(std::string name, std::string value) { list_.emplace_back(std::move(name), std::move(value)); }
  const std::vector<std::pair<std::string, std::string>>& all() const noexcept { return list_; }

 private:
  std::vector<std::pair<std::string, std::string>> list_;
};

struct RequestUri {
  BucketName bucket;  // empty: the service itself
  ObjectKey key;      // empty: the bucket itself
  QueryParams query;
  std::string resource;         // the decoded path, as errors name it
  bool virtual_hosted = false;  // the bucket is in the host name
  bool has_bucket() const noexcept { return !bucket.get().empty(); }
  bool has_key() const noexcept { return !key.get().empty(); }
};

// target: the raw request target; host: the Host header; domains: lower case, of virtual-host style requests.
// Errors: InvalidURI, InvalidBucketName, KeyTooLongError.
S3Result<RequestUri> parse_request_uri(std::string_view target, std::string_view host,
                                       const std::vector<std::string>& domains);
// a=b&c with '+' as a blank. Errors: InvalidURI.
S3Result<QueryParams> parse_query(std::string_view query);

S3Result<> check_key(std::string_view key);  // InvalidURI when not UTF-8, KeyTooLongError

}  // namespace ostraka::s3api
