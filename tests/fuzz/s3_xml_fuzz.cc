// links: s3api
// XML bodies of requests. What one parser accepts has to be within the limits it promises.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/encoding.h"
#include "s3api/limits.h"
#include "s3api/xml_requests.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ostraka;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto request = s3api::parse_delete_objects(text)) {
    CHECK(!request->items.empty() && request->items.size() <= s3api::kMaxDeleteKeys);
    for (const auto& item : request->items) {
      CHECK(!item.key.empty() && is_utf8(item.key) && item.key.find('\0') == std::string::npos);
    }
  }
  if (const auto parts = s3api::parse_complete_upload(text)) {
    CHECK(!parts->empty() && parts->size() <= kMaxParts);
    for (const auto& part : *parts) CHECK(part.number >= 1 && part.number <= kMaxParts && !part.etag.empty());
  }
  if (const auto request = s3api::parse_create_bucket(text)) CHECK(is_utf8(request->location));
  if (const auto tags = s3api::parse_tagging(text)) CHECK(tags->size() <= s3api::kMaxObjectTags);
  return 0;
}
