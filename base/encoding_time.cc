// The date forms of encoding.h.
#include <fmt/format.h>

#include <array>
#include <chrono>

#include "base/encoding.h"

namespace ostraka {

namespace {

constexpr std::array<std::string_view, 7> kWeekdays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::int64_t kDayMs = 86'400'000;

struct Civil {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
  unsigned weekday = 0;  // from Sunday; only set when made from a time
};

Civil to_civil(std::int64_t unix_ms) noexcept {
  std::int64_t days = unix_ms / kDayMs;
  std::int64_t rest = unix_ms % kDayMs;
  if (rest < 0) {
    rest += kDayMs;
    --days;
  }
  const std::chrono::sys_days date{std::chrono::days{days}};
  const std::chrono::year_month_day ymd{date};
  const auto in_day = static_cast<unsigned>(rest);
  return {.year = static_cast<int>(ymd.year()),
          .month = static_cast<unsigned>(ymd.month()),
          .day = static_cast<unsigned>(ymd.day()),
          .hour = in_day / 3'600'000,
          .minute = in_day / 60'000 % 60,
          .second = in_day / 1000 % 60,
          .ms = in_day % 1000,
          .weekday = std::chrono::weekday{date}.c_encoding()};
}

std::optional<std::int64_t> from_civil(const Civil& c) noexcept {
  const std::chrono::year_month_day ymd{std::chrono::year{c.year}, std::chrono::month{c.month},
                                        std::chrono::day{c.day}};
  // A leap second is accepted and counts as the second after it, as POSIX has it.
  if (!ymd.ok() || c.hour > 23 || c.minute > 59 || c.second > 60) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days{ymd}.time_since_epoch().count();
  return days * kDayMs + c.hour * 3'600'000LL + c.minute * 60'000LL + c.second * 1000LL + c.ms;
}

// Reads a text from left to right; once something did not fit, ok() stays false.
class Scanner {
 public:
  explicit Scanner(std::string_view text) noexcept : text_(text) {}
  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return ok_ && text_.empty(); }
  char peek() const noexcept { return text_.empty() ? '\0' : text_.front(); }

  void literal(std::string_view expected) noexcept {
    ok_ = ok_ && text_.starts_with(expected);
    if (ok_) text_.remove_prefix(expected.size());
  }
  unsigned digits(std::size_t count) noexcept {
    unsigned value = 0;
    ok_ = ok_ && text_.size() >= count;
    for (std::size_t i = 0; ok_ && i < count; ++i) {
      ok_ = text_[i] >= '0' && text_[i] <= '9';
      value = value * 10 + static_cast<unsigned>(text_[i] - '0');
    }
    if (ok_) text_.remove_prefix(count);
    return ok_ ? value : 0;
  }
  unsigned month() noexcept {
    for (unsigned i = 0; ok_ && i < kMonths.size(); ++i) {
      if (!text_.starts_with(kMonths[i])) continue;
      text_.remove_prefix(3);
      return i + 1;
    }
    ok_ = false;
    return 0;
  }
  void skip_letters() noexcept {
    const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
    ok_ = ok_ && !text_.empty() && is_letter(text_.front());
    while (ok_ && !text_.empty() && is_letter(text_.front())) text_.remove_prefix(1);
  }
  // Any number of digits after the dot; what is finer than milliseconds is cut.
  unsigned fraction_ms() noexcept {
    unsigned value = 0;
    std::size_t count = 0;
    for (; ok_ && !text_.empty() && text_.front() >= '0' && text_.front() <= '9'; ++count) {
      if (count < 3) value = value * 10 + static_cast<unsigned>(text_.front() - '0');
      text_.remove_prefix(1);
    }
    ok_ = ok_ && count > 0;
    for (; count < 3; ++count) value *= 10;
    return value;
  }

 private:
  std::string_view text_;
  bool ok_ = true;
};

void scan_time_of_day(Scanner& in, Civil& c) noexcept {
  c.hour = in.digits(2);
  in.literal(":");
  c.minute = in.digits(2);
  in.literal(":");
  c.second = in.digits(2);
}

// Sun Nov  6 08:49:37 1994
std::optional<std::int64_t> parse_asctime(std::string_view text) noexcept {
  Scanner in(text);
  Civil c;
  in.skip_letters();
  in.literal(" ");
  c.month = in.month();
  in.literal(" ");
  if (in.peek() == ' ') {
    in.literal(" ");
    c.day = in.digits(1);
  } else {
    c.day = in.digits(2);
  }
  in.literal(" ");
  scan_time_of_day(in, c);
  in.literal(" ");
  c.year = static_cast<int>(in.digits(4));
  if (!in.at_end()) return std::nullopt;
  return from_civil(c);
}

// Sun, 06 Nov 1994 08:49:37 GMT and Sunday, 06-Nov-94 08:49:37 GMT
std::optional<std::int64_t> parse_imf_or_rfc850(std::string_view text) noexcept {
  Scanner in(text);
  Civil c;
  in.skip_letters();
  in.literal(", ");
  c.day = in.digits(2);
  if (in.peek() == '-') {
    in.literal("-");
    c.month = in.month();
    in.literal("-");
    const unsigned two_digits = in.digits(2);
    // RFC 9110 asks for "not more than 50 years in the future"; a fixed pivot does the same for the dates
    // that S3 can hold.
    c.year = static_cast<int>(two_digits + (two_digits >= 70 ? 1900 : 2000));
  } else {
    in.literal(" ");
    c.month = in.month();
    in.literal(" ");
    c.year = static_cast<int>(in.digits(4));
  }
  in.literal(" ");
  scan_time_of_day(in, c);
  in.literal(" GMT");
  if (!in.at_end()) return std::nullopt;
  return from_civil(c);
}

}  // namespace

std::string iso8601(std::int64_t unix_ms) {
  const Civil c = to_civil(unix_ms);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", c.year, c.month, c.day, c.hour, c.minute,
                     c.second, c.ms);
}

std::string http_date(std::int64_t unix_ms) {
  const Civil c = to_civil(unix_ms);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kWeekdays[c.weekday], c.day,
                     kMonths[c.month - 1], c.year, c.hour, c.minute, c.second);
}

std::string amz_date(std::int64_t unix_ms) {
  const Civil c = to_civil(unix_ms);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

std::optional<std::int64_t> parse_iso8601(std::string_view text) noexcept {
  Scanner in(text);
  Civil c;
  c.year = static_cast<int>(in.digits(4));
  in.literal("-");
  c.month = in.digits(2);
  in.literal("-");
  c.day = in.digits(2);
  in.literal("T");
  scan_time_of_day(in, c);
  if (in.peek() == '.') {
    in.literal(".");
    c.ms = in.fraction_ms();
  }
  std::int64_t offset_minutes = 0;
  if (in.peek() == '+' || in.peek() == '-') {
    const int sign = in.peek() == '+' ? 1 : -1;
    in.literal(sign > 0 ? "+" : "-");
    const unsigned hours = in.digits(2);
    in.literal(":");
    const unsigned minutes = in.digits(2);
    if (hours > 23 || minutes > 59) return std::nullopt;
    offset_minutes = sign * static_cast<std::int64_t>(hours * 60 + minutes);
  } else {
    in.literal("Z");
  }
  if (!in.at_end()) return std::nullopt;
  const auto local = from_civil(c);
  if (!local) return std::nullopt;
  return *local - offset_minutes * 60'000;
}

std::optional<std::int64_t> parse_http_date(std::string_view text) noexcept {
  if (const auto time = parse_imf_or_rfc850(text)) return time;
  if (const auto time = parse_asctime(text)) return time;
  return parse_iso8601(text);
}

std::optional<std::int64_t> parse_amz_date(std::string_view text) noexcept {
  Scanner in(text);
  Civil c;
  c.year = static_cast<int>(in.digits(4));
  c.month = in.digits(2);
  c.day = in.digits(2);
  in.literal("T");
  c.hour = in.digits(2);
  c.minute = in.digits(2);
  c.second = in.digits(2);
  in.literal("Z");
  if (!in.at_end()) return std::nullopt;
  return from_civil(c);
}

}  // namespace ostraka
