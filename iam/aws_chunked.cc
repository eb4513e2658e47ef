#include "iam/aws_chunked.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace ostraka::iam {

namespace {

constexpr std::string_view kChunkExtension = "chunk-signature=";
constexpr std::string_view kTrailerSignature = "x-amz-trailer-signature";
constexpr std::string_view kHashOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::size_t kMaxTrailingLineEnds = 16;

std::optional<std::uint64_t> parse_hex(std::string_view digits) noexcept {
  if (digits.empty() || digits.size() > 16) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    unsigned digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<unsigned>(c - 'A') + 10;
    } else {
      return std::nullopt;
    }
    value = value << 4 | digit;
  }
  return value;
}

auto ended_early() {
  return fail(Errc::incomplete_body, "aws-chunked: the body ends inside of the coding");
}

}  // namespace

AwsChunkedSource::AwsChunkedSource(net::BodySource& inner, const Authentication& authentication)
    : inner_(inner),
      kind_(authentication.payload),
      signing_(authentication.chunk_signing),
      left_(authentication.decoded_length) {
  CHECK(is_streaming(kind_));
  CHECK(signing_.has_value() == has_chunk_signatures(kind_));
  if (signing_) previous_signature_ = signing_->seed_signature;
}

Task<Result<std::size_t>> AwsChunkedSource::read(MutableByteSpan out) {
  CHECK(!out.empty());
  if (failure_) co_return fail(failure_->code, failure_->detail);
  Result<std::size_t> result = co_await read_some(out);
  if (!result) failure_ = result.error();
  co_return result;
}

Task<Result<std::size_t>> AwsChunkedSource::read_some(MutableByteSpan out) {
  if (chunk_left_ == 0) {
    if (done_) co_return std::size_t{0};
    CO_TRY_VOID(co_await begin_chunk());
    if (done_) co_return std::size_t{0};
  }
  // The hash of a long read would hold up the shard's other requests.
  const std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, std::min(out.size(), kHashSliceBytes)));
  std::size_t got = std::min(wanted, end_ - begin_);
  if (got > 0) {
    std::memcpy(out.data(), buffer_.data() + begin_, got);
    begin_ += got;
  } else {
    const MutableByteSpan into = out.first(wanted);
    CO_TRY(received, co_await inner_.read(into));
    if (received == 0) co_return ended_early();
    got = received;
  }
  chunk_left_ -= got;
  if (signs_chunks()) {
    hash_.update(ByteSpan(out.first(got)));
    if (chunk_left_ == 0) {
      CO_TRY_VOID(finish_chunk());
    }
  }
  co_return got;
}

// Up to the payload of the next chunk, or, after the last chunk, to the end of everything.
Task<Result<>> AwsChunkedSource::begin_chunk() {
  if (!std::exchange(first_chunk_, false)) {
    CO_TRY(line_end, co_await read_line());
    if (!line_end) co_return ended_early();
    if (!line_end->empty()) co_return fail(Errc::malformed, "aws-chunked: no line end after a chunk");
  }
  CO_TRY(header, co_await read_line());
  if (!header) co_return ended_early();
  CO_TRY_VOID(parse_chunk_header(*header));
  if (chunk_left_ > 0) co_return Result<>();

  if (left_ > 0) co_return fail(Errc::incomplete_body, "aws-chunked: less than x-amz-decoded-content-length");
  if (signs_chunks()) {
    CO_TRY_VOID(finish_chunk());
  }
  CO_TRY_VOID(co_await read_trailers());
  CO_TRY_VOID(co_await expect_end());
  done_ = true;
  co_return Result<>();
}

// What follows the header of the empty last chunk. Clients differ in the blank lines around the trailers'
// signature, and some leave out the last one; as everything that counts is signed or a checksum, all of that
// is accepted.
Task<Result<>> AwsChunkedSource::read_trailers() {
  if (kind_ == PayloadKind::streaming_signed) co_return Result<>();
  while (true) {
    CO_TRY(line, co_await read_line());
    if (!line) break;
    if (!line->empty()) {
      CO_TRY_VOID(parse_trailer(*line));
    } else if (!signs_chunks() || !trailer_signature_.empty()) {
      break;
    }
  }
  if (signs_chunks()) {
    CO_TRY_VOID(check_trailers());
  }
  co_return Result<>();
}

Task<Result<>> AwsChunkedSource::expect_end() {
  std::size_t line_ends = 0;
  while (true) {
    for (const std::uint8_t byte : buffered()) {
      if ((byte != '\r' && byte != '\n') || ++line_ends > kMaxTrailingLineEnds) {
        co_return fail(Errc::malformed, "aws-chunked: bytes after the end");
      }
    }
    begin_ = end_ = 0;
    CO_TRY(more, co_await refill());
    if (!more) co_return Result<>();
  }
}

Task<Result<std::optional<std::string_view>>> AwsChunkedSource::read_line() {
  while (true) {
    const std::string_view unread = as_text(buffered());
    const auto newline = unread.find('\n');
    if (newline != std::string_view::npos) {
      begin_ += newline + 1;
      std::string_view line = unread.substr(0, newline);
      if (line.ends_with('\r')) line.remove_suffix(1);
      co_return std::optional<std::string_view>(line);
    }
    if (unread.size() == buffer_.size()) co_return fail(Errc::malformed, "aws-chunked: a line is too long");
    const bool in_a_line = !unread.empty();
    CO_TRY(more, co_await refill());
    if (more) continue;
    if (in_a_line) co_return ended_early();
    co_return std::optional<std::string_view>();
  }
}

// Moves what is unread to the front and reads more behind it.
Task<Result<bool>> AwsChunkedSource::refill() {
  const std::size_t unread = end_ - begin_;
  if (begin_ > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, unread);
  begin_ = 0;
  end_ = unread;
  const MutableByteSpan into = MutableByteSpan(buffer_).subspan(end_);
  CO_TRY(received, co_await inner_.read(into));
  end_ += received;
  co_return received > 0;
}

Result<> AwsChunkedSource::parse_chunk_header(std::string_view line) {
  const std::string_view digits = line.substr(0, line.find(';'));
  const auto size = parse_hex(digits);
  if (!size) return fail(Errc::malformed, "aws-chunked: no chunk size");
  if (*size > left_)
    return fail(Errc::incomplete_body, "aws-chunked: more than x-amz-decoded-content-length");
  if (signs_chunks()) {
    const std::string_view extension = line.substr(std::min(line.size(), digits.size() + 1));
    if (!extension.starts_with(kChunkExtension))
      return fail(Errc::malformed, "aws-chunked: no chunk-signature");
    chunk_signature_ = extension.substr(kChunkExtension.size());
  }
  chunk_left_ = *size;
  left_ -= *size;
  return {};
}

Result<> AwsChunkedSource::parse_trailer(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0)
    return fail(Errc::malformed, "aws-chunked: not a trailer");
  if (!trailer_signature_.empty()) return fail(Errc::malformed, "aws-chunked: a trailer after the signature");
  std::string name = to_lower(trim(line.substr(0, colon)));
  std::string value(trim(line.substr(colon + 1)));
  if (signs_chunks() && name == kTrailerSignature) {
    if (value.empty()) return fail(Errc::malformed, "aws-chunked: an empty trailer signature");
    trailer_signature_ = std::move(value);
    return {};
  }
  if (trailers_.all().size() >= kMaxTrailers) return fail(Errc::malformed, "aws-chunked: too many trailers");
  trailers_.add(std::move(name), std::move(value));
  return {};
}

Result<> AwsChunkedSource::finish_chunk() {
  std::string hashes(kHashOfNothing);
  hashes += '\n';
  hashes += hex(hash_.finish());
  return check_signature("AWS4-HMAC-SHA256-PAYLOAD", hashes, chunk_signature_);
}

Result<> AwsChunkedSource::check_trailers() {
  if (trailer_signature_.empty()) return fail(Errc::malformed, "aws-chunked: the trailers are not signed");
  std::vector<net::Header> sorted = trailers_.all();
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [name, value] : sorted) {
    hash_.update(name);
    hash_.update(":");
    hash_.update(value);
    hash_.update("\n");
  }
  return check_signature("AWS4-HMAC-SHA256-TRAILER", hex(hash_.finish()), trailer_signature_);
}

Result<> AwsChunkedSource::check_signature(std::string_view algorithm, std::string_view hashes,
                                           std::string_view claimed) {
  std::string to_sign;
  to_sign.reserve(320);
  for (const std::string_view line :
       {algorithm, std::string_view(signing_->amz_date), std::string_view(signing_->scope),
        std::string_view(previous_signature_)}) {
    to_sign += line;
    to_sign += '\n';
  }
  to_sign += hashes;
  const std::string expected = hex(ByteSpan(hmac_sha256(signing_->key, to_sign)));
  if (!constant_time_equal(expected, claimed)) {
    return fail(Errc::signature_mismatch,
                "aws-chunked: the signature of a chunk or of the trailers does not match");
  }
  previous_signature_ = expected;
  return {};
}

}  // namespace ostraka::iam
