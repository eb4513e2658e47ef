#include "base/ids.h"

#include <fmt/format.h>

#include "base/encoding.h"

namespace ostraka {

namespace {
constexpr bool is_dash_position(std::size_t i) noexcept {
  return i == 8 || i == 13 || i == 18 || i == 23;
}
constexpr int digit_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}
}  // namespace

std::string to_string(const Uuid& id) {
  std::string text = hex(ByteSpan(id.bytes));
  for (const std::size_t position : {8U, 13U, 18U, 23U}) text.insert(position, 1, '-');
  return text;
}

bool parse_uuid(std::string_view text, Uuid& out) noexcept {
  if (text.size() != 36) return false;
  Uuid id;
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_dash_position(i)) {
      if (text[i] != '-') return false;
      continue;
    }
    const int value = digit_value(text[i]);
    if (value < 0) return false;
    auto& byte = id.bytes[digits / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | value);
    ++digits;
  }
  out = id;
  return true;
}

std::string to_string(VersionId id) {
  return fmt::format("{:016x}{:08x}", id.time, id.origin);
}

}  // namespace ostraka
