// links: cluster
// The document of moves: whatever decodes is encoded to something that decodes to the same.
#include "base/check.h"
#include "cluster/move_document.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ostraka;
  const auto read = cluster::decode_moves({reinterpret_cast<const char*>(data), size});
  if (!read) return 0;
  const auto again = cluster::decode_moves(cluster::encode_moves(*read));
  CHECK(again && again->moves == read->moves && again->slots_done == read->slots_done);
  return 0;
}
