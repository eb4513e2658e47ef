// Little-endian fields of the byte formats of this folder: an appender, and a reader that checks every
// length.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace ostraka::disk {

static_assert(std::endian::native == std::endian::little,
              "the byte formats are little-endian and copied as they are");

template <std::unsigned_integral T>
void put_int(std::string& out, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  out.append(raw, sizeof value);
}

inline void put_varint(std::string& out, std::uint64_t value) {  // LEB128
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline void put_version_id(std::string& out, VersionId id) {
  put_int(out, id.time);
  put_int(out, id.origin);
}

// Reads fields off the front. After the first field that does not fit, ok() is false and every value is zero
// or empty.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) noexcept : rest_(bytes) {}
  bool ok() const noexcept { return ok_; }
  std::size_t left() const noexcept { return rest_.size(); }

  template <std::unsigned_integral T>
  T take_int() noexcept {
    T value{};
    const std::string_view raw = take(sizeof value);
    if (raw.size() == sizeof value) std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }
  std::uint64_t take_varint() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = take_int<std::uint8_t>();
      if (!ok_) return 0;
      if (shift == 63 && byte > 1) break;  // over 64 bits
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80U) == 0) return value;
    }
    return give_up();
  }
  VersionId take_version_id() noexcept {
    VersionId id;
    id.time = take_int<std::uint64_t>();
    id.origin = take_int<std::uint32_t>();
    return ok_ ? id : VersionId{};
  }
  std::string_view take(std::uint64_t bytes) noexcept {
    if (!ok_ || bytes > rest_.size()) {
      give_up();
      return {};
    }
    const std::string_view out = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return out;
  }

 private:
  std::uint64_t give_up() noexcept {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace ostraka::disk
