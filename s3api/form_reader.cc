#include "s3api/form_reader.h"

#include <algorithm>

#include "base/encoding.h"
#include "s3api/limits.h"

namespace ostraka::s3api {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadersEnd = "\r\n\r\n";

// The value of name=... in a header such as: form-data; name="key"; filename="a.txt".
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  std::size_t at = header.find(';');
  while (at != std::string_view::npos) {
    std::string_view rest = trim(header.substr(at + 1));
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const bool wanted = iequals(trim(rest.substr(0, equals)), name);
    rest.remove_prefix(equals + 1);
    std::string value;
    std::size_t end = 0;
    if (rest.starts_with('"')) {
      for (end = 1; end < rest.size() && rest[end] != '"'; ++end) {
        if (rest[end] == '\\' && end + 1 < rest.size() && (rest[end + 1] == '"' || rest[end + 1] == '\\'))
          ++end;
        value += rest[end];
      }
      if (end >= rest.size()) return std::nullopt;
    } else {
      end = std::min(rest.find(';'), rest.size());
      value = trim(rest.substr(0, end));
    }
    if (wanted) return value;
    header = rest.substr(end);
    at = header.find(';');
  }
  return std::nullopt;
}

// Some fields are kept and sent back as headers, so that no other name may pass.
bool is_field_name(std::string_view name) noexcept {
  const auto allowed = [](char c) { return c > ' ' && c < 0x7f && c != ':'; };
  return !name.empty() && std::all_of(name.begin(), name.end(), allowed);
}

tl::unexpected<S3Error> malformed_form() {
  return refuse(error::kMalformedPostRequest);
}

}  // namespace

std::optional<std::string> form_boundary(std::string_view content_type) {
  const std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  if (!iequals(type, "multipart/form-data")) return std::nullopt;
  auto boundary = parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > kMaxBoundaryBytes) return std::nullopt;
  return boundary;
}

FormReader::FormReader(net::BodySource& inner, std::string_view boundary, std::uint64_t total_bytes)
    : inner_(inner), delimiter_("\r\n--" + std::string(boundary)), total_(total_bytes), buffer_(kLineEnd) {
  // The line end in front lets the first delimiter look as all others do.
}

Task<S3Result<bool>> FormReader::refill(std::size_t bytes) {
  const std::size_t have = buffer_.size();
  buffer_.resize(have + bytes);
  const MutableByteSpan room(reinterpret_cast<std::uint8_t*>(buffer_.data()) + have, bytes);
  auto got = co_await inner_.read(room);
  buffer_.resize(have + (got ? *got : 0));
  if (!got) co_return refuse(S3Error(std::move(got).error()));
  received_ += *got;
  co_return *got > 0;
}

// Where `what` begins in buffer_, reading on until it is there.
Task<S3Result<std::size_t>> FormReader::find(std::string_view what) {
  constexpr std::size_t kReadBytes = 4096;
  for (;;) {
    const std::size_t at = buffer_.find(what);
    if (at != std::string::npos) co_return at;
    if (received_ > kMaxFormFieldsBytes + kReadBytes) co_return refuse(error::kMaxPostPreDataLengthExceeded);
    S3_CO_TRY(more, co_await refill(kReadBytes));
    if (!more) co_return refuse(error::kIncompleteBody);
  }
}

std::optional<FormReader::Part> FormReader::parse_part_headers(std::string_view headers) {
  Part part;
  bool named = false;
  while (!headers.empty()) {
    const std::size_t end = std::min(headers.find(kLineEnd), headers.size());
    const std::string_view line = headers.substr(0, end);
    headers.remove_prefix(std::min(end + kLineEnd.size(), headers.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    if (!iequals(trim(line.substr(0, colon)), "content-disposition")) continue;
    const std::string_view value = line.substr(colon + 1);
    auto name = parameter(value, "name");
    if (!name || !is_field_name(*name)) return std::nullopt;
    part.name = std::move(*name);
    part.filename = parameter(value, "filename");
    named = true;
  }
  if (!named) return std::nullopt;
  return part;
}

Task<S3Result<>> FormReader::read_fields() {
  S3_CO_TRY(first, co_await find(delimiter_));
  if (first != 0) co_return malformed_form();  // a preamble
  std::size_t consumed = 0;
  for (std::size_t count = 0; count < kMaxFormFields; ++count) {
    // buffer_ begins with a delimiter
    S3_CO_TRY(headers_end, co_await find(kHeadersEnd));
    const std::string_view line_end = std::string_view(buffer_).substr(delimiter_.size(), 2);
    if (line_end == "--") co_return refuse(error::kIncorrectNumberOfFiles);
    if (line_end != kLineEnd) co_return malformed_form();
    const std::size_t headers_begin = delimiter_.size() + 2;
    if (headers_end < headers_begin) co_return malformed_form();
    auto part =
        parse_part_headers(std::string_view(buffer_).substr(headers_begin, headers_end - headers_begin));
    if (!part) co_return malformed_form();
    consumed += headers_end + 4;
    buffer_.erase(0, headers_end + 4);
    if (iequals(part->name, "file")) {
      filename_ = std::move(part->filename).value_or("");
      co_return co_await measure_file();
    }
    S3_CO_TRY(value_end, co_await find(delimiter_));
    consumed += value_end;
    if (consumed > kMaxFormFieldsBytes) co_return refuse(error::kMaxPostPreDataLengthExceeded);
    fields_.add(std::move(part->name), buffer_.substr(0, value_end));
    buffer_.erase(0, value_end);
  }
  co_return refuse(error::kMaxPostPreDataLengthExceeded);
}

Task<S3Result<>> FormReader::measure_file() {
  if (total_ <= kMaxBufferedFormBytes) {
    while (received_ < total_) {
      S3_CO_TRY(more, co_await refill(static_cast<std::size_t>(total_ - received_)));
      if (!more) co_return refuse(error::kIncompleteBody);
    }
    const std::size_t end = buffer_.find(delimiter_);
    if (end == std::string::npos) co_return malformed_form();
    file_size_ = end;
    co_return S3Result<>();
  }
  const std::uint64_t left = total_ - received_ + buffer_.size();
  const std::uint64_t tail = delimiter_.size() + 4;  // "--" and a line end
  if (left < tail) co_return malformed_form();
  file_size_ = left - tail;
  co_return S3Result<>();
}

Task<Result<std::size_t>> FormReader::read(MutableByteSpan out) {
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), file_size_ - given_));
  if (wanted == 0) {
    if (given_ == file_size_ && !out.empty()) {
      CO_TRY_VOID(co_await check_end());
    }
    co_return std::size_t{0};
  }
  std::size_t count = 0;
  if (!buffer_.empty()) {
    count = std::min(wanted, buffer_.size());
    std::copy_n(buffer_.begin(), count, out.begin());
    buffer_.erase(0, count);
  } else {
    const MutableByteSpan room = out.first(wanted);
    CO_TRY(got, co_await inner_.read(room));
    if (got == 0) co_return fail(Errc::incomplete_body, "the form ends inside of its file");
    received_ += got;
    count = got;
  }
  given_ += count;
  // A delimiter before the expected end: something follows the file, whose size was then taken for larger
  // than it is.
  const std::string_view fresh = as_text(ByteSpan(out.first(count)));
  seam_ += fresh.substr(0, delimiter_.size());
  if (seam_.find(delimiter_) != std::string::npos || fresh.find(delimiter_) != std::string_view::npos) {
    co_return fail(Errc::malformed, "a form of this size has to end with its file");
  }
  if (fresh.size() >= delimiter_.size()) seam_ = fresh.substr(fresh.size() - delimiter_.size());
  if (seam_.size() >= delimiter_.size()) seam_.erase(0, seam_.size() - delimiter_.size() + 1);
  co_return count;
}

Task<Result<>> FormReader::check_end() {
  if (total_ <= kMaxBufferedFormBytes) {  // measured by the delimiter itself; fields may follow
    const std::string_view after = std::string_view(buffer_).substr(delimiter_.size());
    if (after.starts_with("--") || after.starts_with(kLineEnd)) co_return Result<>();
    co_return fail(Errc::malformed, "the form's file does not end in the boundary");
  }
  while (received_ < total_) {
    auto more = co_await refill(static_cast<std::size_t>(total_ - received_));
    if (!more || !*more) co_return fail(Errc::incomplete_body, "the form ends before its boundary");
  }
  if (buffer_ != delimiter_ + "--\r\n")
    co_return fail(Errc::malformed, "the form's file does not end in the boundary");
  co_return Result<>();
}

}  // namespace ostraka::s3api
