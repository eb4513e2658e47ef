// The body of one HTTP message on a stream, for the server (requests) and the client (responses). Bulk bytes
// go from the socket straight into the caller's buffer; only what a read brings beyond it lands in the
// connection's input buffer.
#pragma once

#include <cstdint>
#include <optional>

#include "net/chunk_decoder.h"
#include "net/input_buffer.h"
#include "net/service.h"
#include "net/stream.h"

namespace ostraka::net {

enum class BodyFraming : std::uint8_t { length, chunked, until_close };

struct WireBodySpec {
  BodyFraming framing = BodyFraming::length;
  std::uint64_t length = 0;  // of BodyFraming::length
  // How long the peer is waited for until it has sent `least_bytes`, framing included, or the end; then anew.
  // Time in which nobody reads does not count.
  Duration stall{};
  std::size_t least_bytes = 1;
  TimePoint end_by = kNoDeadline;  // for all of it
  bool expects_continue = false;   // the peer waits for "100 Continue" before it sends
};

// Uses the stream and the buffer, which must outlive it.
class WireBody final : public BodySource {
 public:
  WireBody(Stream& stream, InputBuffer& input, Clock& clock, WireBodySpec spec);
  Task<Result<std::size_t>> read(MutableByteSpan out) override;

  bool ended() const noexcept;
  // The answer comes now: too late for "100 Continue". What the peer still waits for: nothing; to be told to
  // send the body, which therefore may come or not; or, with an empty body, for the words alone.
  enum class Awaited : std::uint8_t { nothing, body, words };
  Awaited stop_expecting() noexcept;
  // Whether what is unread is known to be more than kMaxDrainBytes.
  bool too_long_to_drain() const noexcept;
  // Reads and drops the rest. False when that fails or is more than kMaxDrainBytes.
  Task<bool> drain();

 private:
  Task<Result<std::size_t>> read_data(MutableByteSpan out, std::uint64_t left);
  Task<Result<>> read_framing();
  Task<Result<std::size_t>> receive(MutableByteSpan first, MutableByteSpan second);  // from the stream

  Stream& stream_;
  InputBuffer& input_;
  Clock& clock_;
  WireBodySpec spec_;
  std::uint64_t left_;  // of BodyFraming::length
  ChunkDecoder chunks_;
  bool closed_ = false;  // of BodyFraming::until_close
  bool expects_continue_;
  Duration waited_{};             // for the bytes that least_bytes asks for
  std::size_t came_ = 0;          // of them
  std::optional<Error> failure_;  // once failed, a body fails for good
};

}  // namespace ostraka::net
