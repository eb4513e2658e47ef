// links: cluster
// Decodes the frame of a peer call and the error in its head; what decodes must encode to the same bytes.
#include "base/check.h"
#include "cluster/limits.h"
#include "cluster/peer_frame.h"

using namespace ostraka;  // NOLINT(google-build-using-namespace): a program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes(data, size);
  const Error error = cluster::decode_error(as_text(bytes));
  CHECK(error.detail.size() <= size + 64);
  if (size < cluster::kPeerFrameBytes) return 0;
  const auto frame = cluster::decode_frame(bytes.first(cluster::kPeerFrameBytes), "drive.commit");
  if (!frame) return 0;
  CHECK(frame->head_bytes <= cluster::kMaxPeerHead && frame->body_bytes <= cluster::kMaxPeerBody);
  const ByteSpan rest = bytes.subspan(cluster::kPeerFrameBytes);
  if (rest.size() != std::size_t{frame->head_bytes} + frame->body_bytes) return 0;
  const std::string_view head = as_text(rest.first(frame->head_bytes));
  const ByteSpan body = rest.subspan(frame->head_bytes);
  if (!cluster::check_head(*frame, head) || xxh3_128(body) != frame->body_hash) return 0;
  BufferChain chain;
  if (!body.empty()) chain.push_back(Slice{Buffer(), body});
  CHECK(cluster::encode_frame(frame->kind, "drive.commit", head, chain) ==
        as_text(bytes.first(cluster::kPeerFrameBytes + frame->head_bytes)));
  return 0;
}
