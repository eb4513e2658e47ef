#include "object/bucket_name.h"

#include <algorithm>
#include <array>

#include "object/limits.h"

namespace ostraka::object {

namespace {

constexpr std::array<std::string_view, 3> kReservedPrefixes{"xn--", "sthree-", "amzn-s3-demo-"};
constexpr std::array<std::string_view, 5> kReservedSuffixes{"-s3alias", "--ol-s3", ".mrap", "--x-s3",
                                                            "--table-s3"};

bool is_letter_or_digit(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// Four groups of digits, as an IPv4 address is written.
bool looks_like_address(std::string_view name) noexcept {
  const bool only_digits_and_dots =
      std::all_of(name.begin(), name.end(), [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
  return only_digits_and_dots && std::count(name.begin(), name.end(), '.') == 3;
}

Result<> refuse(std::string_view why) {
  return fail(Errc::invalid_argument, std::string("bucket name: ").append(why));
}

// Why no bucket could ever have this name: its length and characters. Empty: one could.
std::string_view misspelt(std::string_view name) noexcept {
  if (name.size() < kMinBucketNameBytes || name.size() > kMaxBucketNameBytes)
    return "3 to 63 characters long";
  for (const char c : name) {
    if (!is_letter_or_digit(c) && c != '.' && c != '-') return "only a-z, 0-9, '.' and '-'";
  }
  if (!is_letter_or_digit(name.front()) || !is_letter_or_digit(name.back()))
    return "begins and ends with a letter or digit";
  return {};
}

}  // namespace

bool is_bucket_name(std::string_view name) noexcept {
  return misspelt(name).empty();
}

Result<> check_bucket_name(std::string_view name) {
  if (const std::string_view why = misspelt(name); !why.empty()) return refuse(why);
  if (name.find("..") != std::string_view::npos) return refuse("no two dots in a row");
  if (looks_like_address(name)) return refuse("not an IP address");
  for (const auto prefix : kReservedPrefixes) {
    if (name.substr(0, prefix.size()) == prefix) return refuse("begins with a reserved prefix");
  }
  for (const auto suffix : kReservedSuffixes) {
    if (name.size() >= suffix.size() && name.substr(name.size() - suffix.size()) == suffix)
      return refuse("ends with a reserved suffix");
  }
  return {};
}

}  // namespace ostraka::object
