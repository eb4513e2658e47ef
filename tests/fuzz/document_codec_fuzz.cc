// links: cluster
// Decodes a control document; what decodes must encode to the same bytes.
#include "base/check.h"
#include "cluster/document_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto document = ostraka::cluster::decode_document("bucket/a", bytes);
  if (document) CHECK(ostraka::cluster::encode_document("bucket/a", *document) == bytes);
  return 0;
}
