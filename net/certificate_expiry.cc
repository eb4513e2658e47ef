#include "net/certificate_expiry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"

namespace ostraka::net {
namespace {

constexpr std::int64_t kDay = 24 * 3600;
constexpr std::int64_t kWarn = 30 * kDay, kError = 7 * kDay;

log::Level level_of(std::int64_t left, std::int64_t lifetime) {
  if (left <= std::min(kError, lifetime / 10)) return log::Level::error;
  return left <= std::min(kWarn, lifetime / 3) ? log::Level::warn : log::Level::info;
}

std::string time_left(std::int64_t left) {
  if (left <= 0) return "has expired";
  if (left < kDay) return "expires within a day";
  return fmt::format("expires in {} day{}", left / kDay, left < 2 * kDay ? "" : "s");
}

}  // namespace

std::optional<ExpiryNotice> CertificateExpiry::look(std::int64_t now, const Validity& validity) {
  const std::int64_t left = validity.until - now;
  const log::Level level = level_of(left, validity.until - validity.from);
  if (level == log::Level::info) return std::nullopt;
  // A clock that was set back does not silence it.
  const bool said = said_of_ == validity.until && said_ == level && now >= said_at_ && now - said_at_ < kDay;
  if (said) return std::nullopt;
  said_at_ = now;
  said_of_ = validity.until;
  said_ = level;
  const std::string date = iso8601(validity.until * 1000).substr(0, 10);
  const char* consequence =
      left > 0 ? "from then on no other node lets this one in" : "no other node lets this one in";
  return ExpiryNotice{
      level,
      fmt::format("this node's certificate {} file={} date={}: {}. Make a new one with `ostraka admin certs "
                  "node` and put its files in the place of the old ones; nothing has to be restarted "
                  "(docs/cluster.md, \"Renewing them\")",
                  time_left(left), file_, date, consequence)};
}

}  // namespace ostraka::net
