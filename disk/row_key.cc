#include "disk/row_key.h"

namespace ostraka::disk {
namespace {

template <class T>
void put_big_endian(std::string& out, T value) {
  for (int shift = static_cast<int>(sizeof value - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(static_cast<std::uint8_t>(value >> shift)));
  }
}

void put_escaped(std::string& out, std::string_view key) {
  for (;;) {
    const std::size_t zero = key.find('\0');
    if (zero == std::string_view::npos) break;
    out.append(key.substr(0, zero));
    out.append("\x00\xff", 2);
    key.remove_prefix(zero + 1);
  }
  out.append(key);
}

template <class T>
T big_endian(std::string_view bytes) noexcept {
  T value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i)
    value = static_cast<T>(value << 8 | static_cast<std::uint8_t>(bytes[i]));
  return value;
}

}  // namespace

std::string row_key_prefix(BucketId bucket, KeySpace space, std::string_view prefix) {
  std::string out;
  out.reserve(kRowKeyHead + prefix.size() + 2 + 16);
  put_big_endian(out, static_cast<std::uint64_t>(bucket));
  out.push_back(static_cast<char>(space));
  put_escaped(out, prefix);
  return out;
}

std::string row_key(BucketId bucket, KeySpace space, std::string_view key, std::string_view sub) {
  std::string out = row_key_prefix(bucket, space, key);
  out.append("\x00\x01", 2);
  out.append(sub);
  return out;
}

std::string after_prefix(std::string_view bytes) {
  std::string out(bytes);
  while (!out.empty() && out.back() == '\xff') out.pop_back();
  if (!out.empty()) out.back() = static_cast<char>(out.back() + 1);
  return out;
}

std::string inline_key(std::string_view row_key, VersionId id) {
  std::string out;
  out.reserve(row_key.size() + 12);
  out.append(row_key);
  put_big_endian(out, ~id.time);
  put_big_endian(out, ~id.origin);
  return out;
}

BucketId bucket_of(std::string_view row_key) noexcept {
  return BucketId{big_endian<std::uint64_t>(row_key)};
}

std::optional<InlineKey> split_inline_key(std::string_view inline_key) noexcept {
  constexpr std::size_t kIdBytes = 12;
  if (inline_key.size() < kRowKeyHead + kIdBytes) return std::nullopt;
  const std::string_view id = inline_key.substr(inline_key.size() - kIdBytes);
  InlineKey out;
  out.row_key = inline_key.substr(0, inline_key.size() - kIdBytes);
  out.id.time = ~big_endian<std::uint64_t>(id);
  out.id.origin = ~big_endian<std::uint32_t>(id.substr(8));
  return out;
}

std::optional<std::string_view> split_row_key(std::string_view row_key, std::string& key) {
  if (row_key.size() < kRowKeyHead + 2) return std::nullopt;
  std::string_view rest = row_key.substr(kRowKeyHead);
  for (;;) {
    const std::size_t zero = rest.find('\0');
    if (zero == std::string_view::npos || zero + 1 == rest.size()) return std::nullopt;
    key.append(rest.substr(0, zero));
    const char mark = rest[zero + 1];
    rest.remove_prefix(zero + 2);
    if (mark == '\x01') return rest;
    if (mark != '\xff') return std::nullopt;
    key.push_back('\0');
  }
}

std::string part_sub(std::string_view upload_id, std::uint32_t number) {
  std::string out(upload_id);
  put_big_endian(out, static_cast<std::uint16_t>(number));
  return out;
}

}  // namespace ostraka::disk
