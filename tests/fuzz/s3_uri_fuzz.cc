// links: s3api
// Request targets with a Host, and the headers of the same kind of text: the first line is the host, the rest
// the target.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "object/bucket_name.h"
#include "s3api/conditions.h"
#include "s3api/copy_source.h"
#include "s3api/range.h"
#include "s3api/request_uri.h"
#include "s3api/router.h"
#include "s3api/tags.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ostraka;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(input.find('\n'), input.size());
  const std::string_view host = input.substr(0, line);
  const std::string_view target = input.substr(std::min(line + 1, input.size()));
  if (const auto uri = s3api::parse_request_uri(target, host, {"s3.test", "test"})) {
    CHECK(!uri->has_bucket() || object::is_bucket_name(uri->bucket.get()));
    CHECK(uri->key.get().size() <= kMaxKeyBytes && is_utf8(uri->key.get()));
    CHECK(uri->has_bucket() || !uri->has_key());
    for (const auto method : {net::Method::get, net::Method::put, net::Method::delete_, net::Method::post}) {
      net::RequestHead head;
      head.method = method;
      const auto operation = s3api::route(head, *uri);
      CHECK(!operation || *operation != s3api::Operation::Unknown);
    }
  }
  if (const auto source = s3api::parse_copy_source(target)) {
    CHECK(object::is_bucket_name(source->bucket.get()) && !source->key.get().empty());
  }
  for (const std::uint64_t object_size : {0ULL, 1ULL, 1000ULL}) {
    const auto range = s3api::parse_range(target, object_size);
    if (range && *range) CHECK((*range)->begin < (*range)->end && (*range)->end <= object_size);
  }
  if (const auto range = s3api::parse_copy_range(target)) CHECK(range->begin < range->end);
  for (const auto& etag : s3api::parse_etags(target)) CHECK(etag.size() <= target.size());
  if (const auto tags = s3api::parse_tagging_header(target)) CHECK(tags->size() <= 10);
  return 0;
}
