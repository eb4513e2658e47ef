// links: admin
// Reads what one node passes on to another, and puts it together with a status of heals as if it were one.
#include "admin/admin_peers.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ostraka::admin::ApiJson;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto request = ostraka::admin::decode_request(text)) {
    const auto again = ostraka::admin::decode_request(encode_request(*request));
    CHECK(again.has_value() && again->path == request->path && again->query == request->query);
  }
  const ApiJson other = ApiJson::parse(text, nullptr, false);
  ApiJson status = ApiJson::parse(
      R"({"width":1.5,"queue":{"entries":1,"oldest_ms":null,"waiting":[]},"refills":[],"runs":[],"recent":[]})");
  ostraka::admin::merge_heal_status(status, other);
  CHECK(status["queue"]["entries"].is_number_unsigned() && status["recent"].is_array());
  return 0;
}
