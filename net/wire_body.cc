#include "net/wire_body.h"

#include <algorithm>
#include <array>
#include <limits>

namespace ostraka::net {

WireBody::WireBody(Stream& stream, InputBuffer& input, Clock& clock, WireBodySpec spec)
    : stream_(stream),
      input_(input),
      clock_(clock),
      spec_(spec),
      left_(spec.length),
      expects_continue_(spec.expects_continue) {}

bool WireBody::ended() const noexcept {
  switch (spec_.framing) {
    case BodyFraming::length:
      return left_ == 0;
    case BodyFraming::chunked:
      return chunks_.ended();
    case BodyFraming::until_close:
      break;
  }
  return closed_;
}

WireBody::Awaited WireBody::stop_expecting() noexcept {
  if (!std::exchange(expects_continue_, false)) return Awaited::nothing;
  return ended() ? Awaited::words : Awaited::body;
}

bool WireBody::too_long_to_drain() const noexcept {
  return failure_ || (spec_.framing == BodyFraming::length && left_ > kMaxDrainBytes);
}

Task<Result<std::size_t>> WireBody::read(MutableByteSpan out) {
  if (failure_) co_return tl::unexpected<Error>(*failure_);
  if (out.empty() || ended()) co_return 0U;
  if (std::exchange(expects_continue_, false) && input_.empty()) {
    std::string text = "HTTP/1.1 100 Continue\r\n\r\n";
    iovec part{text.data(), text.size()};
    const Result<> told = co_await stream_.write(std::span<iovec>(&part, 1), spec_.stall);
    if (!told) {
      failure_ = told.error();
      co_return tl::unexpected<Error>(*failure_);
    }
  }
  std::uint64_t left = std::numeric_limits<std::uint64_t>::max();
  if (spec_.framing == BodyFraming::length) left = left_;
  if (spec_.framing == BodyFraming::chunked) {
    const Result<> framed = co_await read_framing();
    if (!framed) {
      failure_ = framed.error();
      co_return tl::unexpected<Error>(*failure_);
    }
    if (chunks_.ended()) co_return 0U;
    left = chunks_.data_left();
  }
  Result<std::size_t> got = co_await read_data(out, left);
  if (!got) {
    failure_ = got.error();
    co_return got;
  }
  if (spec_.framing == BodyFraming::length) left_ -= *got;
  if (spec_.framing == BodyFraming::chunked) chunks_.took_data(*got);
  co_return got;
}

Task<Result<std::size_t>> WireBody::read_data(MutableByteSpan out, std::uint64_t left) {
  const std::size_t want = std::min<std::uint64_t>(out.size(), left);
  if (!input_.empty()) {
    const std::size_t have = std::min(want, input_.filled().size());
    std::memcpy(out.data(), input_.filled().data(), have);
    input_.consume(have);
    co_return have;
  }
  // The buffer behind the target only where this body or chunk ends: else it would catch bytes that belong in
  // the next target.
  MutableByteSpan behind;
  if (out.size() >= left) behind = input_.room();
  const MutableByteSpan target = out.first(want);
  CO_TRY(got, co_await receive(target, behind));
  if (got == 0) {
    if (spec_.framing != BodyFraming::until_close) {
      co_return fail(Errc::incomplete_body, "the peer closed the connection in the middle of the body");
    }
    closed_ = true;
  }
  if (got > want) input_.filled_more(got - want);
  co_return std::min(got, want);
}

Task<Result<std::size_t>> WireBody::receive(MutableByteSpan first, MutableByteSpan second) {
  const TimePoint begin = clock_.now();
  const TimePoint deadline = std::min(deadline_after(begin, spec_.stall - waited_), spec_.end_by);
  CO_TRY(got, co_await stream_.read(first, second, deadline));
  came_ += got;
  if (came_ < spec_.least_bytes) {
    waited_ += clock_.now() - begin;
  } else {
    came_ = 0;
    waited_ = Duration();
  }
  co_return got;
}

Task<Result<>> WireBody::read_framing() {
  while (chunks_.data_left() == 0 && !chunks_.ended()) {
    if (input_.empty()) {
      const MutableByteSpan room = input_.room();
      CO_TRY(got, co_await receive(room, MutableByteSpan()));
      if (got == 0) {
        co_return fail(Errc::incomplete_body, "the peer closed the connection in the middle of the body");
      }
      input_.filled_more(got);
    }
    CO_TRY(used, chunks_.parse(input_.filled()));
    input_.consume(used);
  }
  co_return Result<>();
}

Task<bool> WireBody::drain() {
  if (too_long_to_drain()) co_return false;
  std::array<std::uint8_t, 4096>
      sink;  // NOLINT(cppcoreguidelines-pro-type-member-init): written before it is read, if at all
  std::size_t dropped = 0;
  while (!ended()) {
    const Result<std::size_t> got = co_await read(sink);
    if (!got) co_return false;
    dropped += *got;
    if (dropped > kMaxDrainBytes) co_return false;
  }
  co_return true;
}

}  // namespace ostraka::net
