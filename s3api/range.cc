#include "s3api/range.h"

#include <algorithm>

#include "base/encoding.h"

namespace ostraka::s3api {

namespace {

constexpr std::string_view kUnit = "bytes=";

// Any number of digits (RFC 9110): what no object can have is as good as the largest that can be said.
std::optional<std::uint64_t> parse_offset(std::string_view digits) noexcept {
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  return parse_u64(digits).value_or(~0ULL);
}

}  // namespace

S3Result<std::optional<ByteRange>> parse_range(std::string_view header, std::uint64_t size) {
  const std::optional<ByteRange> whole;
  if (header.size() < kUnit.size() || !iequals(header.substr(0, kUnit.size()), kUnit)) return whole;
  const std::string_view spec = trim(header.substr(kUnit.size()));
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return whole;
  const std::string_view first_text = trim(spec.substr(0, dash));
  const std::string_view last_text = trim(spec.substr(dash + 1));
  const auto first = parse_offset(first_text);
  const auto last = parse_offset(last_text);
  std::optional<ByteRange> range;
  if (first_text.empty()) {  // the last bytes
    if (!last) return whole;
    range = ByteRange{size - std::min(*last, size), size};
  } else {
    if (!first || (!last && !last_text.empty()) || (last && *last < *first)) return whole;
    range = ByteRange{*first, last && *last < size ? *last + 1 : size};
  }
  if (range->begin >= range->end) {
    S3Error error(error::kInvalidRange);
    error.add("RangeRequested", std::string(header));
    error.add("ActualObjectSize", std::to_string(size));
    return refuse(std::move(error));
  }
  return range;
}

S3Result<ByteRange> parse_copy_range(std::string_view header) {
  const auto refused = [&] {
    return refuse_argument(
        "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
        "zero-based "
        "offsets of the first and last bytes to copy",
        "x-amz-copy-source-range", std::string(header));
  };
  if (!header.starts_with(kUnit)) return refused();
  const std::string_view spec = header.substr(kUnit.size());
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return refused();
  const auto first = parse_u64(spec.substr(0, dash));
  const auto last = parse_u64(spec.substr(dash + 1));
  if (!first || !last || *last < *first || *last == ~0ULL) return refused();
  return ByteRange{*first, *last + 1};
}

}  // namespace ostraka::s3api
