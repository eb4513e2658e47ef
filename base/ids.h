// The vocabulary of names and identities. Strong types, so that a bucket's name cannot stand where a key
// belongs.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace ostraka {

template <class T, class Tag>
class NamedType {
 public:
  NamedType() = default;
  explicit NamedType(T value) : value_(std::move(value)) {}
  const T& get() const noexcept { return value_; }
  T& get() noexcept { return value_; }
  auto operator<=>(const NamedType&) const = default;

 private:
  T value_{};
};

using BucketName = NamedType<std::string, struct BucketNameTag>;
using ObjectKey =
    NamedType<std::string, struct ObjectKeyTag>;  // UTF-8 bytes as the client sent them, percent-decoded once

// New at each creation of a bucket, so the records of a deleted bucket of the same name never come back. 0 is
// the system's own.
enum class BucketId : std::uint64_t {};

// 16 random bytes. Printed as the usual 8-4-4-4-12 hexadecimal digits.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Uuid&) const = default;
  bool is_nil() const noexcept { return *this == Uuid{}; }
};
std::string to_string(const Uuid& id);
bool parse_uuid(std::string_view text, Uuid& out) noexcept;  // exactly the form to_string prints

struct DeploymentId : Uuid {};
struct DriveId : Uuid {};
struct DataId : Uuid {};  // names the shard files of one staged body; the same on every drive of the set

// A hybrid logical time made unique: 48 bits of milliseconds and a 16-bit counter, then the node and shard
// that made it. Ordered as time. The zero id means "none".
struct VersionId {
  std::uint64_t time = 0;  // unix milliseconds << 16 | counter
  std::uint32_t origin = 0;
  auto operator<=>(const VersionId&) const = default;
  bool is_none() const noexcept { return time == 0 && origin == 0; }
  std::int64_t unix_ms() const noexcept { return static_cast<std::int64_t>(time >> 16); }
};
inline constexpr VersionId kNoVersion{};
inline constexpr VersionId kAnyVersion{~0ULL, ~0U};  // as expected predecessor: "any"
std::string to_string(VersionId id);                 // 24 hexadecimal digits

}  // namespace ostraka

template <>
struct std::hash<ostraka::Uuid> {
  std::size_t operator()(const ostraka::Uuid& id) const noexcept {
    std::size_t out;
    std::memcpy(&out, id.bytes.data(), sizeof out);
    return out;
  }
};
template <>
struct std::hash<ostraka::DataId> : std::hash<ostraka::Uuid> {};
template <>
struct std::hash<ostraka::VersionId> {
  std::size_t operator()(const ostraka::VersionId& id) const noexcept {
    return id.time * 0x9e3779b97f4a7c15ULL ^ id.origin;
  }
};
