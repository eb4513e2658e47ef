#include "cluster/peer_exchange.h"

#include <array>

#include "base/xxh3_stream.h"

namespace ostraka::cluster {

Task<Result<>> read_exactly(net::BodySource& body, MutableByteSpan out) {
  const Result<std::size_t> got = co_await net::read_full(body, out);
  if (got && *got == out.size()) co_return Result<>();
  if (got || got.failed_with(Errc::incomplete_body))
    co_return fail(Errc::closed, "the connection ended in the middle of a message");
  co_return tl::unexpected<Error>(got.error());
}

Task<Result<PeerFrame>> read_frame(net::BodySource& body, std::uint64_t content_length, std::string method) {
  if (content_length < kPeerFrameBytes) co_return fail(Errc::malformed, "not a peer frame");
  std::array<std::uint8_t, kPeerFrameBytes> prefix{};
  CO_TRY_VOID(co_await read_exactly(body, prefix));
  CO_TRY(frame, decode_frame(prefix, method));
  if (content_length != kPeerFrameBytes + std::uint64_t{frame.head_bytes} + frame.body_bytes)
    co_return fail(Errc::malformed, "a peer frame of another length than its message");
  co_return frame;
}

Task<Result<std::string>> read_head(net::BodySource& body, PeerFrame frame) {
  std::string head(frame.head_bytes, '\0');
  const MutableByteSpan room(reinterpret_cast<std::uint8_t*>(head.data()), head.size());
  CO_TRY_VOID(co_await read_exactly(body, room));
  CO_TRY_VOID(check_head(frame, head));
  co_return head;
}

Task<Result<>> read_body(net::BodySource& body, const PeerFrame& frame,
                         const std::vector<disk::BlockTarget>& into) {
  Xxh3Stream stream;
  for (const disk::BlockTarget& target : into) {
    CO_TRY_VOID(co_await read_exactly(body, target.bytes));
    stream.update(target.bytes);
  }
  if (stream.value() == frame.body_hash) co_return Result<>();
  co_return fail(Errc::corrupt, "the body of a peer call is not what was sent");
}

Task<Result<>> read_unchecked_body(net::BodySource& body, const std::vector<disk::BlockTarget>& into) {
  for (const disk::BlockTarget& target : into) {
    CO_TRY_VOID(co_await read_exactly(body, target.bytes));
  }
  co_return Result<>();
}

}  // namespace ostraka::cluster
