// The framing of chunked transfer coding, without its data: the owner moves the data itself, straight to
// where it belongs. Strict: CRLF only, plain hexadecimal sizes. Chunk extensions and trailer fields are read
// and dropped. Source: RFC 9112, section 7.1.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace ostraka::net {

class ChunkDecoder {
 public:
  // Consumes framing from the start of `in` up to the first byte of data, to the end of the body, or all of
  // it; gives the number of bytes consumed. More framing is needed as long as data_left() is 0 and the body
  // has not ended. Error: malformed.
  Result<std::size_t> parse(ByteSpan in);
  std::uint64_t data_left() const noexcept { return data_left_; }  // of the current chunk
  void took_data(std::uint64_t bytes) noexcept;                    // at most data_left()
  bool ended() const noexcept { return state_ == State::ended; }

 private:
  enum class State : std::uint8_t {
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer,
    trailer_lf,
    ended
  };
  Result<> step(std::uint8_t byte);
  State state_ = State::size;
  std::uint64_t data_left_ = 0;
  std::uint64_t size_ = 0;
  std::size_t digits_ = 0;
  std::size_t line_bytes_ = 0;     // of the chunk's size line, or of the trailer line
  std::size_t trailer_bytes_ = 0;  // of all trailer lines
};

}  // namespace ostraka::net
