#include "net/chunk_decoder.h"

#include "base/check.h"
#include "net/limits.h"

namespace ostraka::net {
namespace {

int hex_digit(std::uint8_t c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(std::uint8_t c) noexcept {
  return (c < 0x20 && c != '\t') || c == 0x7f;
}

tl::unexpected<Error> bad(const char* what) {
  return fail(Errc::malformed, what);
}

}  // namespace

Result<std::size_t> ChunkDecoder::parse(ByteSpan in) {
  std::size_t used = 0;
  while (used < in.size() && state_ != State::data && state_ != State::ended) {
    TRY_VOID(step(in[used]));
    ++used;
  }
  return used;
}

void ChunkDecoder::took_data(std::uint64_t bytes) noexcept {
  CHECK(state_ == State::data && bytes <= data_left_);
  data_left_ -= bytes;
  if (data_left_ == 0) state_ = State::data_cr;
}

Result<> ChunkDecoder::step(std::uint8_t byte) {
  switch (state_) {
    case State::size: {
      const int digit = hex_digit(byte);
      if (digit >= 0) {
        if (++digits_ > 15) return bad("a chunk size over the limit");
        size_ = size_ << 4U | static_cast<std::uint64_t>(digit);
        return {};
      }
      if (digits_ == 0) return bad("a chunk without a size");
      line_bytes_ = digits_;
      if (byte == '\r') {
        state_ = State::size_lf;
      } else if (byte == ';' || byte == ' ' || byte == '\t') {
        state_ = State::extension;
      } else {
        return bad("a chunk size that is not a number");
      }
      return {};
    }
    case State::extension:
      if (++line_bytes_ > kMaxChunkLineBytes) return bad("a chunk extension over the limit");
      if (byte == '\r') {
        state_ = State::size_lf;
      } else if (is_control(byte)) {
        return bad("a control character in a chunk extension");
      }
      return {};
    case State::size_lf:
      if (byte != '\n') return bad("a chunk size without its line end");
      data_left_ = size_;
      state_ = size_ == 0 ? State::trailer : State::data;
      size_ = 0;
      digits_ = 0;
      line_bytes_ = 0;
      return {};
    case State::data_cr:
      if (byte != '\r') return bad("a chunk longer than its size");
      state_ = State::data_lf;
      return {};
    case State::data_lf:
      if (byte != '\n') return bad("a chunk without its line end");
      state_ = State::size;
      return {};
    case State::trailer:
      if (++trailer_bytes_ > kMaxTrailerBytes) return bad("trailer fields over the limit");
      if (byte == '\r') {
        state_ = State::trailer_lf;
      } else if (is_control(byte)) {
        return bad("a control character in a trailer field");
      } else {
        ++line_bytes_;
      }
      return {};
    case State::trailer_lf:
      if (byte != '\n') return bad("a trailer field without its line end");
      state_ = line_bytes_ == 0 ? State::ended : State::trailer;
      line_bytes_ = 0;
      return {};
    case State::data:
    case State::ended:
      break;
  }
  CHECK(false);
}

}  // namespace ostraka::net
