// Text encodings: hexadecimal, base64, percent-encoding, and the date forms of HTTP, XML and SigV4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ostraka {

std::string hex(ByteSpan bytes);  // lower case
std::string hex(std::string_view raw);
std::optional<std::string> unhex(std::string_view text);
std::string base64(std::string_view raw);
std::optional<std::string> unbase64(std::string_view text);  // strict: padding required, no blanks

// RFC 3986 as SigV4 wants it: unreserved characters stay, all else is %XX in upper case; '/' stays when
// keep_slash.
enum class Slash : bool { encode, keep };
std::string percent_encode(std::string_view raw, Slash slash);
// Decodes %XX once. A malformed escape yields nullopt. '+' is a blank only in a query.
enum class Plus : bool { literal, blank };
std::optional<std::string> percent_decode(std::string_view text, Plus plus);
bool is_utf8(std::string_view text) noexcept;
bool iequals(std::string_view a, std::string_view b) noexcept;  // ASCII case-insensitive
std::string to_lower(std::string_view text);
std::string_view trim(std::string_view text) noexcept;  // blanks and tabs at both ends

// Unsigned decimal of the whole text; no sign, no blanks, no overflow.
std::optional<std::uint64_t> parse_u64(std::string_view text) noexcept;

// Times are unix milliseconds.
std::string iso8601(std::int64_t unix_ms);    // 2026-01-31T12:34:56.789Z
std::string http_date(std::int64_t unix_ms);  // Sat, 31 Jan 2026 12:34:56 GMT
std::string amz_date(std::int64_t unix_ms);   // 20260131T123456Z
std::optional<std::int64_t> parse_iso8601(
    std::string_view text) noexcept;  // with or without fraction, Z or +hh:mm
std::optional<std::int64_t> parse_http_date(
    std::string_view text) noexcept;  // the three forms of RFC 9110, and iso8601
std::optional<std::int64_t> parse_amz_date(std::string_view text) noexcept;

}  // namespace ostraka
