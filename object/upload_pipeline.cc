#include "object/upload_pipeline.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/limits.h"
#include "object/limits.h"
#include "runtime/shard.h"

namespace ostraka::object {

namespace {

// Hashes what arrives in slices of kHashSliceBytes, between which other requests of the shard run.
class Intake {
 public:
  Intake(Ctx& ctx, net::BodySource& body, BodyHasher& hasher) : ctx_(ctx), body_(body), hasher_(hasher) {}

  // Fills out from `filled` on, where the bytes before have come already, and hashes all of it. Errors:
  // incomplete_body, and the body's.
  Task<Result<>> fill(MutableByteSpan out, std::size_t filled = 0) {
    for (std::size_t hashed = 0; hashed < out.size();) {
      const MutableByteSpan slice = out.subspan(hashed, std::min(out.size() - hashed, kHashSliceBytes));
      while (filled < hashed + slice.size()) {
        const MutableByteSpan room = slice.subspan(filled - hashed);
        CO_TRY(got, co_await body_.read(room));
        if (got == 0) co_return fail(Errc::incomplete_body);
        filled += got;
      }
      co_await hasher_.update(ctx_.shard, slice);
      hashed += slice.size();
    }
    co_return Result<>{};
  }

  // Some bytes, at least one, as soon as there are any. Errors: as above.
  Task<Result<std::size_t>> first(MutableByteSpan out) {
    CO_TRY(got, co_await body_.read(out));
    if (got == 0) co_return fail(Errc::incomplete_body);
    co_return got;
  }

  // The body must end here; only its end shows that its framing, signatures and trailers are whole.
  Task<Result<>> end() {
    std::array<std::uint8_t, 1> byte;
    const MutableByteSpan room(byte);
    CO_TRY(got, co_await body_.read(room));
    if (got != 0) co_return fail(Errc::malformed, "the body is longer than announced");
    co_return Result<>{};
  }

 private:
  Ctx& ctx_;
  net::BodySource& body_;
  BodyHasher& hasher_;
};

Task<Result<BodyDigests>> verify(Intake& intake, BodyHasher& hasher, const BodyExpectations& expect) {
  CO_TRY_VOID(co_await intake.end());
  std::optional<std::string> trailer;
  if (expect.trailer_checksum) {
    CO_TRY(announced, expect.trailer_checksum());
    trailer = std::move(announced);
  }
  co_return hasher.finish(trailer);
}

Task<Result<ReceivedBody>> receive_small(Ctx& ctx, erasure::ErasureSet& set, ReceiveSpec spec,
                                         const BodyExpectations& expect, net::BodySource& body) {
  BodyHasher hasher(expect, spec.stored);
  Intake intake(ctx, body, hasher);
  ReceivedBody received;
  received.staged.geometry = spec.geometry;
  Buffer bytes;
  if (expect.size > 0) {
    bytes = Buffer::on_heap(expect.size);
    const MutableByteSpan room = bytes.span().first(expect.size);
    CO_TRY_VOID(co_await intake.fill(room));
  }
  CO_TRY(digests, co_await verify(intake, hasher, expect));
  received.digests = std::move(digests);
  if (expect.size > 0) received.staged = set.encode_inline(spec.geometry, bytes.span().first(expect.size));
  co_return received;
}

// A client that sends nothing holds nothing but its connection: neither files nor a buffer before the first
// bytes of the body have come, and no buffer before those of the next stripe have.
Task<Result<ReceivedBody>> receive_large(Ctx& ctx, erasure::ErasureSet& set, ReceiveSpec spec,
                                         const BodyExpectations& expect, net::BodySource& body) {
  BodyHasher hasher(expect, spec.stored);
  Intake intake(ctx, body, hasher);
  std::unique_ptr<erasure::BodyWriter> writer;
  std::array<std::uint8_t, kFirstBytes>
      first;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled before read
  for (std::uint64_t left = expect.size; left > 0;) {
    const MutableByteSpan room = MutableByteSpan(first).first(std::min<std::uint64_t>(left, first.size()));
    CO_TRY(came, co_await intake.first(room));
    if (!writer) {
      CO_TRY(staged, co_await set.stage(ctx, spec.geometry, expect.size));
      writer = std::move(staged);
    }
    CO_TRY(stripe, co_await writer->next_stripe(ctx));
    const std::size_t bytes = static_cast<std::size_t>(std::min<std::uint64_t>(left, stripe.data.size()));
    std::memcpy(stripe.data.data(), first.data(), came);
    const MutableByteSpan data = stripe.data.first(bytes);
    CO_TRY_VOID(co_await intake.fill(data, came));
    CO_TRY_VOID(co_await writer->put_stripe(ctx, std::move(stripe), bytes));
    left -= bytes;
  }
  ReceivedBody received;
  CO_TRY(digests, co_await verify(intake, hasher, expect));
  received.digests = std::move(digests);
  CO_TRY(staged, co_await writer->finish(ctx));
  received.staged = std::move(staged);
  co_return received;
}

}  // namespace

Task<Result<ReceivedBody>> receive_body(Ctx& ctx, erasure::ErasureSet& set, ReceiveSpec spec,
                                        const BodyExpectations& expect, net::BodySource& body) {
  if (expect.size == 0 || (expect.size <= kMaxInlineBytes && spec.small == SmallBodies::into_index))
    return receive_small(ctx, set, spec, expect, body);
  return receive_large(ctx, set, spec, expect, body);
}

Task<Result<std::size_t>> ReaderSource::read(MutableByteSpan out) {
  while (slice_ == chain_.size()) {
    CO_TRY(next, co_await reader_.next(ctx_));
    if (next.empty()) co_return std::size_t{0};
    chain_ = std::move(next);
    slice_ = offset_ = 0;
  }
  std::size_t copied = 0;
  while (copied < out.size() && slice_ < chain_.size()) {
    const ByteSpan rest = chain_[slice_].bytes.subspan(offset_);
    const std::size_t bytes = std::min(rest.size(), out.size() - copied);
    if (bytes > 0) std::memcpy(out.data() + copied, rest.data(), bytes);
    copied += bytes;
    offset_ += bytes;
    if (offset_ < chain_[slice_].bytes.size()) break;
    chain_[slice_].owner = Buffer();
    ++slice_;
    offset_ = 0;
  }
  co_return copied;
}

}  // namespace ostraka::object
