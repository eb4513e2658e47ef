// CertificateExpiry: when to say that a certificate expires, and what. Certificates of a year: a warning from
// 30 days before, an error from 7 days before; short ones: from a third and a tenth of their time. At once,
// when another certificate is in use, when it becomes an error, and once a day.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/log.h"
#include "net/make_certificates.h"

namespace ostraka::net {

struct ExpiryNotice {
  log::Level level = log::Level::warn;
  std::string text;  // for people: which file, when, and what to do
};

// Not thread safe.
class CertificateExpiry {
 public:
  explicit CertificateExpiry(std::string file) : file_(std::move(file)) {}
  // What is to be said now of the certificate that is in use. now: unix seconds.
  std::optional<ExpiryNotice> look(std::int64_t now, const Validity& validity);

 private:
  const std::string file_;
  std::int64_t said_at_ = 0, said_of_ = 0;  // 0: nothing so far
  log::Level said_ = log::Level::info;
};

}  // namespace ostraka::net
