// What the tests of iam/ share: the credentials and the moment of AWS's published examples, and a clock that
// stands still.
#pragma once

#include <string>
#include <string_view>

#include "iam/credentials.h"
#include "iam/signer.h"
#include "iam/sigv4.h"
#include "net/service.h"
#include "runtime/clock.h"

namespace ostraka::iam::testing {

inline constexpr std::string_view kAccessKey = "AKIAIOSFODNN7EXAMPLE";
inline constexpr std::string_view kSecretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
inline constexpr std::int64_t kExampleMs = 1'369'353'600'000;  // 2013-05-24T00:00:00Z
inline constexpr std::string_view kNothingSha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

class StandingClock final : public Clock {
 public:
  explicit StandingClock(std::int64_t unix_ms) : unix_ms_(unix_ms) {}
  void set(std::int64_t unix_ms) { unix_ms_ = unix_ms; }
  TimePoint now() const noexcept override { return TimePoint(std::chrono::milliseconds(unix_ms_)); }
  std::int64_t unix_ms() const noexcept override { return unix_ms_; }
  std::unique_ptr<Timer> arm(IoExecutor, TimePoint, std::function<void()>) override { return nullptr; }

 private:
  std::int64_t unix_ms_;
};

inline net::RequestHead request(net::Method method, std::string target, net::Headers headers) {
  net::RequestHead head;
  head.method = method;
  head.method_text = net::to_string(method);
  head.target = std::move(target);
  head.headers = std::move(headers);
  return head;
}

struct Example {
  StandingClock clock{kExampleMs};
  Secret secret{std::string(kSecretKey)};
  RootCredentials store{std::string(kAccessKey), secret};
  SigV4Verifier verifier{store, "us-east-1", clock};

  SigningSpec spec() const {
    return {.access_key = kAccessKey, .secret = secret, .region = "us-east-1", .unix_ms = clock.unix_ms()};
  }
};

}  // namespace ostraka::iam::testing
